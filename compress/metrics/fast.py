"""The metrics in plain numpy, NaN where they are undefined: a bootstrap calls them thousands of times."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core import catalogue
from compress.core.errors import CompressError

Score = Callable[[Any, Any], float]


def quick_score(metric: str) -> Score:
    """The metric in plain numpy, NaN where it is undefined.

    A metric without a quick form here is called as it is.

    Raises:
        CompressError: there is no such metric.
    """
    return _QUICK[metric] if metric in _QUICK else _nan_where_undefined(catalogue.find("metrics", metric).score)


def on_rows(
    metric: str, predictions: NDArray[np.float64], references: NDArray[np.float64]
) -> Callable[[NDArray[np.int64]], float]:
    """The metric on rows that a bootstrap draws: row numbers, [rows] -> the metric there.

    Spearman correlation depends on the order of the values only, so here they are put in order once.

    Args:
        metric: its name.
        predictions: class ids or scores, [examples].
        references: the labels, in the same order.

    Raises:
        CompressError: there is no such metric.
    """
    if metric == "spearman":
        a, b = _order(predictions), _order(references)
        return lambda rows: _pearson(_ranks(a[rows]), _ranks(b[rows]))
    if metric == "pearson_spearman":
        of_ranks = on_rows("spearman", predictions, references)
        return lambda rows: (_pearson(predictions[rows], references[rows]) + of_ranks(rows)) / 2
    score = quick_score(metric)
    return lambda rows: score(predictions[rows], references[rows])


def _order(values: NDArray[Any]) -> NDArray[np.int64]:
    """Each value's place among the different values, from 0."""
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)


def _ranks(places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ranks with ties at their mean; places are counted, not sorted, which is ten times as fast."""
    counts = np.bincount(places)
    ranks: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return ranks[places]


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


def _f1_of_classes(predictions: NDArray[Any], references: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The F1 of each class that occurs, and how many references are of it, [classes] each."""
    a, b = predictions.astype(np.int64), references.astype(np.int64)
    size = int(max(a.max(), b.max())) + 1
    predicted, right = np.bincount(a, minlength=size), np.bincount(b, minlength=size)
    there = predicted + right > 0
    both = np.bincount(b[a == b], minlength=size)
    return 2 * both[there] / (predicted + right)[there], right[there]


def _f1_macro(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    return float(_f1_of_classes(predictions, references)[0].mean())


def _f1_weighted(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    values, counts = _f1_of_classes(predictions, references)
    return float(values @ counts / counts.sum())


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


def _accuracy_f1(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    return (float(np.mean(predictions == references)) + _f1(predictions, references)) / 2


def _pearson_spearman(predictions: NDArray[Any], references: NDArray[Any]) -> float:
    return (_pearson(predictions, references) + _spearman(predictions, references)) / 2


_QUICK: dict[str, Score] = {
    "accuracy_f1": _accuracy_f1,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "f1_weighted": _f1_weighted,
    "matthews": _matthews,
    "pearson": _pearson,
    "pearson_spearman": _pearson_spearman,
    "spearman": _spearman,
}
