"""The command line as a user meets it: help that works, mistakes in one line, exit codes that scripts can trust."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compress.__main__ import _run
from compress.cli import compress
from compress.core.errors import CompressError

COMMANDS = compress.list_commands(None)


def shell(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "compress", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in this process, with the messages and codes that its errors get: torch is imported already."""
    command = ["compress", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        patch.setattr(sys, "argv", command)
        _run()
    return subprocess.CompletedProcess(command, int(ended.value.code or 0), out.getvalue(), err.getvalue())


def fails(expected: str, *arguments: object, code: int = 1, run: Callable[..., Any] = here) -> None:
    """The command must end with that code and one line that holds the expected words."""
    done = run(*arguments)
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == code, done.stderr
    assert lines[-1].startswith("Error: ")
    assert expected in lines[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_starts_with_a_sentence_and_ends_with_an_example(name: str) -> None:
    result = CliRunner().invoke(compress, [name, "--help"])
    assert result.exit_code == 0
    lines = [line.strip() for line in result.output.splitlines() if line.strip()]
    assert lines[1][0].isupper()
    assert any(line.startswith("Example: ") for line in lines)
    assert "Show this message" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_in_a_help_is_a_command_that_parses(name: str) -> None:
    command = compress.get_command(None, name)
    assert command is not None
    example = (command.epilog or "").removeprefix("Example: ")
    if name == "completion":
        assert example == 'eval "$(compress completion bash)"'
        return
    typed = shlex.split(example.split("    ")[0])
    assert typed[:2] == ["compress", name]
    options = [word for word in typed[2:] if word.startswith("-")]
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert set(options) <= known


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell_name: str) -> None:
    result = CliRunner().invoke(compress, ["completion", shell_name])
    assert "_COMPRESS_COMPLETE" in result.output


def test_usage_errors_exit_2_and_guess_the_command() -> None:
    fails("Did you mean 'distill'?", "destill", code=2, run=shell)
    fails("Missing option", "distill", "somewhere", code=2)
    fails("No such option", "distill", "somewhere", "--temprature", "3", "-o", "x", code=2)


@pytest.mark.parametrize("path", ["", ":"])
def test_nothing_is_imported_from_the_current_folder(tmp_path: Path, path: str) -> None:
    for name in ("random", "numpy", "typing", "signal", "click", "json", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the current folder was imported from')")
    place = (
        os.pathsep.join([path.strip(":"), str(Path(__file__).parents[2])]) if path else str(Path(__file__).parents[2])
    )
    done = subprocess.run(
        [sys.executable, "-m", "compress", "list", "tasks"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": place},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_model_is_an_argument_and_a_folder(make_model: Callable[..., Path], tmp_path: Path) -> None:
    fails("MODEL is an argument: `compress distill MODEL ...`", "distill", "--model", "x", "-o", "y", code=2)
    model = make_model("bert")
    fails(f"Give the folder: compress quantize {model}", "quantize", model / "config.json", "-o", tmp_path / "out")
    fails("No such folder: runs/nothing", "quantize", "runs/nothing", "-o", tmp_path / "out")


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    fails("is not an artifact", "export", tmp_path, "-o", tmp_path / "out")
    fails("does not exist", "export", tmp_path / "nothing" / "there" / "is", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pickled_weights_are_refused(make_model: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_model("bert")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    fails("pickled weights", "export", folder, "-o", tmp_path / "out")


def test_a_truncated_weights_file_is_told(make_model: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_model("bert")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    fails("corrupt or cut short", "export", folder, "-o", tmp_path / "out", run=shell)
    assert not (tmp_path / "out").exists()


def test_a_corrupt_artifact_is_told_before_it_is_used(make_model: Callable[..., Path], tmp_path: Path) -> None:
    assert here("import", make_model("bert"), "-o", tmp_path / "a").returncode == 0
    file = tmp_path / "a" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    fails("is corrupt", "export", tmp_path / "a", "-o", tmp_path / "b")
    fails("is corrupt", "inspect", tmp_path / "a")


def test_a_teacher_whose_labels_are_not_the_tasks_is_refused(
    make_model: Callable[..., Path], task_file: Path, tmp_path: Path
) -> None:
    three = make_model("bert", name="three", labels=3)
    fails("has 3 labels", "distill", three, "--task", task_file, "--layers", 2, "-o", tmp_path / "out")
    names = {"id2label": {0: "cat", 1: "dog"}, "label2id": {"cat": 0, "dog": 1}}
    other = make_model("bert", name="animals", **names)
    fails("the names do not match", "distill", other, "--task", task_file, "--layers", 2, "-o", tmp_path / "out")


def test_a_base_without_a_classifier_is_not_compressed(make_model: Callable[..., Path], tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = make_model("bert")
    base = AutoModel.from_pretrained(folder)
    base.save_pretrained(folder)
    fails("has no trained classifier", "export", folder, "-o", tmp_path / "out")


def test_a_number_of_rows_goes_over_the_tasks_limit(
    make_model: Callable[..., Path], task_file: Path, tmp_path: Path
) -> None:
    words = [
        "distill",
        make_model("bert"),
        "--task",
        task_file,
        "--layers",
        2,
        "--rows",
        7,
        "--dry-run",
        "--json",
        "-o",
        tmp_path / "out",
    ]
    done = CliRunner().invoke(compress, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    read = json.loads(done.stdout[done.stdout.index("{") :])["data"]
    assert (read["train"]["limit"], read["train"]["rows"]) == (7, 7)


def test_a_number_of_rows_reaches_the_measurement(
    make_model: Callable[..., Path], task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.data import loading
    from compress.measure import benchmark

    counted = []

    def counts(*given: object, task: dict[str, Any], **more: object) -> None:
        counted.append(len(loading.load(*loading.resolve(task), "evaluation").rows))
        raise CompressError("counted")

    monkeypatch.setattr(benchmark, "run", counts)
    for more in ([], ["--rows", "7"]):
        words = ["benchmark", str(make_model("bert")), "--task", str(task_file), *more, "-o", str(tmp_path / "out")]
        assert str(CliRunner().invoke(compress, words).exception) == "counted"
    assert counted == [48, 7]


def test_a_model_without_a_task_says_how_to_name_one(make_model: Callable[..., Path], tmp_path: Path) -> None:
    fails("--task sst2", "distill", make_model("bert"), "--layers", 2, "-o", tmp_path / "out")


def test_settings_that_cannot_work_are_refused(
    make_model: Callable[..., Path], task_file: Path, tmp_path: Path
) -> None:
    model, out = make_model("bert"), tmp_path / "out"
    fails("greater than 0", "distill", model, "--task", task_file, "--layers", 2, "--temperature", 0, "-o", out)
    fails("either 'layers'", "distill", model, "--task", task_file, "-o", out)
    fails("Keep 1 to 4", "distill", model, "--task", task_file, "--layers", 9, "-o", out)
    fails(
        "Did you mean 'task-256'",
        "quantize",
        model,
        "--mode",
        "static",
        "--calibration",
        "task-25",
        "--task",
        task_file,
        "-o",
        out,
    )


def test_what_is_printed_for_scripts_is_json(make_model: Callable[..., Path], tmp_path: Path) -> None:
    model = make_model("bert")
    assert here("import", model, "-q", "-o", tmp_path / "a").stderr == ""
    assert json.loads(here("inspect", tmp_path / "a", "--json").stdout)["format"] == "torch"
    assert json.loads(here("doctor", "--json").stdout)["works"]
    assert "sst2" in json.loads(here("list", "tasks", "--json").stdout)["tasks"]
    (answer,) = here("predict", tmp_path / "a", "a good film", "--json").stdout.splitlines()
    assert set(json.loads(answer)["probabilities"]) == {"negative", "positive"}


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    make_model: Callable[..., Path], task_file: Path, tmp_path: Path
) -> None:
    done = here("distill", make_model("bert"), "--task", task_file, "--layers", 2, "--dry-run", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "nothing was made): new" in done.stdout
    assert not list(tmp_path.glob("out*"))


def test_a_dry_run_looks_at_the_folder_too(make_model: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    told = CliRunner().invoke(compress, ["import", str(make_model("bert")), "--dry-run", "-o", str(tmp_path / "mine")])
    assert isinstance(told.exception, CompressError)
    assert "was not made by compress" in str(told.exception)


def test_a_full_disk_ends_in_one_line_and_leaves_nothing_that_looks_finished(
    make_model: Callable[..., Path], tmp_path: Path
) -> None:
    # A limit on the size of a file stands in for a full disk: the writer gets the same kind of error.
    out = tmp_path / "out"
    limited = f"ulimit -f 20; trap '' XFSZ; {sys.executable} -m compress import {make_model('bert')} -o {out}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert not out.exists()


def test_an_adapter_is_merged_into_its_base(make_model: Callable[..., Path], tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from compress.models.load import classifier, tokenizer

    base = make_model("bert")
    adapted = get_peft_model(classifier(base), LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "value"]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    adapted.save_pretrained(tmp_path / "adapter")
    done = here("import", base, "--adapter", tmp_path / "adapter", "-o", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    encoded = tokenizer(base)("a good film", return_tensors="pt")
    merged = classifier(tmp_path / "merged")
    torch.testing.assert_close(merged(**encoded).logits, adapted.eval()(**encoded).logits, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(merged(**encoded).logits, classifier(base)(**encoded).logits, atol=1e-3)


def test_a_warning_is_told_once_and_progress_each_time() -> None:
    from compress.core.log import _Once

    once = _Once()
    told = [
        once.filter(logging.LogRecord("compress", level, "", 0, text, (), None))
        for level, text in (
            (logging.WARNING, "a.csv: 2 rows"),
            (logging.WARNING, "a.csv: 2 rows"),
            (logging.WARNING, "b.csv: 2 rows"),
            (logging.INFO, "training"),
            (logging.INFO, "training"),
        )
    ]
    assert told == [True, False, True, True, True]
