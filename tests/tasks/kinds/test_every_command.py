"""Tagged words and sets of labels go through every command, as one class a text does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.data import loading
from compress.models.load import resolve_model
from compress.runtimes.predict import opened
from compress.techniques.apply import apply
from tests.tiny import write_model

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


def test_a_model_of_one_class_a_text_is_refused(teacher: Artifact, make_model: Any, tmp_path: Path) -> None:
    refused = {
        "entities": "is one for sequence classification, but the task entities",
        "topics": "gives one of its labels",
    }
    with pytest.raises(CompressError, match=refused[_task(teacher)["name"]]):
        made("distill", resolve_model(str(make_model("bert"))), tmp_path / "student", _task(teacher), layers=1)
