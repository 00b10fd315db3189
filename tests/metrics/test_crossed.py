"""Examples and seeds both leave something to chance, and one interval holds both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from compress.metrics import resampling, statistics
from compress.metrics.crossed import with_seeds
from compress.metrics.metric import find
from compress.metrics.resampling import Jackknife

EXAMPLES = 400


def drawn(seeds: int, luck: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Right answers of two sides, [seeds, examples], equally good but for each student's luck."""
    random = np.random.default_rng(seed)
    hard = random.random(EXAMPLES)
    sides = [
        (hard + random.normal(0, 0.05, (seeds, EXAMPLES)) < 0.8 + random.normal(0, luck, (seeds, 1))).astype(float)
        for _ in "ab"
    ]
    return sides[0], sides[1]


def interval(sides: Any) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """The difference, its interval over examples, and the one that holds the seeds too."""
    compared = statistics.compare(*(side.mean(axis=0).tolist() for side in sides))
    return compared.difference, compared.interval, with_seeds(compared.difference, compared.interval, sides)


def test_one_seed_leaves_the_interval_over_examples_as_it_is() -> None:
    _, over_examples, found = interval(drawn(1, 0.1))
    assert found == over_examples


def test_seeds_that_answer_alike_add_nothing() -> None:
    sides = [np.repeat(side, 3, axis=0) for side in drawn(1, 0.1)]
    _, over_examples, found = interval(sides)
    assert found == pytest.approx(over_examples)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_never_narrower_than_over_examples_alone_and_turns_round_with_the_sides(seed: int) -> None:
    sides = drawn(2 + seed % 4, 0.01 * (seed % 3), seed)
    difference, over_examples, found = interval(sides)
    assert found[0] <= over_examples[0] <= difference <= over_examples[1] <= found[1]
    assert interval(sides[::-1])[2] == pytest.approx((-found[1], -found[0]))


def test_where_luck_is_all_it_is_students_interval_of_two_groups_of_seeds() -> None:
    """Students that are right in all examples or in none: every example says the same, and only seeds count."""
    sides = [np.repeat(np.array(side)[:, None], EXAMPLES, axis=1) for side in ([1.0, 0.0, 1.0], [0.0, 1.0, 0.0])]
    difference = 1 / 3
    spread = sum(float(np.var(side[:, 0], ddof=1)) for side in sides)
    half = t.ppf(0.975, 4) * np.sqrt(spread / 3)
    assert with_seeds(difference, (difference, difference), sides) == pytest.approx(
        (difference - half, difference + half)
    )


def test_more_luck_makes_it_wider_and_more_seeds_narrower() -> None:
    def width(seeds: int, luck: float) -> float:
        widths = [float(np.ptp(interval(drawn(seeds, luck, seed))[2])) for seed in range(20)]
        return float(np.mean(widths))

    assert width(3, 0.0) < width(3, 0.05) < width(3, 0.1)
    assert width(5, 0.05) < 0.8 * width(3, 0.05) < 0.8 * width(2, 0.05)


def test_pseudo_values_of_a_mean_are_the_scores_and_those_of_a_score_average_near_it() -> None:
    rows = np.random.default_rng(0).uniform(0.2, 0.6, 150)
    mean = Jackknife.of_sums(lambda sums: float(sums[0] / sums[1]), np.stack([rows, np.ones(150)], axis=1))
    assert mean.pseudo_values == pytest.approx(rows)
    predicted, right = np.random.default_rng(1).integers(0, 2, (2, 500)).astype(float)
    scorer = find("f1").scorer(predicted, right)
    found = Jackknife.of_scorer(scorer, 500).pseudo_values
    assert len(found) == resampling.GROUPS
    assert found.mean() == pytest.approx(scorer(np.arange(500)), abs=0.01)
