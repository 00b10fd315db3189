"""Pearson correlation of predicted and right scores, -1..1, as GLUE scores STS-B."""

from __future__ import annotations

from compress.metrics.metric import Metric, Values, varied


def pearson(predictions: Values, references: Values) -> float:
    """Undefined where either side is constant."""
    from scipy.stats import pearsonr

    predicted, right = varied(predictions, references)
    return float(pearsonr(predicted, right).statistic)


METRIC = Metric(name="pearson", kind="regression", score=pearson, unit="coefficient")
