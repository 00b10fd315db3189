"""Paired tests, bootstrap intervals, and the verdict: better, worse, or no difference shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.metrics.intervals import LEVEL
from compress.metrics.paired_proportions import mcnemar
from compress.metrics.sign_flip import most_beyond

BETTER = "better"
WORSE = "worse"
NOT_SHOWN = "no difference shown"

RESAMPLES = 2000
ROUNDING = 1e-6
"""Of a score: what lies within it is no difference. Perplexities of torch and ONNX Runtime in fp32 were 3e-8 of it apart."""
SEED = 20261123
"""Every bootstrap here draws the same resamples each time, so that a report made twice is the same report."""


@dataclass(frozen=True)
class Comparison:
    """One artifact's score beside another's, on the same examples.

    `difference`, `interval` and `smallest` are in the metric's own unit (0.01 is one point of accuracy), first minus
    second.
    """

    difference: float
    interval: tuple[float, float]
    """The 95 % interval of the difference, by the paired bootstrap."""
    p_value: float | None
    """McNemar's exact two-sided p for right/wrong scores; None where the interval alone decides."""
    verdict: str
    """`better`, `worse` or `no difference shown`: what the first is, beside the second."""
    smallest: float | None
    """The smallest difference this many examples could have shown, see `smallest_difference`."""
    only_first: int | None = None
    """How many examples only the first got right."""
    only_second: int | None = None
    test: str = "McNemar exact"


