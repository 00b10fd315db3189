"""Micro F1: F1 over all decisions on all labels, 0..1; with one label per example it equals accuracy."""

from __future__ import annotations

from typing import Any

import numpy

from compress.metrics.classes import tables
from compress.metrics.metric import Metric, Statistics, ratio_of


def _statistics(predictions: Any, references: Any) -> Statistics:
    """2 TP and 2 TP + FP + FN over all labels, [examples, 2]: scikit-learn's `f1_score(average="micro")` is their ratio."""
    predicted, right = tables(predictions, references)
    return numpy.stack([2 * (predicted * right).sum(axis=1), (predicted + right).sum(axis=1)], axis=1)


METRIC = Metric(
    name="f1_micro",
    title="micro F1",
    kinds=("classification", "multi_label_classification"),
    counts_classes=True,
    statistics=_statistics,
    of_sums=ratio_of,
)
