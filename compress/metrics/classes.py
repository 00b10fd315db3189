"""Class ids and sets of labels as tables of 0 and 1, from which accuracy, F1 and Matthews correlation are counted."""

from __future__ import annotations

from typing import Any

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


def are_sets(predictions: Any) -> bool:
    """Whether each example is a set of labels, 0 or 1 for each, and not one class id."""
    return len(predictions) > 0 and numpy.ndim(predictions[0]) == 1


def tables(predictions: Any, references: Any) -> tuple[Table, Table]:
    """Both as tables of 0 and 1, [examples, labels].

    Args:
        predictions: class ids, [examples], of which as many are in the tables as occur; or sets of labels, [examples, labels].
        references: of the same form.

    Raises:
        Undefined: there are no examples.
        ValueError: the two do not match, or values are no class ids, or neither 0 nor 1.
    """
    if not are_sets(predictions):
        predicted, right = class_ids(predictions, references)
        each = numpy.eye(int(max(predicted.max(), right.max())) + 1)
        return each[predicted], each[right]
    of_sets = [numpy.asarray(one, dtype=numpy.float64) for one in (predictions, references)]
    if of_sets[0].shape != of_sets[1].shape:
        raise ValueError(f"Labels {of_sets[0].shape} and references {of_sets[1].shape} must be tables of one shape.")
    if any(not numpy.isin(one, (0, 1)).all() for one in of_sets):
        raise ValueError("A label is 0 or 1: give the labels that a model predicts, not their logits.")
    return of_sets[0], of_sets[1]
