"""Tagged words and sets of labels go through every command, as one class a text does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sklearn

import compress
from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.data import loading
from compress.metrics import entity_f1
from compress.models.load import resolve_model
from compress.report.schema import ReportFile
from compress.runtimes.predict import opened
from compress.tasks.task import Task
from compress.techniques.apply import apply
from tests.tiny import write_model
from tests.workers import workers_here

__all__ = ["workers_here"]

LIMIT = {"train": 96, "evaluation": 24}


def made(technique: str, source: Artifact, out: Path, task: dict[str, Any], **settings: Any) -> Artifact:
    found = find("techniques", technique)
    return apply(found, source, found.settings(**settings), out, task=task)


@pytest.fixture(scope="module", params=["entities", "topics"])
def teacher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp(request.param)
    task = {"name": request.param, "limit": LIMIT, "holdout": 0.3}
    base = write_model(folder / "base", "bert", num_hidden_layers=2)
    return made("finetune", resolve_model(str(base)), folder / "teacher", task, epochs=1, precision="fp32")


def _task(one: Artifact) -> dict[str, Any]:
    assert one.task is not None
    return dict(one.task)


def test_the_labels_of_the_task_are_the_models_and_thresholds_are_kept(teacher: Artifact) -> None:
    task = loading.resolve(_task(teacher))[0]
    assert set(teacher.steps[-1].facts["curves"]) == {"loss", f"{task.metric} on held-out rows"}
    if task.is_multi_label:
        assert set(teacher.facts["thresholds"]) == set(task.label_names)
    else:
        assert "thresholds" not in teacher.facts


@pytest.mark.parametrize(
    ("technique", "settings"),
    [
        ("distill", {"layers": 1, "epochs": 1, "hidden_weight": 0.1, "precision": "fp32", "allow_poor_teacher": True}),
        (
            "distill",
            {
                "layers": 1,
                "epochs": 1,
                "layer_choice": "importance",
                "with_baseline": True,
                "precision": "fp32",
                "allow_poor_teacher": True,
            },
        ),
        ("prune", {"method": "structured", "importance": "fisher", "target_ratio": 0.7}),
        ("prune", {"method": "kwon", "target_ratio": 0.7}),
    ],
    ids=["distil", "importance and comparison", "fisher", "kwon"],
)
def test_it_is_made_smaller(technique: str, settings: dict[str, Any], teacher: Artifact, tmp_path: Path) -> None:
    smaller = made(technique, teacher, tmp_path / "smaller", _task(teacher), **settings)
    answer = next(iter(opened(smaller).answers(["a good film"])))
    assert set(answer) in ({"words", "tags", "entities"}, {"labels", "probabilities"})
    if "with_baseline" in settings:
        assert smaller.steps[-1].facts["teacher_effect"]["rows"] == LIMIT["evaluation"]


@pytest.mark.slow
def test_its_graphs_answer_as_it_does_in_fp32_and_in_integers(teacher: Artifact, tmp_path: Path) -> None:
    graph = made("export", teacher, tmp_path / "onnx", _task(teacher))
    dynamic = made("quantize", teacher, tmp_path / "dynamic", _task(teacher), allow_disagreement=True)
    made("quantize", teacher, tmp_path / "static", _task(teacher), mode="static", allow_disagreement=True)
    trained = made(
        "qat",
        teacher,
        tmp_path / "qat",
        _task(teacher),
        epochs=1,
        precision="fp32",
        allow_disagreement=True,
        allow_poor_teacher=True,
    )
    texts = ["a good film", "an awful book is dull"]
    first = list(opened(teacher).answers(texts))
    for one in (graph, dynamic, trained):
        found = list(opened(one).answers(texts))
        assert [set(answer) for answer in found] == [set(answer) for answer in first]
    if "probabilities" in first[0]:
        wanted, found = (
            [list(answer["probabilities"].values()) for answer in opened(one).answers(texts)]
            for one in (teacher, graph)
        )
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    else:
        assert list(opened(graph).answers(texts)) == first


@pytest.mark.slow
@pytest.mark.usefixtures("workers_here")
def test_it_is_benchmarked_and_reported_beside_a_smaller_one(teacher: Artifact, tmp_path: Path) -> None:
    smaller = made("prune", teacher, tmp_path / "smaller", _task(teacher), method="magnitude", sparsity=0.5)
    suite = tmp_path / "suite.yaml"
    suite.write_text("rounds: 2\nrepeats: 0\noptions: [ours]\nconditions: [{batch: 1, length: real, calls: 2}]\n")
    compress.benchmark([teacher.folder, smaller.folder], tmp_path / "bench", suite=suite)
    compress.write_report(tmp_path / "bench", tmp_path / "report")
    data = (tmp_path / "report" / "report.json").read_text()
    ReportFile.model_validate_json(data)
    (run,) = json.loads(data)["runs"]

    variants = {one["name"]: one for one in run["artifacts"]}
    assert set(variants) == {"fp32-torch", "fp32-onnx", "smaller"}
    assert variants["fp32-onnx"]["agreement_share"]["value"] == 1
    task = loading.resolve(_task(teacher))[0]
    assert {(one["name"], one["metric"]) for one in run["tests"]} >= {("smaller", metric) for metric in task.metrics}
    read = loading.load(task, None, "evaluation").rows
    answers = list(
        opened(smaller).answers([text if isinstance(text, str) else " ".join(text) for text in read["text"]])
    )
    found = variants["smaller"]["quality_share"][task.metric]["value"]
    assert found["value"] == pytest.approx(_score(task, answers, read["label"][:]))


def _score(task: Task, answers: list[dict[str, Any]], labels: Any) -> float:
    """The task's first metric of what `predict` answers."""
    if task.reads_words:
        tags = [np.array([task.label_names.index(tag) for tag in one["tags"]]) for one in answers]
        metric = entity_f1.METRIC.for_task(task)
        return metric.score_of(metric.statistics(tags, [np.array(row) for row in labels]))
    found = np.array([[name in one["labels"] for name in task.label_names] for one in answers])
    return float(sklearn.f1_score(np.array(labels) > 0, found, average="micro", zero_division=0))


def test_a_model_of_one_class_a_text_is_refused(teacher: Artifact, make_model: Any, tmp_path: Path) -> None:
    refused = {
        "entities": "is one for sequence classification, but the task entities",
        "topics": "gives one of its labels",
    }
    with pytest.raises(CompressError, match=refused[_task(teacher)["name"]]):
        made("distill", resolve_model(str(make_model("bert"))), tmp_path / "student", _task(teacher), layers=1)
