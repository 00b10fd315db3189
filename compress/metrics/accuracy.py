"""Accuracy: the fraction of examples whose predicted class is the right one, 0..1."""

from __future__ import annotations

import numpy

from compress.metrics.classes import class_ids
from compress.metrics.metric import Metric, Statistics, Values, ratio_of


def is_right(predictions: Values, references: Values) -> Statistics:
    """1.0 for each example that is right and 0.0 for each that is wrong, and 1.0 for each example, [examples, 2]."""
    predicted, right = class_ids(predictions, references)
    return numpy.stack([predicted == right, numpy.ones(len(right))], axis=1).astype(numpy.float64)


METRIC = Metric(
    name="accuracy", title="accuracy", kinds=("classification",), statistics=is_right, of_sums=ratio_of, is_mean=True
)
