"""Spearman rank correlation of predicted and right scores, -1..1 (ties get their mean rank), as GLUE scores STS-B."""

from __future__ import annotations

from compress.metrics.metric import Metric, Values, varied


def spearman(predictions: Values, references: Values) -> float:
    """Undefined where either side is constant."""
    from scipy.stats import spearmanr

    predicted, right = varied(predictions, references)
    return float(spearmanr(predicted, right).statistic)


METRIC = Metric(name="spearman", kind="regression", score=spearman, unit="coefficient")
