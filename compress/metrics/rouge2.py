"""ROUGE-2: the overlap of pairs of words with the reference, as F1 with stemming, 0..1, the mean over examples."""

from __future__ import annotations

from compress.metrics.rouge import rouge

METRIC = rouge("rouge2", "ROUGE-2", "rouge2")
