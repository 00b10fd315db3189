"""Tests of the jackknife and of posteriors against SciPy, exact cases and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, bootstrap, ttest_1samp

from compress.metrics import resampling
from compress.metrics.metric import find


def mean(sums: np.ndarray) -> float:
    return float(sums[0] / sums[1])


def rows_of(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1)


def test_of_a_mean_the_jackknife_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(3, 1, 40)
    for level in (0.95, 0.9958):
        expected = ttest_1samp(values, 0).confidence_interval(level)
        assert resampling.of_sums(mean, rows_of(values), level=level) == pytest.approx((expected.low, expected.high))


def test_of_a_ratio_of_many_examples_it_agrees_with_scipys_bca() -> None:
    generator = np.random.default_rng(1)
    tokens = generator.integers(50, 200, 300).astype(float)
    rows = np.stack([tokens * generator.normal(3, 0.3, 300), tokens], axis=1)
    found = resampling.of_sums(mean, rows)
    theirs = bootstrap(
        (np.arange(300),),
        lambda drawn: mean(rows[drawn].sum(axis=0)),
        method="BCa",
        n_resamples=2000,
        vectorized=False,
        rng=generator,
    ).confidence_interval
    half = (found[1] - found[0]) / 2
    assert found == pytest.approx((theirs.low, theirs.high), abs=0.15 * half)


def test_scales_keep_an_interval_where_its_score_can_be() -> None:
    rows = np.array([[1e-4, 1.0], [2.0, 1.0], [1e-3, 1.0], [0.5, 1.0]])
    assert resampling.of_sums(mean, rows)[0] < 0 < resampling.of_sums(mean, rows, scale="log")[0]
    generator = np.random.default_rng(2)
    right = generator.normal(size=12)
    pearson = find("pearson")
    statistics = pearson.statistics(right + 0.05 * generator.normal(size=12), right)
    low, high = resampling.of_sums(pearson.of_sums, statistics, scale="fisher")
    assert 0.9 < low < high < 1


def test_a_score_of_rows_is_left_without_one_example_or_a_part_of_many() -> None:
    values = np.random.default_rng(3).normal(size=900)
    few = resampling.of_scorer(lambda rows: float(values[:50][rows].mean()), 50)
    expected = ttest_1samp(values[:50], 0).confidence_interval(0.95)
    assert few == pytest.approx((expected.low, expected.high))
    calls = []
    many = resampling.of_scorer(lambda rows: calls.append(len(rows)) or float(values[rows].mean()), 900)
    assert len(calls) == resampling.GROUPS + 1
    whole = ttest_1samp(values, 0).confidence_interval(0.95)
    assert many == pytest.approx((whole.low, whole.high), abs=0.15 * (whole.high - whole.low))


@pytest.mark.parametrize("differing", [0, 1, 3])
def test_where_few_examples_differ_the_interval_is_that_of_examples_like_them(differing: int) -> None:
    values = np.random.default_rng(4).random(100)
    other = values.copy()
    other[:differing] -= 0.3
    low, high = resampling.of_difference(mean, rows_of(other), rows_of(values))
    # Three of a hundred rows that differ by the usual distance of two rows.
    assert -0.05 < low < -0.003 * (differing + 1)
    assert 0.002 < high < 0.05


def test_where_all_of_few_examples_differ_none_are_added() -> None:
    """Perplexities of two runtimes differ in their last digits, on each of a handful of documents."""
    values = np.random.default_rng(5).random(7)
    low, high = resampling.of_difference(mean, rows_of(values * (1 + 1e-9)), rows_of(values))
    assert high - low < 1e-8


def test_the_posterior_of_two_kinds_is_a_beta_distribution() -> None:
    found = resampling.of_counts(mean, [[1.0, 1.0], [0.0, 1.0]], [97.5, 3.5])
    assert found == pytest.approx(beta(97.5, 3.5).interval(0.95), abs=2e-3)


def test_a_score_that_does_not_exist_has_no_interval() -> None:
    with np.errstate(invalid="ignore"):
        assert np.isnan(resampling.of_sums(lambda sums: float("nan"), rows_of(np.arange(9.0)))).all()
        assert np.isnan(resampling.of_difference(mean, np.zeros((9, 2)), np.zeros((9, 2)))).all()
        assert np.isnan(resampling.of_counts(lambda sums: float("nan"), [[1.0]], [3.0])).all()
    # Without the only example that has anything.
    assert np.isnan(
        resampling.of_sums(lambda sums: mean(sums) if sums[1] > 1 else float("nan"), rows_of(np.arange(2.0)))
    ).all()
