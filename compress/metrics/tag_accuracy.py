"""Tag accuracy: the fraction of words whose predicted tag is the right one, 0..1; most words are outside entities."""

from __future__ import annotations

from dataclasses import replace

from compress.metrics.token_accuracy import METRIC as TOKEN_ACCURACY

METRIC = replace(
    TOKEN_ACCURACY,
    name="tag_accuracy",
    title="tag accuracy",
    kinds=("token_classification",),
    signature=lambda: "weighted:words",
)
