"""Weighted F1: the mean of the F1 of each class or label, 0..1, weighted by their number of references."""

from __future__ import annotations

import math
from typing import Any

import numpy

from compress.metrics.classes import tables
from compress.metrics.metric import Metric, Statistics


def _statistics(predictions: Any, references: Any) -> Statistics:
    """2 TP of each label, 2 TP + FP + FN of each, and its references, [examples, 3 * labels]."""
    predicted, right = tables(predictions, references)
    return numpy.hstack([2 * predicted * right, predicted + right, right])


def _of_sums(sums: Statistics) -> float:
    """scikit-learn's `f1_score(average="weighted")`."""
    right, occurs, references = sums.reshape(3, -1)
    there = references > 0
    weights = references[there]
    return float((right[there] / occurs[there]) @ weights / weights.sum()) if there.any() else math.nan


METRIC = Metric(
    name="f1_weighted",
    title="weighted F1",
    kinds=("classification", "multi_label_classification"),
    counts_classes=True,
    statistics=_statistics,
    of_sums=_of_sums,
)
