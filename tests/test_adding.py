"""What `docs/adding.md` tells to add is added by the one file that it names: each is written, then used as any other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import WORDS, write_model

ROOT = Path(__file__).parents[1]
SNIPPETS = dict(
    re.findall(
        r"^```python\n# (compress/\S+\.py)\n(.*?)^```",
        (ROOT / "docs" / "adding.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
)
KIND = "compress/tasks/kinds/text_ranking.py"
SUITE = "threads: 1\nrounds: 2\nrepeats: 0\noptions: [ours, checked]\nconditions: [{batch: 1, length: 8, calls: 2}]\n"
OF_IRONY: dict[str, Any] = {"id2label": {0: "plain", 1: "ironic"}, "label2id": {"plain": 0, "ironic": 1}}
COMMANDS = """
import sys
from click.testing import CliRunner
import inspect
import compress as library
from compress.cli import compress

told = {"function": str(inspect.signature(library.average))}
for name, words in json.load(sys.stdin).items():
    done = CliRunner().invoke(compress, words)
    told[name] = [done.exit_code, done.stdout, str(done.exception or "")]
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is, by links, with the page's files beside its own."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "compress", folder / "compress", copy_function=_link)
    for name in ("pyproject.toml", "benchmarks", "pipelines", "calibration", "reports"):
        (folder / name).symlink_to(ROOT / name)
    for path, text in SNIPPETS.items():
        assert not (folder / path).exists(), f"{path} would replace a file of the package"
        (folder / path).write_text(text)
    return folder


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


