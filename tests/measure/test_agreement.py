"""Tests of how often two models answer the same: by classes, by texts, by tokens."""

from __future__ import annotations

import numpy as np
import pytest

from compress.measure import agreement
from compress.tasks.task import Task

CLASSES = Task("t", "classification", ("text",), "label", ("accuracy",), ("no", "yes"))
SCORES = Task("s", "regression", ("text",), "label", ("pearson",), label_range=(0.0, 5.0))
UNDER = {"split": "evaluation", "beams": 1, "max_new_tokens": 6}
OUTPUTS = ["the old boat sank", "a new ship", "nothing", "the storm was strong"]


def test_agreement_counts_equal_classes_whether_right_or_wrong() -> None:
    mine, root = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0])
    found = agreement.of_predictions("f", mine, root, CLASSES, {})
    assert found.value == 0.5
    assert found.per_example == (1.0, 1.0, 0.0, 0.0)
    assert found.interval is not None
    assert found.interval[0] < 0.5 < found.interval[1]


def test_agreement_of_words_is_an_examples_share_and_of_labels_all_of_them_or_none() -> None:
    words = Task("w", "token_classification", ("tokens",), "tags", ("entity_f1",), ("O", "B-X"))
    ours, theirs = [np.array([0, 1, 1, 0]), np.array([1])], [np.array([0, 1, 0, 0]), np.array([1])]
    assert agreement.of_predictions("f", ours, theirs, words, {}).value == (0.75 + 1) / 2
    several = Task("m", "multi_label_classification", ("text",), "label", ("f1_micro",), ("a", "b"))
    sets = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    assert agreement.of_predictions("f", *sets, several, {}).value == 0.5


def test_agreement_is_absent_with_its_reason_where_there_is_none() -> None:
    assert "could not be run" in str(agreement.of_predictions("f", np.ones(3), None, CLASSES, {}).absent)
    assert "not classes" in str(agreement.of_predictions("f", np.ones(3), np.ones(3), SCORES, {}).absent)


def test_agreement_is_the_share_of_outputs_that_are_the_roots_to_the_letter() -> None:
    found = agreement.of_texts("abc", OUTPUTS, ["the old boat sank ", "a new boat", "nothing", "Nothing"], UNDER)
    assert (found.value, found.per_example) == (0.5, (1.0, 0.0, 1.0, 0.0))
    lost = agreement.of_texts("abc", OUTPUTS, None, UNDER)
    assert lost.value is None


def test_token_accuracy_is_weighted_by_tokens_and_added_up_by_document() -> None:
    mine = [np.array([-100, 5, 6]), np.array([-100, 7, 8, 9]), np.array([-100, 1])]
    root = [np.array([-100, 5, 0]), np.array([-100, 7, 8, 9]), np.array([-100, 2])]
    found = agreement.of_tokens("abc", mine, root, [0, 0, 3], UNDER)
    assert found.value == pytest.approx(4 / 6)
    assert found.statistics == ((4.0, 5.0), (0.0, 1.0))
    assert found.condition["against"] == "root"


def test_a_model_with_other_tokens_than_the_root_has_no_token_accuracy() -> None:
    found = agreement.of_tokens("abc", [np.array([-100, 5])], [np.array([-100, 5, 6])], None, UNDER)
    assert "other tokens" in str(found.absent)
