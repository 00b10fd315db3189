"""The mean of Pearson and Spearman correlation, -1..1, as GLUE's leaderboard scores STS-B."""

from __future__ import annotations

from compress.metrics.metric import Metric, Values
from compress.metrics.pearson import pearson
from compress.metrics.spearman import spearman


def pearson_spearman(predictions: Values, references: Values) -> float:
    """Undefined where either side is constant."""
    return (pearson(predictions, references) + spearman(predictions, references)) / 2


METRIC = Metric(
    name="pearson_spearman",
    kind="regression",
    score=pearson_spearman,
    unit="coefficient",
    mean_of=("pearson", "spearman"),
)
