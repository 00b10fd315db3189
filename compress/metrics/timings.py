"""Statistics of timings from interleaved rounds, in which a slow moment of the machine affects all models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress.metrics.statistics import bootstrap


def median_interval(rounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The 95 % interval of the median over all rounds, drawn by whole rounds: timings in one round are not independent.

    Args:
        rounds: the timings of each round, in seconds.
    """
    values = [np.asarray(one, dtype=float) for one in rounds]
    return bootstrap(lambda drawn: float(np.median(np.concatenate([values[i] for i in drawn]))), len(values))


def ratio(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> tuple[float, tuple[float, float]]:
    """How many times the second's time is the first's: the median over rounds, and its 95 % bootstrap interval.

    Rounds are pairs: what slowed the machine in one of them slowed both.

    Args:
        first: the baseline's timings of each round, in seconds.
        second: the timings of the other in the same rounds.

    Returns:
        The ratio (above 1: the second is the faster one) and its interval.
    """
    ratios = np.array(round_ratios(first, second))
    return float(np.median(ratios)), bootstrap(lambda drawn: float(np.median(ratios[drawn])), len(ratios))


def round_ratios(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> list[float]:
    """The ratio of the two medians in each round."""
    return [float(np.median(a) / np.median(b)) for a, b in zip(first, second, strict=True)]
