"""The score of the weights that were kept is the best epoch's or the last one's, by the metric's own direction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from compress.training.kept_score import ON_HELD_OUT, KeptScore, kept_score


def facts(metric: str, *values: float, kept: str = "best") -> dict[str, Any]:
    points = [[4 * number, value] for number, value in enumerate(values, 1)]
    return {"curves": {"loss": [[4, 0.5]], f"{metric}{ON_HELD_OUT}": points}, "kept": kept}


@pytest.mark.parametrize(("kept", "value"), [("best", 0.9), ("last", 0.7)])
def test_the_best_epoch_counts_where_it_was_kept_and_the_last_one_otherwise(kept: str, value: float) -> None:
    assert kept_score(facts("accuracy", 0.8, 0.9, 0.7, kept=kept)) == KeptScore("accuracy", value, True)


def test_the_best_perplexity_is_the_least() -> None:
    assert kept_score(facts("perplexity", 30.0, 25.0, 28.0)) == KeptScore("perplexity", 25.0, False)


def test_a_metrics_own_direction_says_which_score_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.core import catalogue
    from compress.metrics import metric

    errors = replace(metric.find("accuracy"), name="error_rate", higher_is_better=False)
    monkeypatch.setattr(metric, "find", {"error_rate": errors}.__getitem__)
    monkeypatch.setattr(catalogue, "names", lambda kind: ["error_rate"])
    assert kept_score(facts("error_rate", 0.2, 0.1, 0.3)) == KeptScore("error_rate", 0.1, False)


@pytest.mark.parametrize("without", [{}, {"curves": {"loss": [[4, 0.5]]}}, facts("a metric of before", 0.2)])
def test_there_is_none_without_a_curve_of_scores_or_in_a_metric_that_is_not_known_here(without: dict[str, Any]) -> None:
    assert kept_score(without) is None
