"""Macro F1: the mean of the F1 of each class that occurs, 0..1, each class alike however rare it is."""

from __future__ import annotations

import math

import numpy

from compress.metrics.classes import tables
from compress.metrics.metric import Metric, Statistics, Values


def f1_of_classes(predictions: Values, references: Values) -> Statistics:
    """2 TP of each class, and 2 TP + FP + FN of each, [examples, 2 * classes]."""
    predicted, right = tables(predictions, references)
    return numpy.hstack([2 * predicted * right, predicted + right])


def _of_sums(sums: Statistics) -> float:
    """scikit-learn's `f1_score(average="macro")`: over the classes among predictions or references, where F1 is never 0/0."""
    right, occurs = sums.reshape(2, -1)
    there = occurs > 0
    return float((right[there] / occurs[there]).mean()) if there.any() else math.nan


METRIC = Metric(
    name="f1_macro", title="macro F1", kinds=("classification",), statistics=f1_of_classes, of_sums=_of_sums
)
