"""Macro F1: the mean of the F1 of each class or label, 0..1, all weighted equally."""

from __future__ import annotations

import math
from typing import Any

import numpy

from compress.metrics.classes import are_sets, tables
from compress.metrics.metric import Metric, Statistics


def _statistics(predictions: Any, references: Any) -> Statistics:
    """2 TP of each label, 2 TP + FP + FN of each, and 1 for each that counts, [examples, 3 * labels].

    A class counts where it is predicted or right. A label of a multi-label task always counts, as in scikit-learn.
    """
    predicted, right = tables(predictions, references)
    either = predicted + right
    counts = numpy.ones_like(either) if are_sets(predictions) else either > 0
    return numpy.hstack([2 * predicted * right, either, counts])


def _of_sums(sums: Statistics) -> float:
    """scikit-learn's `f1_score(average="macro")`: the F1 of a label that counts and does not occur is 0."""
    right, occurs, counts = sums.reshape(3, -1)
    if not occurs.any():
        return math.nan
    return float(numpy.divide(right, occurs, out=numpy.zeros_like(right), where=occurs > 0)[counts > 0].mean())


METRIC = Metric(
    name="f1_macro",
    title="macro F1",
    kinds=("classification", "multi_label_classification"),
    counts_classes=True,
    statistics=_statistics,
    of_sums=_of_sums,
)
