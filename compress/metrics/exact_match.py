"""Exact match: the fraction of examples whose set of labels is exactly the right one, 0..1 (subset accuracy)."""

from __future__ import annotations

from typing import Any

import numpy

from compress.metrics.classes import tables
from compress.metrics.metric import Metric, Statistics, ratio_of


def exact_match(predictions: Any, references: Any) -> Statistics:
    """1.0 for each example whose labels are all right, else 0.0, and 1.0 for each example, [examples, 2].

    Args:
        predictions: 0 or 1 for each label, [examples, labels].
        references: the right ones, [examples, labels].
    """
    predicted, right = tables(predictions, references)
    return numpy.stack([(predicted == right).all(axis=1), numpy.ones(len(right))], axis=1).astype(numpy.float64)


METRIC = Metric(
    name="exact_match",
    title="exact match",
    kinds=("multi_label_classification",),
    statistics=exact_match,
    of_sums=ratio_of,
    is_mean=True,
)
