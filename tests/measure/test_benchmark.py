"""Tests of a whole benchmark on tiny models: who takes part, what is found, what fails without stopping the rest."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core import shipped
from compress.core.artifact import Artifact, Step
from compress.core.errors import CompressError
from compress.core.measurement import Measurement, Measurements
from compress.data import loading
from compress.measure import benchmark, evaluation, process
from compress.measure import run as together
from compress.measure.benchmark import Suite, read_suite
from compress.measure.interference import Reading
from tests.artifacts import same_model, tiny_onnx, tiny_task, tiny_torch
from tests.workers import WorkerHere, workers_here

__all__ = ["tiny_onnx", "tiny_task", "tiny_torch", "workers_here"]

SUITE = Suite.model_validate(
    {
        "name": "tiny",
        "threads": 1,
        "rounds": 3,
        "repeats": 1,
        "options": ("ours", "default"),
        "conditions": (
            {"batch": 1, "length": "real", "calls": 5},
            {"batch": 2, "length": 16, "calls": 4},
            {"batch": 1, "length": 2000, "calls": 1},  # longer than the models read
        ),
    }
)


@dataclass
class Ran:
    """A finished benchmark and what it was made of."""

    found: Measurements
    folder: Path
    cache: Path
    artifacts: list[tuple[str, Artifact]]

    def all(self, name: str, artifact: str, **condition: Any) -> list[Measurement]:
        """The measurements of that name of an artifact under a condition."""
        fingerprint = next(one.fingerprint for one in self.found.artifacts if one.name == artifact)
        return [
            one
            for one in self.found.measurements
            if (one.name, one.artifact) == (name, fingerprint)
            and all(one.condition.get(key) == value for key, value in condition.items())
        ]

    def one(self, name: str, artifact: str, **condition: Any) -> Measurement:
        """The only such measurement."""
        (found,) = self.all(name, artifact, **condition)
        return found


@pytest.fixture(scope="module")
def ran(tiny_torch: Artifact, tiny_task: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A root, its export, a torch variant, one whose graph is broken, one in bf16, and the root once more."""
    folder = tmp_path_factory.mktemp("benchmark")
    variant = same_model(tiny_torch, folder / "student")
    broken_folder = folder / "broken"
    broken_folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (broken_folder / name).write_bytes((tiny_torch.folder / name).read_bytes())
    (broken_folder / "model.onnx").write_bytes(b"not a graph")
    broken = tiny_torch.after(Step("quantize", {}), broken_folder, format="onnx", parts={"model": "model.onnx"}).save()
    artifacts = [
        ("student", variant),
        ("broken", broken),
        ("teacher", tiny_torch),
        ("student", _bf16(tiny_torch, folder)),
    ]
    quiet = lambda process_ids, threads: lambda: lambda: Reading(0.0, 0.0)  # noqa: E731 - three nested functions would hide that it is a constant
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "xdg"))
        patch.setattr(benchmark, "Plan", lambda **settings: together.Plan(**settings, watch=quiet))
        found = benchmark.run(artifacts, SUITE, folder / "out", cache=folder / "cache", task=tiny_task)
        yield Ran(found, folder, folder / "cache", artifacts)


def _bf16(root: Artifact, folder: Path) -> Artifact:
    from compress.models.load import load, save, tokenizer

    save(load(root).bfloat16(), tokenizer(root.folder), folder / "bf16")
    return root.after(Step("quantize", {"precision": "bf16"}), folder / "bf16", precision="bf16").save()


def test_the_root_in_torch_and_as_onnx_always_take_part_first_and_nothing_takes_part_twice(ran: Ran) -> None:
    assert [(one.name, one.role) for one in ran.found.artifacts] == [
        ("fp32-torch", "root"),
        ("fp32-onnx", "baseline"),
        ("student", "variant"),
        ("broken", "variant"),
        ("student-2", "variant"),
    ]
    assert len({one.fingerprint for one in ran.found.artifacts}) == 5


