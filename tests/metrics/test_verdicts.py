"""The four words: what an interval and a margin say, and how many examples would say more."""

from __future__ import annotations

import math

import numpy as np
import pytest

from compress.metrics import verdicts
from compress.metrics.paired_proportions import score_interval


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.001, 0.02, verdicts.BETTER),
        (0.0, 0.02, verdicts.NOT_WORSE),
        (-0.01, 0.02, verdicts.NOT_WORSE),
        (-0.01, -0.002, verdicts.NOT_WORSE),
        (0.873 - 0.883, 0.0, verdicts.NOT_WORSE),
        (-0.0101, -0.0001, verdicts.WORSE),
        (-0.0101, 0.0, verdicts.NOT_ENOUGH),
        (-0.14, 0.02, verdicts.NOT_ENOUGH),
        (0.0, 0.0, verdicts.NOT_WORSE),
    ],
)
def test_each_word_begins_where_the_last_one_ends(low: float, high: float, word: str) -> None:
    assert verdicts.word(low, high, 0.01) == word


def test_with_a_margin_of_nothing_only_an_interval_from_zero_on_is_not_worse() -> None:
    assert verdicts.word(0.0, 0.1, 0.0) == verdicts.NOT_WORSE
    assert verdicts.word(-1e-6, 0.1, 0.0) == verdicts.NOT_ENOUGH
    assert verdicts.word(-1e-6, 0.1, 0.0, of_seeds=True) == verdicts.NOT_ENOUGH_SEEDS


def test_a_smaller_margin_never_turns_a_word_into_a_better_one() -> None:
    ranks = [verdicts.BETTER, verdicts.NOT_WORSE, verdicts.NOT_ENOUGH, verdicts.WORSE]
    for low in (-0.03, -0.01, 0.0, 0.01):
        for high in (-0.005, 0.0, 0.02):
            if low <= high:
                found = [ranks.index(verdicts.word(low, high, margin)) for margin in (0.05, 0.01, 0.005, 0.0)]
                assert found == sorted(found)


def test_a_difference_that_could_have_been_shown_is_shown_in_four_of_five_cases() -> None:
    from scipy.stats import norm

    spread = 0.01
    for level in (0.95, 0.99):
        half = spread * float(norm.ppf((1 + level) / 2))
        least = verdicts.detectable(-half, half, level)
        # The chance that the interval around a measured difference lies above zero, where the true one is `least`.
        assert float(norm.sf(half, loc=least, scale=spread)) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("discordant", "examples", "level"), [(44, 872, 0.95), (88, 872, 1 - 0.05 / 6), (20, 100, 0.95)]
)
def test_so_it_is_where_the_intervals_are_tangos(discordant: int, examples: int, level: float) -> None:
    least = verdicts.detectable(*score_interval(discordant // 2, discordant // 2, examples, level=level), level)
    chances = np.array([discordant / examples + sign * least for sign in (1, -1)]) / 2
    drawn = np.random.default_rng(2).multinomial(examples, [*chances, 1 - chances.sum()], 600)
    shown = np.mean([score_interval(int(a), int(b), examples, level=level)[0] > 0 for a, b, _ in drawn])
    # Three standard errors of a share of 600 below; above, as few discordant examples as twenty are shown more often.
    assert 0.75 < shown < 0.9


@pytest.mark.parametrize(("value", "half"), [(-0.03, 0.08), (0.0, 0.04), (0.01, 0.05), (-0.004, 0.03), (-0.006, 0.03)])
def test_with_as_many_examples_as_are_said_the_interval_would_settle_it(value: float, half: float) -> None:
    examples = verdicts.enough(value, value - half, value + half, 0.01, 100)
    assert examples is not None
    for count, settled in ((examples * 1.01, True), (examples * 0.85, False)):
        width = half * math.sqrt(100 / count)
        assert (verdicts.word(value - width, value + width, 0.01) != verdicts.NOT_ENOUGH) is settled


@pytest.mark.parametrize("value", [-0.01, -0.0095, -0.0105])
def test_no_number_is_named_for_a_difference_as_large_as_the_margin(value: float) -> None:
    assert verdicts.enough(value, value - 0.05, value + 0.05, 0.01, 100) is None


def test_no_number_is_named_that_nobody_could_collect() -> None:
    assert verdicts.enough(0.0, -0.5, 0.5, 0.0, 100) is None
    assert verdicts.enough(1e-6, -0.5, 0.5, 1e-6, 100) is None
