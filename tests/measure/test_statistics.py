"""Tests of the statistics against scipy, published examples and hand-made cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from compress.measure import statistics


def test_mcnemar_equals_scipys_exact_binomial_test() -> None:
    for only_first, only_second in itertools.product(range(25), repeat=2):
        if only_first + only_second:
            expected = binomtest(only_first, only_first + only_second, 0.5).pvalue
            assert statistics.mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_gives_the_published_p_of_fagerlands_second_example() -> None:
    """59, 6, 16, 80: exact conditional p 0.053 (Fagerland, Lydersen and Laake 2013, and Bentur et al. before them)."""
    assert statistics.mcnemar(6, 16) == pytest.approx(0.0525, abs=5e-5)


def test_mcnemar_without_any_discordant_example_shows_nothing() -> None:
    assert statistics.mcnemar(0, 0) == 1.0


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_a_probability_and_does_not_care_which_is_first(a: int, b: int) -> None:
    p = statistics.mcnemar(a, b)
    assert 0 <= p <= 1
    assert p == statistics.mcnemar(b, a)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table I, method 3."""
    assert statistics.wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_no_trials_is_everything() -> None:
    assert statistics.wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 60), st.integers(60, 1000))
def test_the_smallest_difference_is_significant_and_the_next_smaller_one_is_not(discordant: int, examples: int) -> None:
    smallest = statistics.smallest_difference(discordant, examples)
    total = max(discordant, 6)
    net = round(smallest * examples)
    assert binomtest((total - net) // 2, total, 0.5).pvalue < 0.05
    if net >= 2:
        assert binomtest((total - net) // 2 + 1, total, 0.5).pvalue >= 0.05


def scores(right: int, wrong: int) -> list[float]:
    return [1.0] * right + [0.0] * wrong


def test_many_more_right_answers_are_better_and_seen_from_the_other_side_worse() -> None:
    good, poor = scores(90, 10), scores(60, 40)
    assert statistics.compare(good, poor).verdict == statistics.BETTER
    assert statistics.compare(poor, good).verdict == statistics.WORSE
    assert statistics.compare(good, poor).only_first == 30


def test_equal_counts_on_different_examples_show_no_difference() -> None:
    first, second = [1.0] * 50 + [0.0] * 50, [0.0] * 50 + [1.0] * 50
    found = statistics.compare(first, second)
    assert (found.verdict, found.p_value, found.difference) == (statistics.NOT_SHOWN, 1.0, 0.0)
    assert found.smallest is not None
    assert found.smallest > 0


def test_the_word_and_the_p_value_never_contradict_each_other() -> None:
    for flips in range(12):
        found = statistics.compare(scores(100, 0), scores(100 - flips, flips))
        assert found.p_value is not None
        assert (found.verdict == statistics.BETTER) == (found.p_value < 0.05)
        assert (found.verdict == statistics.BETTER) == (found.difference >= (found.smallest or 0) - 1e-12)


def test_where_less_is_better_the_words_turn_round() -> None:
    assert statistics.compare(scores(90, 10), scores(60, 40), higher_is_better=False).verdict == statistics.WORSE
    draw = np.random.default_rng(0).normal(size=300)
    assert statistics.compare(draw, draw + 1.0, higher_is_better=False).verdict == statistics.BETTER


def test_scores_that_are_not_right_or_wrong_are_compared_by_the_paired_bootstrap() -> None:
    generator = np.random.default_rng(1)
    hard = generator.normal(size=400)  # examples differ far more than the two models do
    first = hard + 0.2 + 0.1 * generator.normal(size=400)
    found = statistics.compare(first, hard)
    assert found.test == "paired bootstrap"
    assert found.verdict == statistics.BETTER
    assert found.p_value is None
    assert 0.18 < found.interval[0] < found.difference < found.interval[1] < 0.22


def test_the_bootstrap_of_a_mean_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(2).normal(3.0, 2.0, size=2000)
    low, high = statistics.bootstrap(lambda rows: float(values[rows].mean()), values.size)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_bootstrap_made_twice_is_the_same() -> None:
    values = np.random.default_rng(3).normal(size=50)
    one, other = (statistics.bootstrap(lambda rows: float(values[rows].mean()), 50) for _ in range(2))
    assert one == other


def test_resamples_without_a_defined_value_are_left_out() -> None:
    low, high = statistics.bootstrap(lambda rows: float("nan") if rows[0] % 2 else 1.0, 10)
    assert (low, high) == (1.0, 1.0)
    assert all(np.isnan(statistics.bootstrap(lambda rows: float("nan"), 10)))


def test_a_metric_of_the_whole_set_is_compared_on_paired_resamples() -> None:
    generator = np.random.default_rng(4)
    labels = generator.normal(size=200)
    close, far = labels + 0.1 * generator.normal(size=200), labels + 2.0 * generator.normal(size=200)
    found = statistics.compare_metric(lambda a, b: float(np.corrcoef(a, b)[0, 1]), close, far, labels)
    assert found.verdict == statistics.BETTER
    assert found.interval[0] < found.difference < found.interval[1]


def test_a_slow_spell_that_hits_both_leaves_their_ratio_as_it_is() -> None:
    baseline = [[0.010, 0.011, 0.010], [0.040, 0.044, 0.040], [0.010, 0.010, 0.012]]
    twice = [[second / 2 for second in one] for one in baseline]
    value, (low, high) = statistics.ratio(baseline, twice)
    assert (value, low, high) == pytest.approx((2.0, 2.0, 2.0))
    assert statistics.round_ratios(baseline, twice) == pytest.approx([2.0, 2.0, 2.0])


def test_the_interval_of_a_median_grows_when_rounds_disagree() -> None:
    generator = np.random.default_rng(5)
    steady = [list(0.01 + 0.0001 * generator.normal(size=20)) for _ in range(10)]
    drifting = [[second * (1 + 0.2 * n) for second in one] for n, one in enumerate(steady)]
    widths = [high - low for low, high in (statistics.median_interval(one) for one in (steady, drifting))]
    assert widths[1] > 10 * widths[0]


def test_scores_of_different_examples_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same examples"):
        statistics.compare([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="same examples"):
        statistics.compare([], [])
