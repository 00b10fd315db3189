"""Macro F1: the mean of the F1 of each class that occurs, 0..1, each class alike however rare it is."""

from __future__ import annotations

from compress.metrics.f1 import of_classes
from compress.metrics.metric import Metric, Values


def f1_macro(predictions: Values, references: Values) -> float:
    """scikit-learn's `f1_score(average="macro")`: over the classes among predictions or references."""
    return of_classes(predictions, references, "macro")


METRIC = Metric(name="f1_macro", kind="classification", score=f1_macro)
