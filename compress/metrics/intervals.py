"""Intervals of one share and of one mean, at any level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEVEL = 0.95
"""Of an interval that stands alone."""

Interval = tuple[float, float]


def proportion(successes: int, trials: int, *, level: float = LEVEL) -> Interval:
    """The interval of a share, 0..1: Wilson's score interval without continuity correction (JASA 22, 1927), by SciPy.

    It covers near 0 and 1 too, where resampling cannot: of 100 right answers every resample has 100. Of no trials
    nothing is known: 0 to 1.

    >>> tuple(round(limit, 4) for limit in proportion(81, 263))
    (0.2553, 0.3662)
    """
    if trials == 0:
        return 0.0, 1.0
    from scipy.stats import binomtest

    found = binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def mean_interval(values: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """Student's interval of a mean of independent values; None for fewer than two.

    >>> tuple(round(end, 3) for end in mean_interval([1.0, 2.0, 3.0]))
    (-0.484, 4.484)
    """
    if len(values) < 2:
        return None
    from scipy.stats import t

    given = np.asarray(values, dtype=float)
    half = float(t.ppf((1 + level) / 2, given.size - 1) * given.std(ddof=1) / np.sqrt(given.size))
    return float(given.mean()) - half, float(given.mean()) + half
