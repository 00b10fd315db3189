"""One artifact's quality beside another's on the same examples: the fitting test of `compress.measure.statistics`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress import catalogue
from compress.errors import CompressError
from compress.measure import statistics
from compress.measurement import Measurement

Score = Callable[[Any, Any], float]
RESAMPLES = 1000
"""For metrics of the whole set, each of which is computed anew on every resample: ten variants take seconds, not minutes."""


@dataclass(frozen=True)
class Difference:
    """The quality of one artifact minus another's, as a share (0.01 is a point), or why there is none."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    word: str | None = None
    """`better`, `worse` or `no difference shown`; None where nothing could be tested."""
    smallest: float | None = None
    """The smallest difference that this many examples could have shown."""
    only_here: int | None = None
    """Examples that only this artifact has right."""
    only_there: int | None = None
    test: str = ""
    examples: int = 0
    absent: str | None = None

    @property
    def shows_loss(self) -> bool:
        """Whether the test says *worse*."""
        return self.word == statistics.WORSE

    @property
    def shows_no_loss(self) -> bool:
        """Whether it was tested, and the test does not say *worse*."""
        return self.word in {statistics.BETTER, statistics.NOT_SHOWN}


def difference(here: Measurement | None, there: Measurement | None, references: Sequence[float]) -> Difference:
    """Compare one metric of two artifacts.

    Right/wrong scores go through McNemar's exact test, other scores per example and metrics of the whole set through the
    paired bootstrap. Where neither per-example scores nor predictions of both are on the same examples, the plain
    difference stands without an interval and without a word.
    """
    if here is None or there is None or here.value is None or there.value is None:
        lacking = here if here is None or here.value is None else there
        return Difference(absent=(lacking.absent if lacking else None) or "not measured")
    if here.per_example and len(here.per_example) == len(there.per_example):
        return _from(
            statistics.compare(here.per_example, there.per_example, higher_is_better=here.higher_is_better),
            len(here.per_example),
        )
    if here.predictions and len(here.predictions) == len(there.predictions) == len(references):
        try:
            score = quick_score(here.name)
        except CompressError:
            return Difference(here.value - there.value, absent=f"the metric '{here.name}' is not one of this version's")
        result = statistics.compare_metric(
            score,
            here.predictions,
            there.predictions,
            references,
            higher_is_better=here.higher_is_better,
            resamples=RESAMPLES,
        )
        # The two values as they were measured: the quick score is for the resamples only.
        return replace(_from(result, len(references)), value=here.value - there.value)
    return Difference(here.value - there.value, absent="not tested: no results per example of both on the same rows")


def quick_score(metric: str) -> Score:
    """The metric in plain numpy, NaN where it is undefined: a bootstrap calls it thousands of times.

    A metric without a quick form here is called as it is.

    Raises:
        CompressError: there is no such metric.
    """
    return _QUICK[metric] if metric in _QUICK else _nan_where_undefined(catalogue.find("metrics", metric).score)


def _from(result: statistics.Comparison, examples: int) -> Difference:
    finite = all(math.isfinite(end) for end in result.interval)
    return Difference(
        value=result.difference,
        interval=result.interval if finite else None,
        p_value=result.p_value,
        word=result.verdict if finite else None,
        smallest=result.smallest if result.smallest is not None and math.isfinite(result.smallest) else None,
        only_here=result.only_first,
        only_there=result.only_second,
        test=result.test,
        examples=examples,
        absent=None if finite else "the metric is undefined on resamples of these rows, so there is no interval",
    )


def _nan_where_undefined(score: Score) -> Score:
    def guarded(predictions: Any, references: Any) -> float:
        try:
            return score(predictions, references)
        except CompressError:
            return math.nan

    return guarded


def _f1(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    both = np.count_nonzero((predictions == 1) & (references == 1))
    either = np.count_nonzero(predictions == 1) + np.count_nonzero(references == 1)
    return float(2 * both / either) if either else math.nan


def _matthews(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    a, b = predictions.astype(np.int64), references.astype(np.int64)
    classes = int(max(a.max(), b.max())) + 1
    table = np.bincount(a * classes + b, minlength=classes * classes).reshape(classes, classes).astype(float)
    predicted, right, total = table.sum(1), table.sum(0), table.sum()
    spread = (total**2 - (predicted**2).sum()) * (total**2 - (right**2).sum())
    if total**2 == (right**2).sum():
        return math.nan
    return float((total * np.trace(table) - predicted @ right) / math.sqrt(spread)) if spread else 0.0


def _pearson(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    a, b = predictions - predictions.mean(), references - references.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread > 0 else math.nan


def _spearman(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    from scipy.stats import rankdata

    return _pearson(rankdata(predictions), rankdata(references))


_QUICK: dict[str, Score] = {"f1": _f1, "matthews": _matthews, "pearson": _pearson, "spearman": _spearman}
