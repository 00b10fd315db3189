"""ROUGE-Lsum: common subsequences of each line with the reference's lines, as F1 with stemming, 0..1, the mean."""

from __future__ import annotations

from compress.metrics.rouge import rouge

METRIC = rouge("rouge_lsum", "ROUGE-Lsum", "rougeLsum")
