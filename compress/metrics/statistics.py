"""Two artifacts beside each other on the same examples: the difference of their scores, and its interval at any level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.metrics import resampling
from compress.metrics.intervals import LEVEL, Interval
from compress.metrics.paired_proportions import mcnemar, score_interval
from compress.metrics.resampling import Score

ROUNDING = 1e-6
"""Of a score: what lies within it is no difference. Perplexities of torch and ONNX Runtime in fp32 were 3e-8 of it apart."""
SCORE_TEST, JACKKNIFE, POSTERIOR = "Tango's score interval", "paired jackknife", "posterior of the paired counts"
"""How intervals of a difference are computed."""


@dataclass(frozen=True)
class Comparison:
    """One artifact's score minus another's, on the same examples, in the metric's own unit (0.01 is one point of accuracy)."""

    difference: float
    interval: Interval
    """At the level asked for; NaN where there is none."""
    test: str
    """How the interval was computed."""
    p_value: float | None = None
    """McNemar's exact two-sided p for right/wrong scores, a note: what is shown is read from the interval."""
    only_first: int | None = None
    """How many examples only the first got right."""
    only_second: int | None = None


def compare(first: Sequence[float], second: Sequence[float], *, level: float = LEVEL) -> Comparison:
    """Compare two artifacts by one score for each example.

    Scores of 0 and 1 alone have Tango's score interval, any others that of the paired jackknife of their means.

    Args:
        first: the scores of the artifact judged, [examples].
        second: the scores of the one it is judged against, in the same order.
        level: of the interval, 0 to 1.

    Raises:
        ValueError: the two have not the same examples, or none.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"paired scores need the same examples, at least one: {a.size} and {b.size}")
    difference = float(a.mean() - b.mean())
    if not set(np.unique(a)) | set(np.unique(b)) <= {0.0, 1.0}:
        rows = [np.stack([scores, np.ones(a.size)], axis=1) for scores in (a, b)]
        return Comparison(difference, resampling.of_difference(_mean, *rows, level=level), JACKKNIFE)
    only = int(np.sum(a > b)), int(np.sum(b > a))
    return Comparison(difference, score_interval(*only, a.size, level=level), SCORE_TEST, mcnemar(*only), *only)


def _mean(sums: Any) -> float:
    return float(sums[0] / sums[1])


def compare_scorers(
    first: Callable[[Any], float], second: Callable[[Any], float], examples: int, *, level: float = LEVEL
) -> Comparison:
    """Compare two artifacts by a score of any rows, which is no function of sums (a rank correlation): paired jackknife.

    Args:
        first: numbers of rows, [rows] -> the metric of the artifact judged on these rows, NaN where it does not exist.
        second: the same of the one it is judged against.
        examples: how many both have.
        level: of the interval, 0 to 1.
    """
    every = np.arange(examples)
    interval = resampling.of_scorer(lambda rows: first(rows) - second(rows), examples, level=level)
    return Comparison(float(first(every)) - float(second(every)), interval, JACKKNIFE)


def compare_sums(score: Score, first: Any, second: Any, *, level: float = LEVEL) -> Comparison:
    """Compare two artifacts by a score of summed statistics (BLEU, chrF, ROUGE, perplexity): the paired jackknife.

    Args:
        score: sums, [columns] -> the score; NaN where it does not exist.
        first: the statistics of the artifact judged, [examples, columns].
        second: those of the one it is judged against, of the same examples in the same order.
        level: of the interval, 0 to 1.

    Raises:
        ValueError: the two have not the same examples, or none.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or len(a) == 0:
        raise ValueError(f"paired statistics need the same examples, at least one: {a.shape} and {b.shape}")
    difference = score(a.sum(axis=0)) - score(b.sum(axis=0))
    return Comparison(difference, resampling.of_difference(score, a, b, level=level), JACKKNIFE)


def scorer_of_sums(score: Score, statistics: Any, place: Any = None) -> Callable[[Any], float]:
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
