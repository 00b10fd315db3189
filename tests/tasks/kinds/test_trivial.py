"""Trivial baselines: each kind of task has those that a model must beat, and they see no label of what they predict."""

from __future__ import annotations

import numpy as np
import pytest

from compress.tasks import kinds
from compress.tasks.kinds.trivial import Known

ROWS = {"text": ["a b", "b c d", "d"]}


def predicted(task_kind: str, labels: object, texts: object = ()) -> dict[str, list[object]]:
    """What each baseline of a kind says of three rows."""
    known = Known(ROWS if task_kind != "token_classification" else {"text": [["a", "b"], ["x"]]}, labels, texts)  # type: ignore[arg-type]  # labels of every kind
    found = {one.name: one.predict(known) for one in kinds.by_task(task_kind).trivial[task_kind]}
    return {name: [np.asarray(row).tolist() for row in rows] for name, rows in found.items()}


def test_the_commonest_class_is_said_of_every_row() -> None:
    assert predicted("classification", np.array([2.0, 1.0, 1.0, 0.0])) == {"commonest class": [1.0, 1.0, 1.0]}


def test_the_commonest_combination_of_labels_is_said_of_every_row() -> None:
    labels = np.array([[1, 0], [0, 1], [1, 1], [1, 1]])
    assert predicted("multi_label_classification", labels) == {"commonest labels": [[1.0, 1.0]] * 3}


def test_the_mean_is_said_of_every_row() -> None:
    assert predicted("regression", np.array([1.0, 4.0])) == {"mean": [2.5] * 3}


def test_a_word_gets_the_tag_that_it_has_most_often_and_an_unseen_one_the_commonest_of_all() -> None:
    texts, tags = [["a", "b", "a"], ["a", "c"]], [np.array([1, 0, 1]), np.array([0, 0])]
    assert predicted("token_classification", tags, texts) == {
        "commonest tag": [[0, 0], [0]],
        "commonest tag of each word": [[1, 0], [0]],
    }


def test_tags_that_do_not_count_are_not_learned() -> None:
    tags = [np.array([-100, -100, -100]), np.array([3, 3])]
    assert predicted("token_classification", tags, [["a", "b", "a"], ["a", "c"]])["commonest tag"] == [[3, 3], [3]]


def test_a_translation_is_compared_with_its_source_and_language_modelling_with_nothing() -> None:
    assert predicted("translation", ()) == {"source": ROWS["text"]}
    assert "language_modelling" not in kinds.by_task("language_modelling").trivial


@pytest.mark.parametrize("kind", [name for name in kinds.of_tasks() if name != "language_modelling"])
def test_every_other_kind_of_task_has_one(kind: str) -> None:
    assert kinds.by_task(kind).trivial[kind]
