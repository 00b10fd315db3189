"""F1: the harmonic mean of precision and recall of class 1, 0..1, as GLUE scores MRPC and QQP."""

from __future__ import annotations

import numpy

from compress.core.errors import CompressError
from compress.metrics.classes import class_ids
from compress.metrics.metric import Metric, Statistics, Undefined, Values, ratio_of


def _check(predictions: Values, references: Values) -> None:
    predicted, right = class_ids(predictions, references)
    if max(predicted.max(), right.max()) > 1:
        raise CompressError(
            "Metric 'f1' is for two classes (the second is the positive one). Use 'f1_macro' or 'f1_weighted'."
        )
    if not (predicted.any() or right.any()):
        raise Undefined("Class 1 occurs neither in the predictions nor in the references, so F1 does not exist.")


def f1(predictions: Values, references: Values) -> Statistics:
    """2 TP, and 2 TP + FP + FN, of class 1: F1 is their ratio, [examples, 2]."""
    predicted, right = (ids == 1 for ids in class_ids(predictions, references))
    return numpy.stack([2 * (predicted & right), predicted.astype(int) + right], axis=1).astype(numpy.float64)


METRIC = Metric(
    name="f1",
    title="F1",
    kinds=("classification",),
    counts_classes=True,
    statistics=f1,
    of_sums=ratio_of,
    check=_check,
    labels=2,
)
