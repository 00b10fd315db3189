"""Pearson correlation of predicted and right scores, -1..1, as GLUE scores STS-B."""

from __future__ import annotations

import math

import numpy

from compress.metrics.metric import Metric, Statistics, Undefined, Values, numbers

CONSTANT = 1e-6
"""Values that differ by no more than this, beside their size, are the same: 32-bit outputs of a collapsed model differ in
their last bit."""


def varied(predictions: Values, references: Values) -> None:
    """Refuse two sides of which one is constant: no correlation exists with a constant."""
    for side, values in zip(("predictions", "references"), numbers(predictions, references), strict=True):
        if numpy.ptp(values) <= CONSTANT * max(1.0, float(numpy.abs(values).max())):
            raise Undefined(f"All {values.size} {side} are the same ({values[0]:g}), so no correlation exists.")


def _statistics(predictions: Values, references: Values) -> Statistics:
    """1, x, y, xx, yy and xy of each example, [examples, 6].

    Both sides are moved to around zero, which leaves the correlation as it is and keeps the digits of its sums.
    """
    x, y = (values - values.mean() for values in numbers(predictions, references))
    return numpy.stack([numpy.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def _of_sums(sums: Statistics) -> float:
    count, x, y, xx, yy, xy = sums.tolist()
    if not count:
        return math.nan
    of_x, of_y = xx - x * x / count, yy - y * y / count
    # Of equal values rounding leaves about 1e-16 of their squares, and not 0.
    if of_x <= CONSTANT**2 * xx or of_y <= CONSTANT**2 * yy:
        return math.nan
    return max(-1.0, min(1.0, (xy - x * y / count) / math.sqrt(of_x * of_y)))


METRIC = Metric(
    name="pearson",
    title="Pearson correlation",
    kinds=("regression",),
    statistics=_statistics,
    of_sums=_of_sums,
    check=varied,
    unit="coefficient",
)
