"""Which output is which label is told by names alone, and where they tell nothing it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.core.errors import CompressError
from compress.data.loading import resolve
from compress.measure.quality import of_task
from compress.models import labels
from compress.models.load import check_labels, check_opens, classifier, for_task
from compress.models.task_heads import in_task_order
from tests.tiny import FAMILIES, write_model

MOODS = ("negative", "positive")
STARS = ("1", "2", "3", "4", "5")
ENTAILMENT = ("entailment", "neutral", "contradiction")


def described(names: tuple[str, ...], **more: Any) -> Any:
    return resolve({"name": "mine", "data": "d", "text": "a", "label": "b", "labels": list(names), **more})[0]


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (MOODS, ("negative", "positive"), (0, 1)),
        (MOODS, (" POSITIVE", "Negative "), (1, 0)),
        (MOODS, ("pos", "neg"), (1, 0)),
        (MOODS, ("LABEL_0", "LABEL_1"), (0, 1)),
        (MOODS, ("0", "1"), (0, 1)),
        (("0", "1"), ("cat", "dog"), (0, 1)),  # the task gives positions alone
        (("no", "yes"), ("True", "False"), (1, 0)),
        (("not_entailment", "entailment"), ("entailment", "not entailment"), (1, 0)),
        (ENTAILMENT, ("CONTRADICTION", "ENTAILMENT", "NEUTRAL"), (1, 2, 0)),
        (STARS, ("5 stars", "4 stars", "3 stars", "2 stars", "1 star"), (4, 3, 2, 1, 0)),
        (STARS, ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"), (0, 1, 2, 3, 4)),
        (("1", "0"), ("LABEL_0", "LABEL_1"), (1, 0)),  # a number is a name too
        (("0", "1"), ("POS", "NEG"), None),  # 1 is the second output, or the true one
        (("-1", "0", "1"), ("-1", "0", "1"), (0, 1, 2)),
        (("-1", "0"), ("LABEL_0", "LABEL_1"), (0, 1)),
        (("A", "A-"), ("A-", "A"), (1, 0)),
        (("us", "US"), ("US", "us"), (1, 0)),
        (MOODS, ("cat", "dog"), None),
        (MOODS, ("LABEL_1", "LABEL_0"), None),
        (MOODS, ("p", "n"), None),
        (MOODS, ("negative", "NEGATIVE"), None),
        (("pose", "positive"), ("pos", "pose"), None),
    ],
)
def test_names_decide_and_nothing_is_guessed(
    wanted: tuple[str, ...], found: tuple[str, ...], expected: tuple[int, ...] | None
) -> None:
    assert labels.order(found, described(wanted)) == expected


def test_a_task_may_say_what_a_models_names_mean_and_its_own_names_stay() -> None:
    task = described(MOODS, model_labels={"Dog": "negative", "cat": "positive"})
    assert labels.order(("cat", "dog"), task) == (1, 0)
    assert labels.order(MOODS, task) == (0, 1)
    assert task.from_json(task.to_json()) == task


@pytest.mark.parametrize("by_id", [5, "ab", {"x": "a"}, {"0": "a", "2": "b"}, {}, ["a", "b"]])
def test_names_that_are_not_one_for_each_output_are_refused(by_id: Any) -> None:
    with pytest.raises(CompressError, match="does not name the outputs 0, 1"):
        labels.of_config({"id2label": by_id}, "folder")


def test_two_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", num_hidden_layers=1, id2label={0: "good", 1: "good"}, label2id={"good": 1})
    with pytest.raises(CompressError, match="calls two outputs 'good'"):
        check_opens(folder)


def swapped(folder: Path, family: str = "bert", names: tuple[str, ...] = ("POSITIVE", "NEGATIVE")) -> Path:
    by_id = dict(enumerate(names))
    return write_model(folder, family, id2label=by_id, label2id={name: place for place, name in by_id.items()})


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = classifier(folder)(input_ids=torch.arange(5, 25).reshape(2, 10)).logits
    return found


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "mpnet", "electra", "deberta-v2"])
def test_a_copy_in_the_tasks_order_gives_the_same_outputs_in_that_order(family: str, tmp_path: Path) -> None:
    from compress.models.load import resolve_model

    assert family in FAMILIES
    source = resolve_model(str(swapped(tmp_path / "model", family)))
    task = described(MOODS)
    moved = in_task_order(source, task, tmp_path / "scratch")
    torch.testing.assert_close(logits(moved.folder), logits(source.folder)[:, [1, 0]], rtol=0, atol=0)
    assert classifier(moved.folder).config.id2label == dict(enumerate(MOODS))
    assert in_task_order(moved, task, tmp_path / "scratch") is moved


def test_a_head_trained_for_the_labels_keeps_its_rows_by_name_and_one_of_other_labels_is_initialized(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    task, folder = described(MOODS), swapped(tmp_path / "model")
    model = for_task(folder, task, seed=0).eval()
    with torch.no_grad():
        found = model(input_ids=torch.arange(5, 25).reshape(2, 10)).logits
    torch.testing.assert_close(found, logits(folder)[:, [1, 0]], rtol=0, atol=0)
    assert "POSITIVE, NEGATIVE are reordered by name to the task's order negative, positive" in caplog.text

    other = swapped(tmp_path / "other", names=("cat", "dog"))
    anew = for_task(other, task, seed=7)
    kept = classifier(other)
    assert not torch.equal(anew.classifier.weight, kept.classifier.weight)
    assert torch.equal(anew.bert.embeddings.word_embeddings.weight, kept.bert.embeddings.word_embeddings.weight)
    assert "has the labels cat, dog, the task negative, positive: its head is newly initialized" in caplog.text


def test_a_trained_model_of_other_labels_is_refused_with_how_to_say_what_they_mean(tmp_path: Path) -> None:
    other = swapped(tmp_path / "other", names=("cat", "dog"))
    with pytest.raises(
        CompressError, match=r"cat, dog.*negative, positive.*`model_labels: \{cat: negative, dog: positive\}`"
    ):
        check_labels(other, described(MOODS))
    check_labels(other, described(MOODS, model_labels={"cat": "negative", "dog": "positive"}))
    check_labels(swapped(tmp_path / "swapped"), described(MOODS))
    with pytest.raises(CompressError, match="in the order POSITIVE, NEGATIVE.*compress import"):
        check_labels(tmp_path / "swapped", described(MOODS), is_kept=True)


def test_what_is_measured_is_scored_by_the_names_of_the_outputs(tmp_path: Path) -> None:
    folder = swapped(tmp_path / "model")
    assert of_task(np.array([0.0, 1.0, 1.0]), folder, described(MOODS)).tolist() == [1, 0, 0]


def test_what_is_pruned_or_brought_in_has_its_outputs_in_the_tasks_order(tmp_path: Path, task: dict[str, Any]) -> None:
    from compress.core.catalogue import find
    from compress.models.load import resolve_model
    from compress.techniques.apply import apply

    source = resolve_model(str(swapped(tmp_path / "model")))
    for name, settings in (("import", {}), ("prune", {"method": "magnitude", "sparsity": 0.3})):
        technique = find("techniques", name)
        with_task = apply(technique, source, technique.settings(**settings), tmp_path / name, task=task)
        without = apply(technique, source, technique.settings(**settings), tmp_path / f"{name}-alone")
        torch.testing.assert_close(logits(with_task.folder), logits(without.folder)[:, [1, 0]], rtol=0, atol=0)
        assert classifier(with_task.folder).config.id2label == dict(enumerate(MOODS))
        assert classifier(without.folder).config.id2label == {0: "POSITIVE", 1: "NEGATIVE"}