def test_what_was_found_is_saved_and_opens_equal(ran: Ran) -> None:
    again = Measurements.open(ran.folder / "out")
    assert json.loads(json.dumps(again.suite)) == json.loads(json.dumps(ran.found.suite))
    assert again.measurements == tuple(
        replace(one, condition=json.loads(json.dumps(one.condition))) for one in ran.found.measurements
    )
    assert (len(again.references), again.suite["threads"]) == (48, 1)
    assert again.machine["packages"]["torch"]
    assert "CPUExecutionProvider" in again.machine["onnxruntime_providers"]


def test_every_metric_of_the_task_is_measured_on_every_example_and_equal_models_agree(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx", "student"):
        accuracy, matthews = ran.one("accuracy", name), ran.one("matthews", name)
        assert accuracy.samples == len(accuracy.per_example) == len(accuracy.predictions) == 48
        assert accuracy.value == pytest.approx(sum(accuracy.per_example) / 48)
        assert matthews.value == ran.one("matthews", "fp32-torch").value
    assert 0 < (ran.one("accuracy", "fp32-torch").value or 0) < 1
    assert ran.one("agreement_with_root", "student").value == 1.0
    assert ran.all("agreement_with_root", "fp32-torch") == []


def test_the_commonest_class_of_the_training_rows_stands_beside_the_models(ran: Ran, tiny_task: dict[str, Any]) -> None:
    task, data = loading.resolve(tiny_task)
    learned = loading.load(task, data, "train").rows["label"]
    commonest = max(sorted(set(learned)), key=list(learned).count)
    (found,) = [one for one in ran.found.without_model if one.name == "accuracy"]
    assert found.predictions == (commonest,) * len(ran.found.references)
    assert found.value == np.mean([one == commonest for one in ran.found.references])
    assert ran.found.baselines["commonest class"]["accuracy"] == found.value
    assert found.notes[:2] == (
        "the same class for every example",
        f"learned from the labels of the {len(learned):,} training rows",
    )


def test_probabilities_are_scored_beside_the_accuracy_in_the_tasks_own_order(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx", "student"):
        accuracy, ece, brier = (ran.one(one, name) for one in ("accuracy", "calibration_error", "brier_score"))
        assert len(ece.raw) == len(brier.per_example) == len(ran.found.references)
        # Two classes: what is sure and right is (1 - confidence)^2 away in both, what is wrong confidence^2.
        distance = np.where(accuracy.per_example, 1 - np.array(ece.raw), np.array(ece.raw))
        assert brier.per_example == pytest.approx(2 * distance**2, abs=1e-5)
        assert min(ece.raw) >= 0.5
        assert ece.interval is not None
        assert not ece.higher_is_better
    assert ran.one("brier_score", "broken").absent == ran.one("accuracy", "broken").absent


def test_every_row_is_in_a_slice_and_what_only_a_variant_gets_wrong_lies_beside_the_measurements(ran: Ran) -> None:
    assert ran.found.slices["label"]["rows"] == [int(one) for one in ran.found.references]
    assert len(ran.found.slices["length"]["rows"]) == len(ran.found.references)
    lost = json.loads((ran.folder / "out" / "lost_examples.json").read_text())
    right = {name: ran.one("accuracy", name).per_example for name in ("fp32-torch", "student")}
    assert lost["student"]["lost"] == sum(a > b for a, b in zip(right["fp32-torch"], right["student"], strict=True))


def test_accuracy_is_what_transformers_itself_gives(ran: Ran, tiny_torch: Artifact, tiny_task: dict[str, Any]) -> None:
    import csv

    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_torch.folder)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_torch.folder).eval()
    with Path(tiny_task["data"]["evaluation"]).open() as stream:
        rows = list(csv.DictReader(stream))
    with torch.no_grad():
        said = [int(model(**tokenizer(row["review"], return_tensors="pt")).logits.argmax()) for row in rows]
    assert list(ran.one("accuracy", "fp32-torch").predictions) == said
    right = [tiny_task["labels"][one] == row["mood"] for one, row in zip(said, rows, strict=True)]
    assert list(ran.one("accuracy", "fp32-torch").per_example) == [float(one) for one in right]


