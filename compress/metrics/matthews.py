"""Matthews correlation of predicted and right classes, -1..1, as GLUE scores CoLA."""

from __future__ import annotations

import math

import numpy

from compress.metrics.classes import class_ids, tables
from compress.metrics.metric import Metric, Statistics, Undefined, Values


def _check(predictions: Values, references: Values) -> None:
    _, right = class_ids(predictions, references)
    if numpy.unique(right).size < 2:
        raise Undefined(f"All {right.size} references are of class {right[0]}, so Matthews correlation does not exist.")


def _statistics(predictions: Values, references: Values) -> Statistics:
    """Whether it is right, the predicted class and the right one, [examples, 1 + 2 * classes]."""
    predicted, right = tables(predictions, references)
    return numpy.hstack([(predicted * right).sum(axis=1, keepdims=True), predicted, right])


def matthews(sums: Statistics) -> float:
    """The coefficient of B. W. Matthews (1975), for any number of classes (Gorodkin 2004).

    A model that gives every example the same class has 0/0 here. The GLUE server's scorer (scikit-learn) calls that 0,
    the limit of a guess that knows nothing, and so do we: it is a real result of a collapsed model, and the worst useful
    one. References of one class only make it undefined: no prediction could score.
    """
    both, (predicted, right) = sums[0], sums[1:].reshape(2, -1)
    total = right.sum()
    of_predicted, of_right = total**2 - predicted @ predicted, total**2 - right @ right
    if not of_right:
        return math.nan
    return float((total * both - predicted @ right) / math.sqrt(of_predicted * of_right)) if of_predicted else 0.0


METRIC = Metric(
    name="matthews",
    title="Matthews correlation",
    kinds=("classification",),
    counts_classes=True,
    statistics=_statistics,
    of_sums=matthews,
    check=_check,
    unit="coefficient",
)
