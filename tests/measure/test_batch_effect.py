"""Tests of the count of answers that depend on the batch."""

from __future__ import annotations

import numpy as np

from compress.measure import batch_effect
from compress.runtimes.rows import Rows


def test_all_examples_are_compared_or_two_hundred_at_equal_distances() -> None:
    assert batch_effect.examples(3) == [0, 1, 2]
    many = batch_effect.examples(1000)
    assert (len(many), many[0], many[-1]) == (200, 0, 999)
    assert set(np.diff(many)) == {5, 6} or set(np.diff(many)) == {5}


def test_the_examples_with_another_answer_are_counted_and_named() -> None:
    tags = [np.array([1, 2]), np.array([0]), np.array([1])]
    found = batch_effect.changed(
        "f", [4, 7, 9], tags, [np.array([1, 2]), np.array([1]), np.array([0])], 32, {"split": "evaluation"}
    )
    assert (found.name, found.value, found.samples, found.raw) == ("answers_changed_by_batch", 2.0, 3, (7.0, 9.0))
    assert found.condition == {"split": "evaluation", "batch": 1, "against_batch": 32}
    assert found.notes == ("2 of 3 examples get another answer one at a time than in batches of 32",)
    same = batch_effect.changed("f", [4, 7, 9], tags, tags, 32, {})
    assert (same.value, same.notes) == (0.0, ())


def test_chosen_rows_keep_all_that_belongs_to_them() -> None:
    rows = Rows.encode(
        {"input_ids": [[1], [2, 3], [4, 5, 6]]}, word_ids=[[0], [-1, 0], [0, 0, 1]], about={"example": ["a", "b", "c"]}
    )
    found = rows.chosen([2, 0])
    assert [row.tolist() for row in found.columns["input_ids"]] == [[4, 5, 6], [1]]
    assert found.about == {"example": ["c", "a"]}
    assert found.answers_at is not None
    assert found.answer_words is not None
    assert [one.tolist() for one in found.answers_at] == [[0, 2], [0]]
    assert [one.tolist() for one in found.answer_words] == [[0, 1], [0]]
