"""F1: the harmonic mean of precision and recall of class 1, 0..1, as GLUE scores MRPC and QQP."""

from __future__ import annotations

from typing import Literal

from compress.core.errors import CompressError
from compress.metrics.metric import Metric, Undefined, Values, class_ids


def f1(predictions: Values, references: Values) -> float:
    """2 TP / (2 TP + FP + FN) for class 1 of two classes; undefined where class 1 occurs on neither side."""
    from sklearn.metrics import f1_score

    predicted, right = class_ids(predictions, references)
    if max(predicted.max(), right.max()) > 1:
        raise CompressError(
            "Metric 'f1' is for two classes (the second is the positive one). Use 'f1_macro' or 'f1_weighted'."
        )
    if not (predicted.any() or right.any()):
        raise Undefined("Class 1 occurs neither in the predictions nor in the references, so F1 does not exist.")
    return float(f1_score(right, predicted, pos_label=1, average="binary"))


def of_classes(predictions: Values, references: Values, average: Literal["macro", "weighted"]) -> float:
    """A mean over the F1 of each class that occurs among predictions or references; there, F1 is never 0/0."""
    from sklearn.metrics import f1_score

    predicted, right = class_ids(predictions, references)
    return float(f1_score(right, predicted, average=average))


METRIC = Metric(name="f1", kind="classification", score=f1, labels=2)
