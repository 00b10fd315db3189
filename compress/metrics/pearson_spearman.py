"""The mean of Pearson and Spearman correlation, -1..1, as GLUE's leaderboard scores STS-B."""

from __future__ import annotations

from compress.metrics.metric import mean_of_two
from compress.metrics.pearson import METRIC as PEARSON
from compress.metrics.spearman import METRIC as SPEARMAN

METRIC = mean_of_two("pearson_spearman", "mean of Pearson and Spearman", PEARSON, SPEARMAN)
