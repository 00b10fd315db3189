"""Weighted F1: the mean of the F1 of each class, 0..1, each weighted by how many references are of it."""

from __future__ import annotations

from compress.metrics.f1 import of_classes
from compress.metrics.metric import Metric, Values


def f1_weighted(predictions: Values, references: Values) -> float:
    """scikit-learn's `f1_score(average="weighted")`."""
    return of_classes(predictions, references, "weighted")


METRIC = Metric(name="f1_weighted", kind="classification", score=f1_weighted)
