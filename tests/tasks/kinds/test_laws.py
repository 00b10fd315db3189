"""What scores mean: a class, labels each by itself, or a number."""

from __future__ import annotations

import numpy as np
import pytest

from compress.tasks.kinds.laws import BINARY, CATEGORICAL, NUMBER

SCORES = np.array([[2.0, -1.0, 0.5], [-3.0, -2.0, -1.0]])


def test_a_class_is_the_largest_score_and_labels_are_those_above_one_half() -> None:
    assert CATEGORICAL.decide(SCORES).tolist() == [0, 2]
    assert BINARY.decide(SCORES).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert NUMBER.decide(SCORES[:, :1]).tolist() == [2.0, -3.0]


def test_probabilities_are_softmax_of_classes_and_sigmoid_of_labels() -> None:
    odds = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
    np.testing.assert_allclose(CATEGORICAL.probabilities(SCORES), odds, rtol=1e-12)
    np.testing.assert_allclose(BINARY.probabilities(SCORES), 1 / (1 + np.exp(-SCORES)), rtol=1e-12)
    assert (BINARY.probabilities(SCORES) > 0.5).tolist() == BINARY.decide(SCORES).astype(bool).tolist()


def test_two_models_differ_where_their_predictions_do() -> None:
    other = np.array([[2.0, -1.0, -0.5], [-3.0, -2.0, -1.5]])
    assert CATEGORICAL.differs(SCORES, other).tolist() == [False, False]
    assert BINARY.differs(SCORES, other).tolist() == [True, False]
    assert NUMBER.differs(SCORES[:, :1], SCORES[:, :1]).tolist() == [False, False]


def test_the_margin_is_the_distance_to_another_prediction() -> None:
    assert CATEGORICAL.margin(SCORES) == pytest.approx([1.5, 1.0])
    assert BINARY.margin(SCORES) == pytest.approx([0.5, 1.0])
