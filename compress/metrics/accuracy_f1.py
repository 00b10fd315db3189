"""The mean of accuracy and F1, 0..1, as GLUE's leaderboard scores MRPC and QQP."""

from __future__ import annotations

from compress.metrics.accuracy import accuracy
from compress.metrics.f1 import f1
from compress.metrics.metric import Metric, Values


def accuracy_f1(predictions: Values, references: Values) -> float:
    """Undefined where F1 is."""
    return (accuracy(predictions, references) + f1(predictions, references)) / 2


METRIC = Metric(name="accuracy_f1", kind="classification", score=accuracy_f1, labels=2, mean_of=("accuracy", "f1"))
