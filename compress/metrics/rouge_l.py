"""ROUGE-L: the longest common subsequence with the reference, as F1 with stemming, 0..1, the mean over examples."""

from __future__ import annotations

from compress.metrics.rouge import rouge

METRIC = rouge("rouge_l", "ROUGE-L", "rougeL")