def test_fp32_models_answer_alike_in_batches_and_one_at_a_time(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx", "student"):
        found = ran.one("answers_changed_by_batch", name)
        assert (found.value, found.samples, found.notes) == (0.0, 48, ())
        assert (found.condition["batch"], found.condition["against_batch"]) == (1, 32)


def test_latency_of_every_model_stands_beside_the_baselines_in_the_same_rounds(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx", "student"):
        for options in ("ours", "default"):
            under = {"batch": 2, "length": 16, "options": options}
            median, speedup = ran.one("latency_seconds", name, **under), ran.one("speedup", name, **under)
            assert len(median.raw) == median.samples == 3 * 4
            assert median.interval is None, "three rounds are too few for one"
            assert len(speedup.raw) == 3
            assert ran.one("throughput", name, **under).value
    assert ran.one("speedup", "fp32-onnx", batch=2, length=16, options="default").value == 1.0


def test_two_choices_of_session_options_are_two_timings_for_onnx_and_one_for_torch(ran: Ran) -> None:
    def raw(name: str, options: str) -> tuple[float, ...]:
        return ran.one("latency_seconds", name, batch=2, length=16, options=options).raw

    assert raw("fp32-onnx", "ours") != raw("fp32-onnx", "default")
    assert raw("student", "ours") == raw("student", "default")


def test_a_condition_that_a_model_cannot_serve_is_absent_with_the_reason_and_the_others_are_not(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx"):
        under = {"options": ran_options(name), "phase": "1x2000"}
        for one in (
            ran.one("latency_seconds", name, batch=1, length=2000, options="ours"),
            ran.one("peak_memory_bytes", name, **under),
        ):
            assert one.value is None
            assert one.absent


def test_memory_is_read_after_each_phase_beside_an_empty_process(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx"):
        options = ran_options(name)
        loaded = ran.one("peak_memory_bytes", name, options=options, phase="loaded").value
        served = ran.one("peak_memory_bytes", name, options=options, phase="2x16").value
        empty = ran.one("empty_process_bytes", name, options=options).value
        assert empty is not None
        assert loaded is not None
        assert served is not None
        assert empty < loaded <= served


def ran_options(name: str) -> str:
    return "default" if name == "fp32-torch" else "ours"


def test_a_broken_artifact_is_absent_with_the_reason_everywhere_and_stops_nobody(ran: Ran) -> None:
    found = [one for one in ran.found.measurements if one.artifact == ran.artifacts[1][1].fingerprint()]
    names = {one.name for one in found}
    assert {"accuracy", "matthews", "latency_seconds", "speedup", "peak_memory_bytes", "disk_bytes"} <= names
    assert all(one.value is None and "model.onnx" in str(one.absent) for one in found)


def test_a_bf16_checkpoint_runs_in_torch_and_its_onnx_row_is_absent_with_the_reason(ran: Ran) -> None:
    rows = ran.all("latency_seconds", "student-2", batch=2, length=16)
    assert {(one.condition["runtime"], one.value is None) for one in rows} == {
        ("pytorch", False),
        ("onnx_runtime", True),
    }
    assert "bf16" in str(next(one for one in rows if one.value is None).absent)
    agreement = ran.one("agreement_with_root", "student-2").value
    assert agreement is not None
    assert agreement > 0.9


def test_sizes_are_measured_of_every_model_that_is_one(ran: Ran) -> None:
    for name in ("fp32-torch", "fp32-onnx", "student"):
        assert ran.one("parameters", name).value == pytest.approx(ran.one("parameters", "fp32-torch").value, rel=0.01)
    halved = ran.one("disk_bytes", "student-2").value
    assert halved == pytest.approx(0.5 * (ran.one("disk_bytes", "fp32-torch").value or 0), rel=0.05)


@pytest.mark.usefixtures("workers_here")
def test_a_second_run_computes_no_quality_and_no_export_again(
    ran: Ran, tiny_task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = WorkerHere.ask

    def noting(self: WorkerHere, command: str, **arguments: Any) -> dict[str, Any]:
        asked.append(command)
        return original(self, command, **arguments)

    monkeypatch.setattr(WorkerHere, "ask", noting)
    exports = {file: file.stat().st_mtime_ns for file in ran.cache.rglob("*.onnx")}
    suite = SUITE.model_copy(update={"rounds": 1, "options": ("ours",), "conditions": SUITE.conditions[:2]})
    again = benchmark.run(ran.artifacts[2:3], suite, tmp_path, cache=ran.cache, task=tiny_task)
    assert "time" in asked
    assert "predict" not in asked
    assert {file: file.stat().st_mtime_ns for file in ran.cache.rglob("*.onnx")} == exports
    values = {one.artifact: one.value for one in again.measurements if one.name == "accuracy"}
    assert values == {
        one.artifact: one.value for one in ran.found.measurements if one.name == "accuracy" and one.artifact in values
    }


def test_those_that_could_not_be_measured_are_named_and_none_at_all_is_an_error(
    ran: Ran, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(ran.found.unmeasured()) == ["broken"]
    benchmark.check_measured(ran.found)
    assert "could not be measured. broken: " in caplog.text
    left = [one for one in ran.found.artifacts if one.role != together.VARIANT or one.name == "broken"]
    with pytest.raises(CompressError, match="None of the artifacts could be measured, only baselines. broken: "):
        benchmark.check_measured(replace(ran.found, artifacts=tuple(left)))


def test_a_benchmark_in_which_every_worker_dies_is_an_error_and_writes_nothing(
    tiny_torch: Artifact, tiny_task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*given: Any, **named: Any) -> Any:
        raise process.WorkerFailed("its process was ended by SIGKILL, most likely for want of memory")

    monkeypatch.setattr(together.memory, "serve_phases", dies)
    monkeypatch.setattr(evaluation, "WorkerProcess", lambda *given, **named: contextlib.nullcontext(Closed()))
    monkeypatch.setattr(benchmark, "_fp32_onnx", lambda *given: None)
    with pytest.raises(CompressError, match="Nothing could be measured.* fp32-torch: its process was ended by SIGKILL"):
        benchmark.run([("teacher", tiny_torch)], SUITE, tmp_path / "out", cache=tmp_path, task=tiny_task)
    assert not (tmp_path / "out" / "measurements.json").exists()


class Closed:
    """A worker that can be closed."""

    def close(self) -> None:
        pass


@pytest.mark.usefixtures("workers_here")
def test_an_interrupted_benchmark_goes_on_and_a_finished_one_is_reused(
    ran: Ran, tiny_task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = WorkerHere.ask

    def interrupted(self: WorkerHere, command: str, **arguments: Any) -> dict[str, Any]:
        asked.append(command)
        if asked.count("time") == 7:  # two to warm up, then two a round
            raise KeyboardInterrupt
        return original(self, command, **arguments)

    suite = SUITE.model_copy(update={"options": ("ours",), "repeats": 0, "conditions": SUITE.conditions[1:2]})

    def measured(**changes: Any) -> Measurements:
        asked.clear()
        return benchmark.run(ran.artifacts[2:3], suite, tmp_path, cache=ran.cache, task=tiny_task, **changes)

    monkeypatch.setattr(WorkerHere, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measured()
    monkeypatch.setattr(WorkerHere, "ask", lambda *a, **k: asked.append(a[1]) or original(*a, **k))
    found = measured()
    assert (asked.count("load"), asked.count("serve"), asked.count("time")) == (2, 0, 2 + 2)
    assert [len(one.raw) for one in found.measurements if one.name == "latency_seconds"] == [12, 12]
    assert any("interrupted and went on after 2 of 3 rounds" in note for note in found.notes)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lost_examples.json", "measurements.json"]

    assert measured().plan == found.plan
    assert asked == []
    suite = suite.model_copy(update={"rounds": 2})
    with pytest.raises(CompressError, match="holds other measurements.*--force"):
        measured()
    assert asked == []
    assert measured(existing="replace").plan != found.plan


def test_a_root_that_is_gone_is_named(tiny_torch: Artifact, tiny_task: dict[str, Any], tmp_path: Path) -> None:
    lost = replace(tiny_torch, folder=tmp_path / "gone")
    orphan = same_model(tiny_torch, tmp_path / "orphan")
    orphan = replace(orphan, ancestors=lost.after(Step("distill", {}), tmp_path).ancestors)
    with pytest.raises(CompressError, match="gone, and nothing is compared without its origin"):
        benchmark.run([("orphan", orphan)], SUITE, tmp_path / "out", cache=tmp_path / "cache", task=tiny_task)


def test_another_model_where_the_root_was_is_refused(
    tiny_torch: Artifact, tiny_task: dict[str, Any], tmp_path: Path
) -> None:
    variant = same_model(tiny_torch, tmp_path / "variant")
    impostor = same_model(variant, tmp_path / "impostor")
    moved = replace(variant, ancestors=({**variant.ancestors[0], "folder": str(impostor.folder)},))
    with pytest.raises(CompressError, match="made from another model"):
        benchmark.run([("moved", moved)], SUITE, tmp_path / "out", cache=tmp_path / "cache", task=tiny_task)


def test_a_task_with_other_labels_than_the_models_is_refused_before_anything_is_started(
    tiny_torch: Artifact, tiny_task: dict[str, Any], tmp_path: Path
) -> None:
    task = {**tiny_task, "labels": ["negative", "neutral", "positive"]}
    with pytest.raises(CompressError, match="has 2 labels .* has 3"):
        benchmark.run([("model", tiny_torch)], SUITE, tmp_path / "out", cache=tmp_path / "cache", task=task)


def test_without_a_task_nothing_is_started(tiny_torch: Artifact, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="no task to be measured on"):
        benchmark.run([("model", tiny_torch)], SUITE, tmp_path / "out", cache=tmp_path / "cache")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", shipped.names("benchmarks"))
def test_every_shipped_suite_loads_and_holds_the_three_conditions_that_speeds_are_quoted_under(name: str) -> None:
    suite = read_suite(name)
    assert suite.name == name
    assert {"1xreal", "1x128", "32x64"} <= {one.key for one in suite.timed()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("round: 3\nconditions: [{batch: 1, length: 8, calls: 1}]", "Unknown setting 'round'.*line 1.*'rounds'"),
        ("rounds: 3", "'conditions' is missing"),
        ("conditions: []", "conditions"),
        ("conditions: [{batch: 0, length: 8, calls: 1}]", "batch"),
        ("conditions: [{batch: 1, length: long, calls: 1}]", "length"),
        ("options: [our]\nconditions: [{batch: 1, length: 8, calls: 1}]", "Did you mean 'ours'"),
        ("repeats: 9\nconditions: [{batch: 1, length: 8, calls: 1}]", "repeats"),
        (
            "conditions: [{batch: 1, length: 8, calls: 1}, {batch: 1, length: 8, calls: 2}]",
            "the condition 1x8 is there twice",
        ),
    ],
)
def test_a_mistake_in_a_suite_is_one_line_that_says_what_and_where(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text + "\n")
    with pytest.raises(CompressError, match=message) as caught:
        read_suite(str(file))
    assert "\n" not in str(caught.value)


def test_a_suite_without_threads_takes_two_or_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = read_suite("quick")
    assert suite.threads is None
    for cores, threads in ((1, 1), (2, 2), (64, 2)):
        monkeypatch.setattr("compress.measure.suite.available_cores", lambda cores=cores: cores)
        assert suite.with_defaults().threads == threads
