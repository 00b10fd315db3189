"""The score of drawn rows is that of scikit-learn and scipy on these rows, also where rows are drawn more than once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as theirs

from compress.core import catalogue
from compress.metrics import statistics
from compress.metrics.metric import Metric, find

Score = Callable[[Any, Any], float]


def _mean(one: Score, other: Score) -> Score:
    return lambda predicted, right: (one(predicted, right) + other(predicted, right)) / 2


def accuracy(predicted: Any, right: Any) -> float:
    return float(theirs.accuracy_score(right, predicted))


def f1(predicted: Any, right: Any) -> float:
    return float(theirs.f1_score(right, predicted))


def pearson(predicted: Any, right: Any) -> float:
    return float(scipy.stats.pearsonr(predicted, right).statistic)


def spearman(predicted: Any, right: Any) -> float:
    return float(scipy.stats.spearmanr(predicted, right).statistic)


CLASSES: dict[str, Score] = {
    "accuracy": accuracy,
    "accuracy_mismatched": accuracy,
    "f1": f1,
    "accuracy_f1": _mean(accuracy, f1),
    "f1_macro": lambda predicted, right: float(theirs.f1_score(right, predicted, average="macro")),
    "f1_micro": lambda predicted, right: float(theirs.f1_score(right, predicted, average="micro")),
    "f1_weighted": lambda predicted, right: float(theirs.f1_score(right, predicted, average="weighted")),
    "matthews": lambda predicted, right: float(theirs.matthews_corrcoef(right, predicted)),
}
SCORES: dict[str, Score] = {
    "pearson": pearson,
    "spearman": spearman,
    "pearson_spearman": _mean(pearson, spearman),
}


def test_every_metric_of_classes_or_scores_has_a_reference_here() -> None:
    kinds = {kind: {name for name in catalogue.names("metrics") if kind in find(name).kinds} for kind in KINDS}
    assert kinds == {"classification": set(CLASSES), "regression": set(SCORES)}


KINDS = ("classification", "regression")


@pytest.mark.parametrize("name", [*CLASSES, *SCORES])
def test_the_score_of_drawn_rows_is_the_reference_implementations(name: str) -> None:
    random = np.random.default_rng(4)
    if name in CLASSES:
        right = random.integers(0, find(name).labels or ("f1" in name and 2) or 4, 60).astype(float)
        predicted = np.where(random.random(60) < 0.7, right, random.integers(0, 2, 60)).astype(float)
    else:
        right = np.round(random.normal(size=60) - 2, 1)  # negative, and with some ties
        predicted = np.round(right + random.normal(size=60), 1)
    reference = {**CLASSES, **SCORES}[name]
    assert find(name).score(predicted, right) == pytest.approx(reference(predicted, right), abs=1e-12)
    assert find(name).score(predicted.tolist(), tuple(right)) == pytest.approx(reference(predicted, right), abs=1e-12)
    score = find(name).scorer(predicted, right)
    for _ in range(20):
        rows = random.integers(0, 60, 60)
        assert score(rows) == pytest.approx(reference(predicted[rows], right[rows]), abs=1e-12)


@pytest.mark.parametrize("name", ["f1", "accuracy_f1", "matthews", "pearson", "spearman", "pearson_spearman"])
def test_rows_on_which_the_metric_is_undefined_have_no_number(name: str) -> None:
    """As a bootstrap may draw them of examples that do have a score: here all of one class, or all of one value."""
    right = np.array([0.0] * 10 + [1.0] * 10)
    predicted = np.array([0.0] * 10 + [1.0, 0.0] * 5)
    score = find(name).scorer(predicted, right)
    assert math.isfinite(score(np.arange(20)))
    assert math.isnan(score(np.zeros(20, int)))


def test_a_collapsed_model_has_a_matthews_correlation_of_zero_on_drawn_rows_too() -> None:
    score = find("matthews").scorer(np.ones(20), np.array([0.0, 1.0] * 10))
    assert score(np.arange(20)) == 0.0


def test_the_correlation_of_scores_far_from_zero_keeps_its_digits() -> None:
    random = np.random.default_rng(5)
    right = 1e6 + random.normal(size=200)
    predicted = right + random.normal(size=200)
    rows = random.integers(0, 200, 200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = pearson(predicted[rows], right[rows])
    assert find("pearson").scorer(predicted, right)(rows) == pytest.approx(expected, abs=1e-9)


def test_equal_values_have_no_correlation_whatever_rounding_leaves_of_their_sums() -> None:
    right = np.concatenate([np.full(50, 0.1), [3.3, 7.7]])
    score = find("pearson").scorer(right[::-1].copy(), right)
    assert math.isnan(score(np.full(49, 7)))


def test_sums_of_drawn_rows_are_counted_not_added_and_infinite_ones_count_too() -> None:
    values = np.array([[1.0, 1.0], [2.0, 1.0], [np.inf, 1.0]])
    score = statistics.scorer_of_sums(lambda sums: float(sums[0] / sums[1]), values)
    assert score(np.array([0, 1, 1])) == pytest.approx(5 / 3)
    assert score(np.array([0, 2, 2])) == math.inf
    placed = statistics.scorer_of_sums(lambda sums: float(sums[0] / sums[1]), values[:2], np.array([1, 1, 0]))
    assert placed(np.array([0, 1, 2])) == pytest.approx(5 / 3)


def test_a_metric_without_statistics_and_without_a_form_of_its_own_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="'empty' needs `statistics` and `of_sums`, or else `on_rows`"):
        Metric(name="empty", title="empty", kinds=("classification",), statistics=find("f1").statistics)
    with pytest.raises(TypeError, match="no function of sums"):
        find("spearman").statistics([1.0], [2.0])
