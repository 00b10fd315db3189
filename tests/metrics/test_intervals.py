"""Tests of the intervals of one share and one mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp

from compress.metrics import intervals


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
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
    assert binom.pmf(right, 100, 0.99)[covered].sum() > 0.92  # of a bootstrap it is 0.63


def test_a_mean_has_students_interval_at_any_level() -> None:
    values = np.random.default_rng(1).normal(size=7)
    for level in (0.9, 0.95, 0.9958):
        expected = ttest_1samp(values, 0).confidence_interval(level)
        assert intervals.mean_interval(values, level=level) == pytest.approx((expected.low, expected.high))
    assert intervals.mean_interval([1.0]) is None
