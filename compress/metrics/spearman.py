"""Spearman rank correlation of predicted and right scores, -1..1 (ties get their mean rank), as GLUE scores STS-B."""

from __future__ import annotations

import math
from typing import Any

import numpy
from numpy.typing import NDArray

from compress.metrics.metric import Metric, Scorer, Values, numbers
from compress.metrics.pearson import varied


def _on_rows(predictions: Values, references: Values) -> Scorer:
    """It depends on the order of the values only, so they are put in order once, and not for each draw of rows."""
    a, b = (_order(values) for values in numbers(predictions, references))
    return lambda rows: _correlation(_ranks(a[rows]), _ranks(b[rows]))


def _order(values: NDArray[Any]) -> NDArray[numpy.int64]:
    """Each value's place among the different values, from 0."""
    return numpy.asarray(numpy.unique(values, return_inverse=True)[1], dtype=numpy.int64)


def _ranks(places: NDArray[numpy.int64]) -> NDArray[numpy.float64]:
    """Ranks with ties at their mean; places are counted, not sorted, which is ten times as fast."""
    counts = numpy.bincount(places)
    ranks: NDArray[numpy.float64] = numpy.cumsum(counts) - (counts - 1) / 2
    return ranks[places]


def _correlation(x: NDArray[numpy.float64], y: NDArray[numpy.float64]) -> float:
    a, b = x - x.mean(), y - y.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / spread)) if spread > 0 else math.nan


METRIC = Metric(
    name="spearman",
    title="Spearman correlation",
    kinds=("regression",),
    on_rows=_on_rows,
    check=varied,
    unit="coefficient",
)
