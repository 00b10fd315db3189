"""Statistics of timings from interleaved rounds, in which a slow moment of the machine affects all models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress.metrics.intervals import LEVEL, Interval


def order_statistic_interval(values: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """The narrowest interval between two of the sorted values that covers the median at least at the level.

    It holds for independent values of any distribution: the true median lies between the k-th smallest and the k-th
    greatest of n with probability 1 - 2 P(Binomial(n, 1/2) < k) (David and Nagaraja, "Order Statistics", 2003, sec. 7.1).
    At 95 % it needs six values (96.9 %); of ten it is the second to the ninth (97.9 %).

    Returns:
        None where even from the least to the greatest is not enough.

    >>> order_statistic_interval([5.0, 1.0, 4.0, 2.0, 3.0, 6.0])
    (1.0, 6.0)
    >>> order_statistic_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    """
    from scipy.stats import binom

    ordered = np.sort(np.asarray(values, dtype=float))
    # The greatest k with P(Binomial(n, 1/2) <= k - 1) at most half of what may lie outside.
    places = np.arange(1, len(ordered) // 2 + 1)
    enough = places[binom.cdf(places - 1, len(ordered), 0.5) <= (1 - level) / 2]
    if not enough.size:
        return None
    return float(ordered[enough[-1] - 1]), float(ordered[-enough[-1]])


def median_interval(rounds: Sequence[Sequence[float]], *, level: float = LEVEL) -> Interval | None:
    """The interval of the median over all rounds, from the rounds' medians: timings in one round are not independent.

    Args:
        rounds: the timings of each round, in seconds.
        level: 0 to 1.

    Returns:
        None from fewer rounds than the level takes (six at 95 %).
    """
    found = order_statistic_interval([float(np.median(one)) for one in rounds], level=level)
    if found is None:
        return None
    middle = float(np.median(np.concatenate([np.asarray(one, dtype=float) for one in rounds])))
    return min(found[0], middle), max(found[1], middle)


def ratio(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], *, level: float = LEVEL
) -> tuple[float, Interval | None]:
    """How many times the second's time is the first's: the median over rounds, and its interval by order statistics.

    Rounds are pairs: what slowed the machine in one of them slowed both.

    Args:
        first: the baseline's timings of each round, in seconds.
        second: the timings of the other in the same rounds.
        level: of the interval, 0 to 1.

    Returns:
        The ratio (above 1: the second is the faster one) and its interval; None for it from fewer rounds than the level
        takes (six at 95 %).
    """
    ratios = round_ratios(first, second)
    return float(np.median(ratios)), order_statistic_interval(ratios, level=level)


def round_ratios(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> list[float]:
    """The ratio of the two medians in each round."""
    return [float(np.median(a) / np.median(b)) for a, b in zip(first, second, strict=True)]
