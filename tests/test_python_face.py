"""`import compress`: what it offers, how light it is, and that what the documents show of it runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import compress
from compress.core import catalogue
from compress.core.measurement import Measurements
from compress.tasks.technique import Technique
from tests.reliability.tiny_pipeline import SUITE
from tests.tiny import write_model, write_task
from tests.workers import workers_here

__all__ = ["workers_here"]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
NAMES = sorted({*dir(compress)} - {"__version__"})
TAKES_LONG = re.compile(r"compress\.(qat|benchmark|run|write_report)\(|measurements\b")


def test_the_import_is_light() -> None:
    code = (
        "import sys, time; began = time.perf_counter(); import compress; seconds = time.perf_counter() - began; "
        "assert not {'torch', 'transformers', 'numpy', 'pydantic', 'yaml', 'click'} & set(sys.modules); print(seconds)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(5)]
    assert min(float(run.stdout) for run in runs) < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_has_a_docstring_and_stands_on_its_page(name: str) -> None:
    assert (getattr(compress, name).__doc__ or "").strip()
    assert f"compress.{name}" in PAGE


def test_every_technique_is_a_function() -> None:
    assert {name.removesuffix("_") for name in NAMES} >= set(catalogue.names("techniques"))


def test_a_technique_that_is_added_has_its_function_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one: Technique = catalogue.find("techniques", "export")
    monkeypatch.setattr(catalogue, "names", lambda kind: ("export", "shrink"))
    monkeypatch.setattr(catalogue, "find", lambda kind, name: one)
    assert "shrink" in dir(compress)
    try:
        assert compress.shrink.__name__ == "shrink"
    finally:
        vars(compress).pop("shrink", None)


def test_python_guesses_a_misspelt_name() -> None:
    done = subprocess.run([sys.executable, "-c", "import compress; compress.distil"], capture_output=True, text=True)
    assert "Did you mean: 'distill'?" in done.stderr
    for name in ("distill_", "import", "no_such"):
        assert not hasattr(compress, name)


def test_a_folder_of_the_package_is_not_taken_for_a_name_it_offers() -> None:
    from compress import pipeline, report

    assert pipeline.__name__ == "compress.pipeline"
    assert report.__name__ == "compress.report"


def test_open_checks_the_files(tmp_path: Path) -> None:
    from compress.core.artifact import Artifact

    (tmp_path / "model.safetensors").write_bytes(b"weights")
    made = Artifact(tmp_path, {"name": "made", "weights": "0"}, None).save()
    assert compress.open(str(tmp_path)) == compress.open(tmp_path) == compress.open(made)
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert compress.open(tmp_path, verify=False) == made
    with pytest.raises(compress.CompressError, match="corrupt"):
        compress.open(tmp_path)


@pytest.mark.parametrize("as_mapping", [False, True])
def test_a_benchmark_takes_names_artifacts_and_a_task_as_they_come(
    as_mapping: bool, tmp_path: Path, make_model: Any, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.measure import benchmark

    asked: dict[str, Any] = {}

    def run(artifacts: Any, suite: Any, out: Path, **others: Any) -> Measurements:
        asked.update(others, artifacts=artifacts, suite=suite, out=out)
        return Measurements({}, {}, {}, {}, (), ())

    monkeypatch.setattr(benchmark, "run", run)
    model = make_model()
    opened = compress.open(model)
    given: Any = {"one": model, "two": opened} if as_mapping else [str(model), opened]
    compress.benchmark(given, tmp_path / "out", suite="quick", task=task, rows=5, force=True)
    assert [name for name, _ in asked["artifacts"]] == (["one", "two"] if as_mapping else ["model", "model"])
    assert all(one.folder == model for _, one in asked["artifacts"])
    assert (asked["suite"].name, asked["out"], asked["existing"]) == ("quick", tmp_path / "out", "replace")
    assert asked["task"] == {**task, "limit": {"evaluation": 5}}
    with pytest.raises(compress.CompressError, match="No artifact is named"):
        compress.benchmark([], tmp_path / "out")


def shortened(code: str) -> str:
    """The same with a suite that takes seconds."""
    return code.replace('suite="quick"', 'suite="tiny.yaml"')


def prepare(folder: Path) -> None:
    """What the documents' examples start from: a base, a task, and a pipeline, all tiny."""
    write_model(folder / "demo", type_vocab_size=1, initializer_range=0.3)
    task = write_task(folder / "data", rows=96)
    (folder / "reviews.yaml").write_text(yaml.safe_dump(task))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(SUITE))
    steps = {
        "student": {"distill": {"layers": 2, "epochs": 5}},
        "int8": {"from": "student", "quantize": {"precision": "int8"}},
    }
    (folder / "reviews-pipeline.yaml").write_text(yaml.safe_dump({"model": "demo", "task": task, "steps": steps}))


@pytest.mark.usefixtures("workers_here")
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_example_on_the_page_runs(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    names: dict[str, Any] = {}
    for block in blocks:
        if whole or not TAKES_LONG.search(block):
            exec(compile(shortened(block), "docs/api.md", "exec"), names)
    assert names["artifact"].precision == "int8"
    assert names["other"].task["limit"] == {"train": 64}


@pytest.mark.usefixtures("workers_here")
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_notebook_runs_cell_by_cell(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "notebook.py").read_text(encoding="utf-8")
    cells = [
        cell for cell in re.split(r"^# %%", text, flags=re.MULTILINE) if cell and not cell.startswith(" [markdown]")
    ]
    names: dict[str, Any] = {}
    exec(cells[0], names)
    names |= {"TEACHER": "demo", "TASK": {"task": "reviews.yaml", "epochs": 1}, "LAYERS": 2}
    for cell in cells[1:]:
        if whole or not TAKES_LONG.search(cell):
            exec(compile(shortened(cell), "docs/notebook.py", "exec"), names)
    assert names["int8"].precision == "int8"
    assert names["TEXTS"][0] in capsys.readouterr().out
