"""What scores mean: a class, labels each by itself, or a number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from compress.tasks.kinds.laws import BINARY, CATEGORICAL, NUMBER, TOKENS, Law

SCORES = np.array([[2.0, -1.0, 0.5], [-3.0, -2.0, -1.0]])


def test_a_class_is_the_largest_score_and_labels_are_those_above_one_half() -> None:
    assert CATEGORICAL.decide(SCORES).tolist() == [0, 2]
    assert BINARY.decide(SCORES).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert BINARY.decide(np.zeros((1, 2))).tolist() == [[0, 0]]
    assert NUMBER.decide(SCORES[:, :1]).tolist() == [2.0, -3.0]


def test_probabilities_are_softmax_of_classes_and_sigmoid_of_labels() -> None:
    odds = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
    np.testing.assert_allclose(CATEGORICAL.probabilities(SCORES), odds, rtol=1e-12)
    assert CATEGORICAL.probabilities(np.array([[1000.0, 0.0]])).tolist() == [[1, 0]]
    np.testing.assert_allclose(BINARY.probabilities(SCORES), 1 / (1 + np.exp(-SCORES)), rtol=1e-12)
    assert (BINARY.probabilities(SCORES) > 0.5).tolist() == BINARY.decide(SCORES).astype(bool).tolist()


@pytest.mark.parametrize("law", [CATEGORICAL, BINARY])
def test_scores_have_the_probabilities_that_they_were_made_of(law: Law) -> None:
    given = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [1e-9, 0.5 - 1e-9, 0.5]])
    scores = law.scores(given)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(law.probabilities(scores), given, rtol=1e-6, atol=1e-300)


def test_a_temperature_softens_written_probabilities_to_their_root() -> None:
    given = np.array([0.7, 0.2, 0.1])
    softened = CATEGORICAL.probabilities(CATEGORICAL.scores(given) / 4)
    np.testing.assert_allclose(softened, given**0.25 / (given**0.25).sum())
    assert CATEGORICAL.probabilities(CATEGORICAL.scores(np.array([1.0, 0.0])) / 16) == pytest.approx([1, 0], abs=1e-15)


def test_a_stated_label_has_its_confidence_and_the_others_share_the_rest() -> None:
    np.testing.assert_allclose(CATEGORICAL.stated(np.array([2, 0]), 3, 0.8), [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])
    np.testing.assert_allclose(BINARY.stated(np.array([[1, 0]]), 2, 0.8), [[0.8, 0.2]])
    assert CATEGORICAL.stated(np.array([1]), 2, 1.0).tolist() == [[0, 1]]


def test_two_models_differ_where_their_predictions_do() -> None:
    other = np.array([[2.0, -1.0, -0.5], [-3.0, -2.0, -1.5]])
    assert CATEGORICAL.differs(SCORES, other).tolist() == [False, False]
    assert BINARY.differs(SCORES, other).tolist() == [True, False]
    assert NUMBER.differs(SCORES[:, :1], SCORES[:, :1]).tolist() == [False, False]


def test_the_margin_is_the_distance_to_another_prediction() -> None:
    assert CATEGORICAL.margin(SCORES) == pytest.approx([1.5, 1.0])
    assert BINARY.margin(SCORES) == pytest.approx([0.5, 1.0])


def test_only_a_number_is_one_as_it_stands() -> None:
    assert [law.is_number for law in (CATEGORICAL, BINARY, NUMBER, TOKENS)] == [False, False, True, False]


def test_numbers_are_alike_by_their_correlation_and_constant_ones_where_they_are_equal() -> None:
    few = np.array([1.0, 2.0, 4.0])
    assert NUMBER.similarity(few, np.array([2.0, 1.0, 0.5])) == pytest.approx(np.corrcoef(few, [2.0, 1.0, 0.5])[0, 1])
    assert NUMBER.similarity(few[:2], few[:2] * 3) == pytest.approx(1)
    assert NUMBER.similarity(few[:2], -few[:2]) == pytest.approx(-1)
    # Within a tenth of the size, and of 1 where they are smaller.
    for ours, theirs, alike in ((10.9, 10.0, 1), (11.1, 10.0, 0), (0.09, 0.0, 1), (0.11, 0.0, 0)):
        assert NUMBER.similarity(np.full(3, ours), np.full(3, theirs)) == alike
        assert NUMBER.similarity(np.full(1, ours), np.full(1, theirs)) == alike
    assert NUMBER.similarity(np.full(3, 2.0), few) == NUMBER.similarity(few, np.full(3, 2.0)) == 0
    for odd in (math.nan, math.inf):
        assert NUMBER.similarity(np.array([1.0, odd, 2.0]), few) == -1


@pytest.mark.parametrize(("quantiles", "is_shown"), [(2.32, False), (2.33, True)])
def test_a_correlation_is_negative_at_the_one_sided_level_of_1_percent(quantiles: float, is_shown: bool) -> None:
    """2.326 is the normal quantile; Fisher's transform of a correlation has a standard error of 1 / sqrt(rows - 3)."""
    right, apart = np.linspace(-1, 1, 28), np.tile([1.0, -1.0], 14)
    apart -= apart @ right / (right @ right) * right  # both are centred, and now not correlated
    correlation = -math.tanh(quantiles / 5)
    predicted = correlation * right / np.linalg.norm(right)
    predicted = predicted + math.sqrt(1 - correlation**2) * apart / np.linalg.norm(apart)
    assert bool(NUMBER.worse_than_guessing(predicted[:, None], right)) == is_shown


@pytest.mark.parametrize(("rows", "is_shown"), [(3, False), (4, True)])
def test_three_rows_show_no_negative_correlation(rows: int, is_shown: bool) -> None:
    right = np.arange(rows, dtype=float)
    assert bool(NUMBER.worse_than_guessing(-right[:, None], right)) == is_shown
    assert not NUMBER.worse_than_guessing(-right[:, None], np.ones(rows))


def test_a_label_is_one_where_its_own_outcome_exists() -> None:
    valid = torch.tensor([[True, False], [False, True], [True, True], [True, True]])
    assert CATEGORICAL.labelled(torch.tensor([0, 0, 1, -100]), valid).tolist() == [True, False, True, False]


def test_what_is_worse_than_guessing_is_told_with_its_accuracy_and_that_of_a_guess() -> None:
    labels = np.arange(100) % 2
    predicted = np.where(np.arange(100) < 37, labels, 1 - labels)
    assert CATEGORICAL.worse_than_guessing(np.eye(2)[predicted], labels) == (
        "accuracy 0.3700, worse than guessing by the labels' frequencies (0.5000),"
    )
