"""Class ids and labels as tables of 0 and 1, from which accuracy, F1 and Matthews correlation are counted."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from compress.metrics.metric import Values, numbers

Table = NDArray[numpy.float64]


def class_ids(predictions: Values, references: Values) -> tuple[NDArray[numpy.int64], NDArray[numpy.int64]]:
    """Both as integers of one shape (N,), N > 0; refuses values that are not whole numbers."""
    predicted, right = numbers(predictions, references)
    if (predicted != numpy.rint(predicted)).any() or (right != numpy.rint(right)).any():
        raise ValueError("Class ids are whole numbers: give the predicted class, not its logit.")
    return predicted.astype(numpy.int64), right.astype(numpy.int64)


def tables(predictions: Values, references: Values) -> tuple[Table, Table]:
    """Both as tables of 0 and 1, [examples, classes], for as many classes as occur.

    Raises:
        ValueError: the two do not match, or values are no class ids.
    """
    predicted, right = class_ids(predictions, references)
    each = numpy.eye(int(max(predicted.max(), right.max())) + 1)
    return each[predicted], each[right]
