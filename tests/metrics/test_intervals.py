"""Tests of the intervals of one share and one mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest, poisson, ttest_1samp

from compress.metrics import intervals


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_the_interval_of_a_share_is_newcombes_published_one(
    successes: int, trials: int, low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table I, method 3."""
    assert intervals.proportion(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_of_no_trials_nothing_is_known() -> None:
    assert intervals.proportion(0, 0) == (0.0, 1.0)


def test_a_share_near_one_is_covered() -> None:
    right = np.arange(101)
    found = [intervals.proportion(int(one), 100) for one in right]
    covered = [low <= 0.99 <= high for low, high in found]
    assert binom.pmf(right, 100, 0.99)[covered].sum() > 0.95  # Wilson's interval alone: 0.92; a bootstrap: 0.63


@pytest.mark.parametrize(("successes", "trials"), [(1, 29), (2, 29), (1, 100), (3, 100)])
def test_with_few_successes_the_lower_end_is_the_poisson_distributions(successes: int, trials: int) -> None:
    """Brown, Cai and DasGupta 2001: with a mean of n times that end, so many or more are seen with a chance of 5 %."""
    low, high = intervals.proportion(successes, trials)
    assert poisson.sf(successes - 1, low * trials) == pytest.approx(0.05)
    assert high == binomtest(successes, trials).proportion_ci(method="wilson").high
    assert intervals.proportion(trials - successes, trials) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("successes", "trials"), [(3, 29), (4, 100), (50, 100)])
def test_with_more_successes_it_is_wilsons(successes: int, trials: int) -> None:
    found = binomtest(successes, trials).proportion_ci(method="wilson")
    assert intervals.proportion(successes, trials) == (found.low, found.high)


def test_a_mean_has_students_interval_at_any_level() -> None:
    values = np.random.default_rng(1).normal(size=7)
    for level in (0.9, 0.95, 0.9958):
        expected = ttest_1samp(values, 0).confidence_interval(level)
        assert intervals.mean_interval(values, level=level) == pytest.approx((expected.low, expected.high))
    assert intervals.mean_interval([1.0]) is None
