"""A command ends with what was gained and the next command; `--json` gives the same as one object on stdout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from compress.cli import compress, gained
from compress.core.artifact import Artifact
from tests.report.made_up import Made, make


def invoked(*arguments: object) -> Result:
    """A command that ended well, in this process."""
    result = CliRunner().invoke(compress, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def ran(*arguments: object) -> str:
    """What the command prints on stdout."""
    return invoked(*arguments).stdout


def test_quantize_says_what_it_does_in_between_and_ends_with_sizes_and_how_many_rows_agree(
    make_model: Callable[..., Path], tmp_path: Path, task_file: Path
) -> None:
    out = tmp_path / "q"
    result = invoked("quantize", make_model("bert"), "--task", task_file, "--mode", "static", "-o", out)
    lines = result.stdout.splitlines()
    assert lines[-2].startswith(f"{out}: 0.")
    assert " MB, agrees with fp32 on " in lines[-2]
    assert lines[-1] == f'Next: compress predict {out} "..."'
    assert Artifact.open(out).fingerprint() not in "".join(lines)
    said = [
        f"quantize: reading {tmp_path / 'model'} and its data; the result goes to {out}.",
        "model: exporting to ONNX.",
        "model: comparing the ONNX graph with torch on 24 rows.",
        r"model: calibrating on \d+ rows.",
        "q: quantizing to int8.",
        r"q: comparing int8 with fp32 on \d+ rows.",
    ]
    between = iter(result.stderr.splitlines())
    for wanted in said:
        assert any(re.fullmatch(wanted, line) for line in between), f"{wanted} is missing, or comes too early"


def test_json_is_one_object_with_the_same_figures(make_model: Callable[..., Path], tmp_path: Path) -> None:
    found = json.loads(ran("export", make_model("bert"), "-o", tmp_path / "e", "--json"))
    assert found["format"] == "onnx"
    assert found["agreement"] == {"with": "torch", "share": 1.0, "rows": 24, "unit": "rows"}
    assert found["parameters"]["before"] == found["parameters"]["after"]
    assert found["fingerprint"] == Artifact.open(tmp_path / "e").fingerprint()


@pytest.mark.parametrize("kept", ["best", "last"])
def test_a_training_ends_with_the_score_of_the_kept_weights_and_the_teachers(kept: str) -> None:
    facts: dict[str, Any] = {
        "curves": {"accuracy on held-out rows": [[4, 0.9], [8, 0.8]]},
        "kept": kept,
        "holdout_rows": 50,
    }
    score = gained._score(facts)
    assert score == {"metric": "accuracy", "value": 0.9 if kept == "best" else 0.8, "rows": 50}
    found = {
        "artifact": "s",
        "bytes": {"before": 90_900_000, "after": 23_400_000},
        "parameters": {"before": 22_700_000, "after": 17_400_000},
        "score": score,
        "teacher_score": {"metric": "accuracy", "value": 0.95},
    }
    assert gained.in_words(found) == (
        "s: 90.9 -> 23.4 MB, 22.70 -> 17.40 million parameters, "
        f"accuracy {score['value']:.4f} (teacher 0.9500) on 50 held-out rows."
    )


def test_a_dry_run_estimates_rows_steps_minutes_and_disk_and_names_its_basis(
    make_model: Callable[..., Path], tmp_path: Path, task_file: Path
) -> None:
    asked = ("finetune", make_model("bert"), "--task", task_file, "--epochs", 2, "--batch-size", 16, "--dry-run")
    found = json.loads(ran(*asked, "-o", tmp_path / "t", "--json"))["estimate"]
    (step,) = found["steps"]
    rows = step["training_rows"]
    assert 100 < rows < 160  # a share is held out
    assert step["training_steps"] == -(-rows * 2 // 16)
    assert step["minutes"] > 0
    assert found["megabytes"] > step["megabytes"]
    assert "timed here" in found["basis"]
    assert not (tmp_path / "t").exists()


def test_prune_ends_with_the_parameters_before_and_after(
    make_model: Callable[..., Path], tmp_path: Path, task_file: Path
) -> None:
    out = tmp_path / "p"
    asked = ("prune", make_model("bert"), "--task", task_file, "--method", "layers", "--layers", 1)
    lines = ran(*asked, "-o", out).splitlines()
    assert re.match(rf"{re.escape(str(out))}: [\d.]+ -> [\d.]+ MB, [\d.]+ -> [\d.]+ million parameters", lines[-2])
    assert lines[-1] == f'Next: compress predict {out} "..."'


def test_report_ends_with_its_files_and_the_verdict(tmp_path: Path) -> None:
    make([Made("student-int8", 790, 12, 3.4, 18.0)]).save(tmp_path / "measured")
    page = tmp_path / "report.html"
    lines = ran("report", tmp_path / "measured", "-o", page).splitlines()
    assert lines[:4] == [str(page.with_suffix(suffix)) for suffix in (".html", ".md", ".json", ".csv")]
    (lead,) = (one["lead"] for one in json.loads(page.with_suffix(".json").read_text())["runs"])
    assert lines[4:] == [lead]
    assert "student-int8" in lead or "recommended" in lead


def test_a_run_without_a_benchmark_ends_with_each_artifact_and_how_to_measure_them(
    make_model: Callable[..., Path], tmp_path: Path, task: dict[str, Any]
) -> None:
    file = tmp_path / "my.yaml"
    steps = {str(count): {"prune": {"method": "layers", "layers": count}} for count in (1, 2)}
    file.write_text(yaml.safe_dump({"model": str(make_model("bert")), "task": task, "steps": steps}))
    *_, small, large, last = ran("run", file, "-o", tmp_path / "run").splitlines()
    folders = [str(tmp_path / "run" / name) for name in steps]
    for folder, line in zip(folders, (small, large), strict=True):
        assert re.match(rf"{re.escape(folder)}: [\d.]+ MB", line)
    assert last == f"Next: compress benchmark {' '.join(folders)} -o MEASUREMENTS"


def test_several_teachers_each_have_their_score() -> None:
    found = {
        "artifact": "s",
        "technique": "distill",
        "format": "torch",
        "precision": "fp32",
        "bytes": {"before": None, "after": 1_000_000},
        "parameters": {"before": None, "after": None},
        "score": {"metric": "accuracy", "value": 0.9, "rows": 50},
        "teacher_score": [{"metric": "accuracy", "value": 0.95}, {"metric": "accuracy", "value": 0.94}],
    }
    assert "accuracy 0.9000 (teachers 0.9500, 0.9400) on 50 held-out rows" in gained.in_words(found)


def test_a_count_of_parameters_that_stays_the_same_as_it_is_written_is_left_out() -> None:
    found = {
        "artifact": "q",
        "bytes": {"before": 90_900_000, "after": 23_400_000},
        "parameters": {"before": 22_713_986, "after": 22_713_474},
    }
    assert gained.in_words(found) == "q: 90.9 -> 23.4 MB."
