"""ROUGE-1: the overlap of words with the reference, as F1 with stemming, 0..1, the mean over examples."""

from __future__ import annotations

from compress.metrics.rouge import rouge

METRIC = rouge("rouge1", "ROUGE-1", "rouge1")
