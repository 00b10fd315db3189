"""The mean of Pearson and Spearman correlation, -1..1, as GLUE's leaderboard scores STS-B."""

from __future__ import annotations

from compress.metrics.metric import Metric, Scorer, Values
from compress.metrics.pearson import METRIC as PEARSON
from compress.metrics.spearman import METRIC as SPEARMAN


def _on_rows(predictions: Values, references: Values) -> Scorer:
    """Undefined where either side is constant."""
    pearson, spearman = (metric.scorer(predictions, references) for metric in (PEARSON, SPEARMAN))
    return lambda rows: (pearson(rows) + spearman(rows)) / 2


METRIC = Metric(
    name="pearson_spearman",
    title="mean of Pearson and Spearman",
    kinds=("regression",),
    on_rows=_on_rows,
    unit="coefficient",
    mean_of=("pearson", "spearman"),
)