def compare(
    first: Sequence[float], second: Sequence[float], *, higher_is_better: bool = True, level: float = LEVEL
) -> Comparison:
    """Compare two artifacts by one score for each example.

    Scores of 0 and 1 alone are compared by McNemar's exact test, any others by the paired bootstrap of their means.

    Args:
        first: the scores of the artifact judged, [examples].
        second: the scores of the one it is judged against, in the same order.
        higher_is_better: whether a greater score is a better one.
        level: of the interval, 0 to 1.

    Raises:
        ValueError: the two have not the same examples, or none.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"paired scores need the same examples, at least one: {a.size} and {b.size}")
    difference = float(a.mean() - b.mean())
    interval = bootstrap(lambda rows: float(np.mean(a[rows] - b[rows])), a.size, level=level)
    if not set(np.unique(a)) | set(np.unique(b)) <= {0.0, 1.0}:
        verdict = word_of_interval(interval, higher_is_better, float(a.mean()), float(b.mean()))
        half_width = (interval[1] - interval[0]) / 2
        return Comparison(difference, interval, None, verdict, half_width, test="paired bootstrap")
    only_first, only_second = int(np.sum(a > b)), int(np.sum(b > a))
    p_value = mcnemar(only_first, only_second)
    verdict = word_of_p(only_first - only_second, p_value, higher_is_better)
    smallest = smallest_difference(only_first + only_second, a.size)
    return Comparison(difference, interval, p_value, verdict, smallest, only_first, only_second)


def compare_scorers(
    first: Callable[[Any], float],
    second: Callable[[Any], float],
    examples: int,
    *,
    higher_is_better: bool = True,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Comparison:
    """Compare two artifacts by a metric that has no score for each example (F1, Matthews, Pearson): paired bootstrap.

    Args:
        first: numbers of rows, [rows] -> the metric of the artifact judged on these rows, NaN where it does not exist.
        second: the same of the one it is judged against.
        examples: how many both have.
        higher_is_better: whether a greater value is a better one.
        resamples: how many resamples.
        level: of the interval, 0 to 1.
    """
    every = np.arange(examples)
    ours, theirs = float(first(every)), float(second(every))
    interval = bootstrap(lambda rows: first(rows) - second(rows), examples, resamples=resamples, level=level)
    verdict = word_of_interval(interval, higher_is_better, ours, theirs)
    return Comparison(ours - theirs, interval, None, verdict, (interval[1] - interval[0]) / 2, test="paired bootstrap")


def compare_sums(
    score: Callable[[Any], float],
    first: Any,
    second: Any,
    *,
    higher_is_better: bool = True,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Comparison:
    """Compare two artifacts by a score of summed statistics (BLEU, chrF, ROUGE, perplexity): the paired bootstrap.

    Rows of statistics are drawn, the same for both, and added up (Koehn, "Statistical significance tests for machine
    translation evaluation", EMNLP 2004).

    Args:
        score: sums, [columns] -> the score; NaN where it does not exist.
        first: the statistics of the artifact judged, [examples, columns].
        second: those of the one it is judged against, of the same examples in the same order.
        higher_is_better: whether a greater score is a better one.
        resamples: how many resamples.
        level: of the interval, 0 to 1.

    Raises:
        ValueError: the two have not the same examples, or none.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or len(a) == 0:
        raise ValueError(f"paired statistics need the same examples, at least one: {a.shape} and {b.shape}")
    ours, theirs = scorer_of_sums(score, a), scorer_of_sums(score, b)
    return compare_scorers(ours, theirs, len(a), higher_is_better=higher_is_better, resamples=resamples, level=level)


def scorer_of_sums(score: Callable[[Any], float], statistics: Any, place: Any = None) -> Callable[[Any], float]:
    """The score of any rows of summed statistics: numbers of rows, [rows] -> the score of their sums.

    How often each row was drawn is counted, and multiplied by the rows: much faster than adding them up one by one.

    Args:
        score: sums, [columns] -> the score; NaN where it does not exist.
        statistics: [examples, columns]; or where examples are alike, each kind of example once.
        place: where each example's statistics stand among them, [examples]; None: at its own number.
    """
    values = np.asarray(statistics, dtype=float)
    if not np.isfinite(values).all():  # none times infinite is not a number
        return lambda rows: score(values[rows if place is None else place[rows]].sum(axis=0))

    def score_of(rows: Any) -> float:
        return score(np.bincount(rows if place is None else place[rows], minlength=len(values)) @ values)

    return score_of


def interval_of_sums(
    score: Callable[[Any], float], statistics: Any, *, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a score of summed statistics, see `compare_sums`; NaN where it does not exist.

    Args:
        score: sums, [columns] -> the score; NaN where it does not exist.
        statistics: of each example, [examples, columns].
        resamples: how many resamples.
    """
    return bootstrap(scorer_of_sums(score, statistics), len(statistics), resamples=resamples)


def smallest_difference(discordant: int, examples: int) -> float:
    """The smallest difference that the exact test would have called significant, as a share of the examples.

    It is the least net number of flips, among as many discordant examples as were seen, with p below 0.05. Fewer than
    six discordant examples cannot show anything, so then it is six flips in one direction.

    Args:
        discordant: how many examples only one of the two got right.
        examples: how many there are in all.

    >>> round(smallest_difference(discordant=22, examples=100), 2)
    0.12
    """
    flips = max(discordant, 6)
    for smaller in range(flips // 2, -1, -1):
        if mcnemar(smaller, flips - smaller) < 1 - LEVEL:
            return (flips - 2 * smaller) / examples
    raise AssertionError("six flips in one direction are always significant")


def bootstrap(
    statistic: Callable[[Any], float],
    size: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> tuple[float, float]:
    """The percentile interval of a statistic over rows drawn with replacement (Efron and Tibshirani, 1993, ch. 13).

    Resamples for which the statistic is not defined (a correlation of constants) are left out.

    Args:
        statistic: an array of row numbers, [size] -> the statistic.
        size: how many rows there are.
        resamples: how many times they are drawn.
        seed: of the draws.
        level: of the interval, 0 to 1.
    """
    values = _drawn(statistic, size, resamples, seed)
    if values.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_test(
    statistic: Callable[[Any], float], size: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[tuple[float, float], float]:
    """The percentile interval of a difference, and the two-sided p-value that belongs to it.

    p is twice the share of resamples on the rarer side of zero, counted as (those + 1) / (resamples + 1) (Davison and
    Hinkley, 1997, eq. 4.11). The interval ends at resamples, not between them, and is chosen so that it leaves out zero
    exactly where p is below 0.05. Not defined (NaN) where fewer than 40 resamples have a value.

    Args:
        statistic: an array of row numbers, [size] -> the difference.
        size: how many rows there are.
        resamples: how many times they are drawn.
        seed: of the draws.
    """
    values = np.sort(_drawn(statistic, size, resamples, seed))
    if values.size < 40:
        return (float("nan"), float("nan")), float("nan")
    rarer = min(int(np.sum(values <= 0)), int(np.sum(values >= 0)))
    outside = most_beyond((1 - LEVEL) / 2, values.size)
    ends = float(values[outside]), float(values[values.size - 1 - outside])
    return ends, min(1.0, 2 * (rarer + 1) / (values.size + 1))


def _drawn(statistic: Callable[[Any], float], size: int, resamples: int, seed: int) -> Any:
    """The statistic on each resample, without those on which it is not defined."""
    generator = np.random.default_rng(seed)
    values = np.array([statistic(generator.integers(0, size, size)) for _ in range(resamples)], dtype=float)
    return values[np.isfinite(values)]


def word_of_p(difference: float, p_value: float, higher_is_better: bool) -> str:
    """One of the three words: the direction where p is below 0.05."""
    return NOT_SHOWN if p_value >= 1 - LEVEL else _direction(difference, higher_is_better)


def word_of_interval(interval: tuple[float, float], higher_is_better: bool, *scores: float) -> str:
    """One of the three words: the direction where the interval leaves out zero, and reaches beyond rounding of the scores."""
    low, high = interval
    rounding = ROUNDING * max(map(abs, scores), default=0.0)
    if (not low > 0 and not high < 0) or max(-low, high) <= rounding:
        return NOT_SHOWN
    return _direction(low, higher_is_better)


def _direction(difference: float, higher_is_better: bool) -> str:
    return BETTER if (difference > 0) == higher_is_better else WORSE