def write_classifier(folder: Path, of: Any = None) -> Any:
    """An ONNX artifact that was never torch: the sum of a table's rows over a text's tokens, [tokens, 2] -> [2].

    Args:
        of: the artifact that it is said to be quantized from, with operators of ONNX Runtime's own.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from compress.core.artifact import Artifact, Step

    write_model(folder, **OF_IRONY)
    (folder / "model.safetensors").unlink()
    table = np.random.default_rng(0).normal(size=(len(WORDS) + 5, 2)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["tokens"]),
        helper.make_node("ReduceSum", ["tokens", "axis"], ["logits"], keepdims=0),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    graph = helper.make_graph(nodes, "sum", [ids], [logits], constants)
    domains = [helper.make_opsetid("", 18), *([helper.make_opsetid("com.microsoft", 1)] if of else [])]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=10), folder / "model.onnx")
    if of is not None:
        return of.after(Step("quantize", {}), folder).save()
    return Artifact(folder, {"name": "sum", "weights": "abc"}, None, "onnx", {"model": "model.onnx"}).save()


@pytest.fixture(scope="module")
def told(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What each command answered, all of them in one process of that package: exit code, output, error."""
    here = tmp_path_factory.mktemp("work")
    for name, seed in (("one", 0), ("two", 1)):
        write_model(here / name, seed=seed, **OF_IRONY)
    write_classifier(here / "fused", of=write_classifier(here / "graph"))
    write_model(here / "ranker", labels=1, ranks=True)
    (here / "data").mkdir()
    for split in ("train", "dev"):
        rows = "".join(f"{word} {split}\t{number % 2}\n" for number, word in enumerate(WORDS))
        (here / "data" / f"{split}.tsv").write_text(f"message\tlabel\n{rows}")
    (here / "mine.yaml").write_text(SUITE)
    of_task = ["--task", "irony", "--data", "data"]
    commands = {
        "list": ["list", "--json"],
        "average": ["average", "one", "--other", "two", "--share", "0.25", "-o", "soup", *of_task],
        "default": ["predict", "graph", "a good film", "--json"],
        "named": ["predict", "graph", "a good film", "--json", "--runtime", "onnx_reference"],
        "fused by default": ["predict", "fused", "a good film", "--json"],
        "fused": ["predict", "fused", "a good film", "--runtime", "onnx_reference"],
        "torch": ["predict", "soup", "a good film", "--runtime", "onnx_reference"],
        "rank": ["predict", "ranker", "good film", "--pair", "a lovely film", "--json"],
        "benchmark": [
            *("benchmark", "fused", "-o", "measured", "--suite", "mine.yaml", *of_task),
            *("--runtime", "onnx_runtime", "--runtime", "onnx_reference"),
        ],
        "report": ["report", "measured", "-o", "report.html"],
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import json\n{COMMANDS}\nprint(json.dumps(told))"],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    return {**json.loads(done.stdout.splitlines()[-1]), "folder": here}


def test_the_page_tells_of_a_technique_a_task_a_kind_and_a_runtime_in_full() -> None:
    assert {path.split("/")[1] for path in SNIPPETS} >= {"techniques", "tasks", "runtimes"}
    assert KIND in SNIPPETS


def test_all_that_is_added_is_listed_by_its_file_with_its_first_line(told: Mapping[str, Any]) -> None:
    assert told["list"][0] == 0, told["list"]
    listed = json.loads(told["list"][1])
    for path, text in SNIPPETS.items():
        if path == KIND:
            continue  # kinds are not listed: a model of it is opened
        kind, file = path.split("/")[1:]
        assert listed[kind][file.removesuffix(".py")] == text.split('"""')[1].splitlines()[0]


def test_the_technique_is_a_function_of_the_library_too(told: Mapping[str, Any]) -> None:
    assert "other: str" in told["function"]
    assert "share: float = 0.5" in told["function"]


def test_the_technique_runs_as_a_command_on_the_task(told: Mapping[str, Any]) -> None:
    from safetensors.numpy import load_file

    assert told["average"][0] == 0, told["average"]
    one, two, soup = (load_file(told["folder"] / name / "model.safetensors") for name in ("one", "two", "soup"))
    for name, weight in soup.items():
        assert weight == pytest.approx(0.75 * one[name] + 0.25 * two[name], abs=1e-6), name
    manifest = json.loads((told["folder"] / "soup" / "manifest.json").read_text())
    assert manifest["steps"][-1]["settings"]["share"] == 0.25
    assert (manifest["task"]["name"], manifest["steps"][-1]["facts"]["averaged_with"]) == ("irony", "two")


def test_a_model_of_the_kind_is_opened_and_answers_as_the_kind_shows_it(told: Mapping[str, Any]) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    assert told["rank"][0] == 0, told["rank"]
    folder = told["folder"] / "ranker"
    batch = AutoTokenizer.from_pretrained(folder)("good film", "a lovely film", return_tensors="pt")
    with torch.no_grad():
        expected = AutoModelForSequenceClassification.from_pretrained(folder)(**batch).logits[0].tolist()
    assert json.loads(told["rank"][1])["scores"] == pytest.approx(expected, abs=1e-5)


def test_the_runtime_answers_where_it_is_named_and_takes_over_nothing(told: Mapping[str, Any]) -> None:
    assert [told[name][0] for name in ("default", "named")] == [0, 0], told
    default, named = (json.loads(told[name][1]) for name in ("default", "named"))
    assert named["label"] == default["label"]
    assert named["probabilities"] == pytest.approx(default["probabilities"], abs=1e-6)
    # What the new runtime refuses: so it is not what opens an artifact of its format, though its file's name comes first.
    assert json.loads(told["fused by default"][1]) == default
    for name, why in (
        ("torch", "onnx_reference opens onnx artifacts, and this one is torch"),
        ("fused", "has operators of com.microsoft, not of ONNX. Export it with --no-fuse."),
    ):
        code, _, error = told[name]
        assert (code, why in error) == (1, True), told[name]


def test_the_runtime_is_measured_beside_another_in_one_table_with_its_own_options_and_version(
    told: Mapping[str, Any],
) -> None:
    import onnx

    assert told["benchmark"][0] == 0, told["benchmark"]
    found = json.loads((told["folder"] / "measured" / "measurements.json").read_text())
    speeds = [one for one in found["measurements"] if one["name"] == "latency_seconds"]
    assert [(one["condition"]["runtime"], one["condition"]["options"], one["value"] is None) for one in speeds] == [
        ("onnx_runtime", "ours", False),
        ("onnx_reference", "checked", False),
        ("onnx_runtime", "ours", False),
        ("onnx_reference", "checked", True),
    ]
    assert "com.microsoft" in speeds[-1]["absent"]
    assert found["suite"]["runtimes"]["onnx_reference"] == {
        "version": onnx.__version__,
        "options": {"checked": {"check_shape_annotations": True}},
    }
    for name in ("fp32-onnx", "fused"):
        for runtime in ("onnx_runtime", "onnx_reference"):
            assert f"{name} ({runtime})" in (told["folder"] / "report.html").read_text()
    scores = [one["value"] for one in found["measurements"] if one["name"] == "f1"]
    assert scores[0] == scores[1] == scores[2] is not None
    assert scores[3] is None
