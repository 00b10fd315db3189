"""Accuracy: the fraction of examples whose predicted class is the right one, 0..1."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from compress.metrics.metric import Metric, Values, class_ids


def accuracy(predictions: Values, references: Values) -> float:
    from sklearn.metrics import accuracy_score

    predicted, right = class_ids(predictions, references)
    return float(accuracy_score(right, predicted))


def is_right(predictions: Values, references: Values) -> NDArray[numpy.float64]:
    """1.0 for each example that is right and 0.0 for each that is wrong, shape (N,)."""
    predicted, right = class_ids(predictions, references)
    return (predicted == right).astype(numpy.float64)


METRIC = Metric(name="accuracy", kind="classification", score=accuracy, per_example=is_right)
