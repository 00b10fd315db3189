"""Accuracy on MNLI's mismatched genres, 0..1, measured in the same run as that on the matched ones."""

from __future__ import annotations

from compress.metrics.accuracy import accuracy, is_right
from compress.metrics.metric import Metric

METRIC = Metric(
    name="accuracy_mismatched",
    kind="classification",
    score=accuracy,
    per_example=is_right,
    split="evaluation_mismatched",
)
