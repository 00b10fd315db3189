"""The scores used in resampling are those of the metrics, also on rows drawn more than once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from compress.core import catalogue
from compress.core.errors import CompressError
from compress.metrics.fast import on_rows, quick_score


def _answers(metric: str, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    references = random.integers(0, 2 if metric in ("f1", "accuracy_f1") else 4, 60).astype(float)
    return np.where(random.random(60) < 0.7, references, random.integers(0, 2, 60)).astype(float), references


@pytest.mark.parametrize(
    "metric", ["accuracy", "accuracy_f1", "f1", "matthews", "pearson", "pearson_spearman", "spearman"]
)
def test_a_quick_score_is_the_metrics_own(metric: str) -> None:
    random = np.random.default_rng(3)
    exact = catalogue.find("metrics", metric).score
    for _ in range(20):
        predictions, references = _answers(metric, random)
        assert quick_score(metric)(predictions, references) == pytest.approx(exact(predictions, references))


@pytest.mark.parametrize(
    "metric",
    ["accuracy", "f1", "f1_macro", "f1_weighted", "matthews", "pearson", "spearman", "accuracy_f1", "pearson_spearman"],
)
def test_on_drawn_rows_too_it_is_the_metrics_own(metric: str) -> None:
    random = np.random.default_rng(4)
    exact = catalogue.find("metrics", metric).score
    predictions, references = _answers(metric, random)
    if metric in {"pearson", "spearman", "pearson_spearman"}:
        predictions = np.round(predictions - 2 + random.normal(size=60), 1)  # negative, and with some ties
    score = on_rows(metric, predictions, references)
    for _ in range(20):
        rows = random.integers(0, 60, 60)
        assert score(rows) == pytest.approx(exact(predictions[rows], references[rows]))


@pytest.mark.parametrize("metric", ["f1", "matthews", "pearson", "spearman"])
def test_where_the_metric_is_undefined_its_quick_score_is_not_a_number(metric: str) -> None:
    nothing = np.zeros(20)
    assert math.isnan(quick_score(metric)(nothing, nothing))
    assert math.isnan(on_rows(metric, nothing, nothing)(np.arange(20)))


def test_a_metric_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CompressError, match="There are:"):
        quick_score("acuracy")
