"""Tests of the intervals of metrics: near 1, where models agree, and how often they hold the true value."""

from __future__ import annotations

import numpy as np
import pytest

from compress.metrics import metric_intervals, statistics
from compress.metrics.intervals import proportion
from compress.metrics.metric import find

LABELS = np.repeat([0.0, 1.0], [60, 40])


@pytest.mark.parametrize("name", ["accuracy", "f1", "f1_macro", "f1_micro", "f1_weighted", "matthews"])
def test_a_perfect_score_of_a_hundred_rows_leaves_room_for_a_mistake(name: str) -> None:
    low, high = metric_intervals.of_values(find(name), LABELS, LABELS)
    assert low < 0.98
    assert high == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", ["f1", "f1_macro", "f1_weighted", "matthews", "pearson"])
def test_models_that_agree_on_every_row_may_still_differ(name: str) -> None:
    predicted = LABELS.copy()
    predicted[::9] = 1 - predicted[::9]
    found = metric_intervals.of_difference(find(name), predicted, predicted, LABELS)
    assert found.difference == 0
    assert found.interval[0] < -0.01
    assert found.interval[1] > 0.01


def test_accuracy_has_wilsons_interval_at_any_level() -> None:
    predicted = LABELS.copy()
    predicted[:3] = 1
    assert metric_intervals.of_values(find("accuracy"), predicted, LABELS, level=0.99) == proportion(
        97, 100, level=0.99
    )


def test_a_higher_level_is_a_wider_interval() -> None:
    predicted = np.random.default_rng(0).permutation(LABELS)
    for name in ("matthews", "pearson", "spearman"):
        one, other = (
            metric_intervals.of_values(find(name), predicted, LABELS, level=level) for level in (0.95, 1 - 0.05 / 12)
        )
        assert other[0] < one[0] < one[1] < other[1]


def test_the_sides_changed_about_the_interval_turns_round() -> None:
    generator = np.random.default_rng(1)
    first, second = (np.where(generator.random(100) < share, LABELS, 1 - LABELS) for share in (0.9, 0.7))
    for name in ("f1", "matthews"):
        there = metric_intervals.of_difference(find(name), first, second, LABELS)
        back = metric_intervals.of_difference(find(name), second, first, LABELS)
        assert there.test == statistics.POSTERIOR
        assert there.interval[0] > 0
        assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]), abs=0.01)


def test_scores_of_sentences_without_a_mistake_have_an_interval_too() -> None:
    rows = np.stack([np.full(50, 20.0), np.full(50, 20.0)], axis=1)
    assert metric_intervals.of_rows(find("token_accuracy"), rows) == pytest.approx(proportion(50, 50))
    rows[0, 0] = 19.0  # one word of one sentence
    low, high = metric_intervals.of_rows(find("token_accuracy"), rows)
    assert 0.99 < low < 0.999 < high <= 1


def drawn(generator: np.random.Generator, examples: int, apart: float, gap: float) -> tuple[np.ndarray, ...]:
    """Labels, of which 30 % are 1, and two models: the second right in 90 %, the first in `gap` fewer."""
    right = (generator.random(examples) < 0.3).astype(float)
    both = 0.9 - (apart + gap) / 2
    ends = np.cumsum([both, (apart - gap) / 2, (apart + gap) / 2])
    case = np.searchsorted(ends, generator.random(examples))
    first, second = (np.where(np.isin(case, kept), right, 1 - right) for kept in ((0, 1), (0, 2)))
    return first, second, right


@pytest.mark.parametrize(("examples", "apart", "gap"), [(100, 0.01, 0.005), (100, 0.05, 0.02), (872, 0.1, 0.01)])
@pytest.mark.parametrize("name", ["f1", "matthews"])
def test_differences_of_f1_and_matthews_cover(
    name: str, examples: int, apart: float, gap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.metrics import resampling

    monkeypatch.setattr(resampling, "DRAWS", 400)
    metric, generator = find(name), np.random.default_rng(6)
    first, second, right = drawn(generator, 400_000, apart, gap)
    true = metric.score(first, right) - metric.score(second, right)
    covered = []
    for _ in range(150):
        *sides, right = drawn(generator, examples, apart, gap)
        low, high = metric_intervals.of_difference(metric, *sides, right).interval
        covered.append(low <= true <= high)
    # Three standard errors of a share of 150 below 95 %; the bootstrap covered 50 % of the first case.
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 150)
