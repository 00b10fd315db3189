"""Accuracy on MNLI's mismatched genres, 0..1, measured in the same run as that on the matched ones."""

from __future__ import annotations

from dataclasses import replace

from compress.metrics.accuracy import METRIC as ACCURACY

METRIC = replace(
    ACCURACY,
    name="accuracy_mismatched",
    title="accuracy on the mismatched genres",
    split="evaluation_mismatched",
)
