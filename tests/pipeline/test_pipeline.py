"""Pipelines: every mistake is found before a weight is loaded, finished steps are reused, and a run says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from compress import pipeline
from compress.core import shipped
from compress.core.errors import BudgetNotMet, CompressError

STUDENT = {"distill": {"layers": 2, "epochs": 1, "batch_size": 64, "max_length": 64}}
INT8 = {"from": "student", "quantize": {"precision": "int8"}}


@pytest.fixture
def write(tmp_path: Path, make_model: Callable[..., Path], task: dict[str, Any]) -> Callable[..., Path]:
    """Writes `my.yaml` with a model and a task that exist."""
    model = make_model("bert")

    def write_pipeline(**changes: Any) -> Path:
        content = {"model": str(model), "task": task, "steps": {"student": STUDENT, "int8": INT8}, **changes}
        file = tmp_path / "my.yaml"
        file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
        return file

    return write_pipeline


@pytest.mark.parametrize("name", shipped.names("pipelines"))
def test_every_shipped_pipeline_loads(name: str) -> None:
    plan = pipeline.read(name)
    assert plan.steps
    assert plan.benchmark is not None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modle": "x"}, r"Unknown key 'modle' in my\.yaml line \d+\. Did you mean 'model'\?"),
        ({"model": None}, "names no model"),
        ({"steps": {}}, "has no steps"),
        (
            {"steps": {"a": {"destill": {}}}},
            r"Unknown technique 'destill' in step 'a' of my\.yaml line \d+\. Did you mean",
        ),
        (
            {"steps": {"a": {"distill": {"layers": 2, "temprature": 4}}}},
            r"'temprature' in step 'a' of my\.yaml line \d+",
        ),
        ({"steps": {"a": {"distill": {"layers": "two"}}}}, r"'layers' is 'two' in step 'a'"),
        ({"steps": {"a": {"from": "b", "export": {}}}}, "'from' names 'b', which is not a step"),
        ({"steps": {"a": {"export": {}, "quantize": {}}}}, "exactly one technique"),
        ({"steps": {"a": {"from": "b", "export": {}}, "b": {"from": "a", "export": {}}}}, "depend on each other"),
        *[
            ({"steps": {name: {"export": {}}}}, f"cannot be a step's name, since .*{reason}")
            for name, reason in {
                "../a": "folder",
                "a\\b": "folder",
                ".hidden": "folder",
                "a\0b": "control character",
                "a\x1b[2J": "control character",
                "x" * 248: "more than 247 bytes",
                "a.partial": "unfinished work",
                "Measurements": "the run's folder has",
                "report.html": "the run's folder has",
                "model": "the pipeline's model",
            }.items()
        ],
        ({"steps": {"a": {"export": {}}, "A": {"export": {}}}}, "differ only in case"),
        ({"benchmark": "cup"}, "Did you mean 'cpu'"),
        ({"budget": {"max_dorp": 1}}, "Did you mean 'max_drop'"),
    ],
)
def test_a_mistake_is_named_with_its_place(write: Callable[..., Path], changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(CompressError, match=expected):
        pipeline.read(str(write(**changes)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "nowhere/at-all"}, "nowhere/at-all"),
        ({"task": {"name": "sst2", "data": "nowhere"}}, "nowhere does not exist"),
        (
            {"steps": {"a": {"export": {}}, "b": {"from": "a", "distill": {"layers": 2}}}},
            "distill takes an artifact in the format torch",
        ),
        (
            {"steps": {"a": {"quantize": {"mode": "static", "calibration": "sst2-256"}}}},
            "'sst2-256' is of the task sst2, but this model's task is moods",
        ),
        ({"steps": {"a": {"quantize": {"mode": "static", "calibration": "nothing"}}}}, "No file called 'nothing'"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_found_before_a_weight_is_loaded(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr("compress.models.load.classifier", lambda *_, **__: pytest.fail("a weight was loaded"))
    plan = pipeline.read(str(write(**changes)))
    with pytest.raises(CompressError, match=expected):
        pipeline.run(plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_python_caller_changes_a_pipeline_by_values(write: Callable[..., Path], task: dict[str, Any]) -> None:
    changes = {"steps.student.distill.layers": 3, "task.data": Path("/data"), "title": "1=1"}
    plan = pipeline.read(str(write()), changes)
    assert plan.steps[0].settings.layers == 3
    assert (plan.task or {})["data"] == "/data"
    assert plan.title == "1=1"
    with pytest.raises(CompressError, match="'steps.studnt.layers' does not name a step. Did you mean 'student'"):
        pipeline.read(str(write()), {"steps.studnt.layers": 3})


def test_values_are_changed_from_the_command_line(write: Callable[..., Path]) -> None:
    plan = pipeline.read(str(write()), ["steps.student.distill.layers=3", "title=Mine"])
    assert plan.steps[0].settings.layers == 3
    assert plan.title == "Mine"
    with pytest.raises(CompressError, match="is not KEY=VALUE"):
        pipeline.read(str(write()), ["title"])


@pytest.mark.parametrize("name", ["report.html", "report.md", "measurements/measurements.json", "student/thesis.tex"])
def test_a_users_own_file_in_the_runs_folder_is_found_before_anything_is_made(
    write: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    theirs = tmp_path / "run" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    plan = pipeline.read(str(write(benchmark="quick")))
    with pytest.raises(CompressError, match=r"was not (made|written) by compress|not a report made by compress"):
        pipeline.run(plan, tmp_path / "run")
    assert [one for one in (tmp_path / "run").rglob("*") if one.is_file()] == [theirs]


def test_steps_run_in_the_order_of_their_needs(write: Callable[..., Path]) -> None:
    plan = pipeline.read(str(write(steps={"int8": INT8, "student": STUDENT})))
    assert [step.name for step in plan.steps] == ["student", "int8"]


def explained(plan: pipeline.Pipeline, out: Path) -> list[str]:
    """What a run would do, a line a step."""
    return pipeline.explain(plan, pipeline.check_all(plan, out))


def test_a_run_reuses_what_is_finished_and_says_why_a_step_runs_again(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    plan = pipeline.read(str(write()))
    assert [line.split(maxsplit=2)[2] for line in explained(plan, out)] == ["new"] * 2
    first = pipeline.run(plan, out).artifacts
    assert [line.split(maxsplit=2)[2] for line in explained(plan, out)] == ["finished, reused"] * 2
    assert pipeline.run(plan, out).artifacts == first
    for artifact in first.values():
        assert str(tmp_path) not in (artifact.folder / "manifest.json").read_text()

    changed = pipeline.read(str(write()), ["steps.student.distill.temperature=2.0"])
    reasons = [line.split(maxsplit=2)[2] for line in explained(changed, out)]
    assert reasons[0] == "runs again: distill's temperature was None, now 2.0"
    assert "distill's temperature was None, now 2.0" in reasons[1]

    only_int8 = pipeline.read(str(write()), ["steps.int8.quantize.embeddings=false"])
    reasons = [line.split(maxsplit=2)[2] for line in explained(only_int8, out)]
    assert reasons == ["finished, reused", "runs again: quantize's embeddings was True, now False"]


def test_changed_data_is_noticed(write: Callable[..., Path], tmp_path: Path, task: dict[str, Any]) -> None:
    out = tmp_path / "run"
    plan = pipeline.read(str(write(steps={"student": STUDENT})))
    pipeline.run(plan, out)
    with Path(task["data"]["train"]).open("a") as file:
        file.write("a very good film,positive\n")
    (line,) = explained(plan, out)
    assert line.endswith("runs again: the data that distill reads has changed")


@pytest.mark.slow
def test_a_whole_run_ends_with_measurements_a_report_and_a_verdict_on_its_budget(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    suite = {"rounds": 2, "conditions": [{"batch": 1, "length": "real", "calls": 2}]}
    plan = pipeline.read(str(write(benchmark=suite, budget={"max_mb": 0.0001})))
    result = pipeline.run(plan, tmp_path / "run")
    names = {one.name for one in result.measurements.artifacts} if result.measurements else set()
    assert names == {"fp32-torch", "fp32-onnx", "student", "int8"}
    assert result.report is not None
    for suffix in (".html", ".md", ".json", ".csv"):
        assert result.report.with_suffix(suffix).stat().st_size > 500
    assert json.loads(result.report.with_suffix(".json").read_text())
    with pytest.raises(BudgetNotMet) as verdict:
        pipeline.check_budget(plan, result)
    assert verdict.value.result is result, "what was made and measured stays within reach"


def test_paths_of_the_task_are_relative_to_the_pipelines_file_and_changes_to_the_current_folder(
    write: Callable[..., Path], tmp_path: Path, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere" / "other").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    beside = {split: str(Path(file).relative_to(tmp_path)) for split, file in task["data"].items()}
    file = write(task={**task, "data": beside})
    assert (pipeline.read(str(file)).task or {})["data"] == task["data"]
    changed = pipeline.read(str(file), ["task.data=other"])
    assert (changed.task or {})["data"] == str(tmp_path / "elsewhere" / "other")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"task": {**task, "data": beside}}))
    assert (pipeline.read(str(write(task="mine.yaml"))).task or {})["data"] == task["data"]
    assert (pipeline.read(str(file), ["task=../mine.yaml"]).task or {})["data"] == task["data"]


def test_a_step_whose_name_is_a_number_can_be_started_from(write: Callable[..., Path]) -> None:
    plan = pipeline.read(
        str(write(steps={1: {"export": {}}, 2: {"from": 1, "quantize": {}}})), ["steps.2.quantize.mode=static"]
    )
    assert [(step.name, step.source) for step in plan.steps] == [("1", None), ("2", "1")]
