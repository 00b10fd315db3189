"""Tests of the statistics against scipy, published examples and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_rel

from compress.metrics import statistics
from compress.metrics import timings as timing_statistics


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


def test_what_could_have_been_shown_is_half_of_the_interval_or_what_mcnemars_test_needs() -> None:
    first, second = np.random.default_rng(13).random((2, 60))
    plain = statistics.compare(first, second)
    whole = statistics.compare_scorers(
        lambda rows: float(first[rows].mean()), lambda rows: float(second[rows].mean()), 60, resamples=200
    )
    for found in (plain, whole):
        assert found.smallest == pytest.approx((found.interval[1] - found.interval[0]) / 2)
    right = statistics.compare([1.0] * 16 + [0.0] * 6 + [1.0] * 78, [0.0] * 16 + [1.0] * 84)
    assert (right.only_first, right.only_second) == (16, 6)
    assert right.smallest == statistics.smallest_difference(22, 100) == 0.12


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


def test_a_resample_is_as_many_rows_as_there_are_each_drawn_as_often_as_any_other() -> None:
    drawn = np.array([], dtype=int)

    def rows_of(rows: np.ndarray) -> float:
        nonlocal drawn
        assert len(rows) == 8
        drawn = np.append(drawn, rows)
        return 0.0

    statistics.bootstrap(rows_of, 8, resamples=500)
    # Of 4000 draws each row has 500, give or take 21.
    assert np.bincount(drawn, minlength=8) == pytest.approx(500, abs=85)


def test_resamples_without_a_defined_value_are_left_out() -> None:
    low, high = statistics.bootstrap(lambda rows: float("nan") if rows[0] % 2 else 1.0, 10)
    assert (low, high) == (1.0, 1.0)
    assert all(np.isnan(statistics.bootstrap(lambda rows: float("nan"), 10)))


def test_a_metric_of_the_whole_set_is_compared_on_paired_resamples() -> None:
    generator = np.random.default_rng(4)
    labels = generator.normal(size=200)
    close, far = labels + 0.1 * generator.normal(size=200), labels + 2.0 * generator.normal(size=200)
    first, second = (
        lambda rows, side=side: float(np.corrcoef(side[rows], labels[rows])[0, 1]) for side in (close, far)
    )
    found = statistics.compare_scorers(first, second, 200)
    assert found.verdict == statistics.BETTER
    assert found.interval[0] < found.difference < found.interval[1]


def test_a_slow_spell_that_hits_both_leaves_their_ratio_as_it_is() -> None:
    baseline = [[0.010, 0.011, 0.010], [0.040, 0.044, 0.040], [0.010, 0.010, 0.012]]
    twice = [[second / 2 for second in one] for one in baseline]
    value, (low, high) = timing_statistics.ratio(baseline, twice)
    assert (value, low, high) == pytest.approx((2.0, 2.0, 2.0))
    assert timing_statistics.round_ratios(baseline, twice) == pytest.approx([2.0, 2.0, 2.0])


def test_the_interval_of_a_median_grows_when_rounds_disagree() -> None:
    generator = np.random.default_rng(5)
    steady = [list(0.01 + 0.0001 * generator.normal(size=20)) for _ in range(10)]
    drifting = [[second * (1 + 0.2 * n) for second in one] for n, one in enumerate(steady)]
    widths = [high - low for low, high in (timing_statistics.median_interval(one) for one in (steady, drifting))]
    assert widths[1] > 10 * widths[0]


def test_scores_of_different_examples_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same examples"):
        statistics.compare([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="same examples"):
        statistics.compare([], [])


@given(st.floats(-0.5, 0.5), st.integers(40, 300))
def test_the_interval_and_the_p_value_of_a_bootstrap_test_never_contradict_each_other(
    shift: float, resamples: int
) -> None:
    values = np.random.default_rng(9).normal(shift, 1.0, size=60)
    (low, high), p_value = statistics.bootstrap_test(lambda rows: float(values[rows].mean()), 60, resamples=resamples)
    assert 0 < p_value <= 1
    assert low <= high
    # The p-value of 40 resamples cannot be smaller than 2/41.
    assert (p_value < 0.05) == (low > 0 or high < 0)


def test_the_p_value_of_the_bootstrap_agrees_with_students_test_of_many_values() -> None:
    values = np.random.default_rng(10).normal(0.06, 1.0, size=1500)
    _, p_value = statistics.bootstrap_test(lambda rows: float(values[rows].mean()), 1500, resamples=4000)
    assert p_value == pytest.approx(ttest_rel(values, np.zeros(1500)).pvalue, abs=0.01)


def test_a_bootstrap_test_of_an_undefined_statistic_says_nothing() -> None:
    (low, high), p_value = statistics.bootstrap_test(lambda rows: float("nan"), 10)
    assert np.isnan([low, high, p_value]).all()


@pytest.mark.parametrize(
    ("below", "zero", "above", "p_value"),
    [
        (0, 0, 99, 0.02),
        (3, 0, 96, 0.08),
        (96, 0, 3, 0.08),
        (0, 2, 97, 0.06),
        (97, 2, 0, 0.06),
        (0, 99, 0, 1),
        (1, 0, 78, 0.05),
        (1, 0, 79, 4 / 81),
    ],
)
def test_the_p_value_of_a_bootstrap_counts_twice_the_rarer_side_and_what_was_seen(
    below: int, zero: int, above: int, p_value: float
) -> None:
    drawn = iter([-1.0] * below + [0.0] * zero + [1.0] * above)
    (low, high), found = statistics.bootstrap_test(lambda rows: next(drawn), 5, resamples=below + zero + above)
    assert found == pytest.approx(p_value)
    assert (low > 0 or high < 0) == (p_value < 0.05)


@pytest.mark.parametrize(("resamples", "p_value"), [(39, np.nan), (40, 2 / 41)])
def test_fewer_than_40_resamples_have_no_p_value(resamples: int, p_value: float) -> None:
    (low, high), found = statistics.bootstrap_test(lambda rows: 1.0, 5, resamples=resamples)
    assert found == pytest.approx(p_value, nan_ok=True)
    assert np.isnan([low, high]).any() == np.isnan(found)


def _translations() -> tuple[list[str], list[str], list[str]]:
    """References, and two systems: one drops a word now and then, the other in twice as many sentences."""
    generator = np.random.default_rng(11)
    vocabulary = [f"w{n}" for n in range(40)]
    references = [list(generator.choice(vocabulary, 12)) for _ in range(120)]
    better, worse = (
        [" ".join(words[:-4] if generator.random() < share else words) for words in references] for share in (0.3, 0.6)
    )
    return [" ".join(words) for words in references], better, worse


@pytest.mark.parametrize("name", ["bleu", "chrf", "rouge2"])
def test_scores_of_summed_statistics_are_compared_on_paired_resamples(name: str) -> None:
    from compress.metrics.metric import find

    references, better, worse = _translations()
    metric = find(name)
    first, second = metric.statistics(better, references), metric.statistics(worse, references)
    found = statistics.compare_sums(metric.of_sums, first, second, resamples=500)
    assert found.difference == pytest.approx(metric.score(better, references) - metric.score(worse, references))
    assert found.interval[0] < found.difference < found.interval[1]
    assert (found.verdict, found.test) == (statistics.BETTER, "paired bootstrap")
    assert statistics.compare_sums(metric.of_sums, second, first, resamples=500).verdict == statistics.WORSE
    same = statistics.compare_sums(metric.of_sums, first, first, resamples=50)
    assert (same.difference, same.interval, same.verdict) == (0.0, (0.0, 0.0), statistics.NOT_SHOWN)


def test_resamples_of_bleu_spread_as_sacrebleus_own() -> None:
    from sacrebleu.metrics import BLEU

    from compress.metrics.metric import find

    references, _, outputs = _translations()
    metric = find("bleu")
    low, high = statistics.interval_of_sums(metric.of_sums, metric.statistics(outputs, references), resamples=1000)
    theirs = BLEU().corpus_score(outputs, [references], n_bootstrap=1000)
    # Half of a 95 % interval from 1000 draws has itself a standard error of about 4 %; both are drawn.
    assert 100 * (high - low) / 2 == pytest.approx(theirs._ci, rel=0.15)
    assert 100 * (high + low) / 2 == pytest.approx(theirs._mean, abs=0.15 * theirs._ci)


def test_a_mean_of_scores_has_the_same_comparison_as_a_sum_over_a_count() -> None:
    generator = np.random.default_rng(12)
    first, second = generator.random(90), generator.random(90)
    rows = [np.stack([scores, np.ones(90)], axis=1) for scores in (first, second)]
    summed = statistics.compare_sums(lambda sums: float(sums[0] / sums[1]), *rows)
    plain = statistics.compare(first, second)
    assert summed.interval == pytest.approx(plain.interval)
    assert summed.difference == pytest.approx(plain.difference)
    assert summed.verdict == plain.verdict


def test_summed_statistics_of_other_examples_are_not_compared() -> None:
    none = np.empty((0, 2))
    for first, second in (([[1.0, 2.0]], [[1.0, 2.0]] * 2), ([], []), (none, none), ([1.0], [2.0])):
        with pytest.raises(ValueError, match="same examples"):
            statistics.compare_sums(sum, first, second)
    assert statistics.compare_sums(sum, [[1.0, 2.0]], [[1.0, 1.0]], resamples=1).difference == 1


@pytest.mark.parametrize("last", [2.0, np.inf])
def test_the_score_of_some_rows_is_that_of_their_sums_also_where_another_row_is_infinite(last: float) -> None:
    rows = [[1.0, 1.0], [5.0, 1.0], [last, 1.0]]
    score = statistics.scorer_of_sums(lambda sums: float(sums[0] / sums[1]), rows)
    assert score(np.array([0, 0, 1])) == pytest.approx(7 / 3)
    assert score(np.array([0, 2])) == (1 + last) / 2
    # Four examples of three kinds.
    alike = statistics.scorer_of_sums(lambda sums: float(sums[0] / sums[1]), rows, np.array([0, 1, 1, 2]))
    assert alike(np.array([0, 1, 2])) == pytest.approx(11 / 3)


def test_a_difference_that_rounding_explains_is_none_however_surely_it_has_one_sign() -> None:
    scores = np.random.default_rng(0).uniform(1, 3, 400)
    other = scores * (1 + 1e-7)  # all on one side, as two runtimes' sums may be
    assert statistics.compare(other, scores).interval[0] > 0
    assert statistics.compare(other, scores).verdict == statistics.NOT_SHOWN
    assert statistics.compare(scores * (1 + 1e-4), scores).verdict == statistics.BETTER
    sums = np.stack([scores, np.ones(400)], axis=1)
    shifted = np.stack([other, np.ones(400)], axis=1)
    assert statistics.compare_sums(lambda total: total[0] / total[1], shifted, sums).verdict == statistics.NOT_SHOWN


@pytest.mark.parametrize(
    ("interval", "scores", "word"),
    [
        ((0.01, 0.2), (1.0, 0.9), statistics.BETTER),
        ((-0.2, -0.01), (0.9, 1.0), statistics.WORSE),
        ((-0.1, 0.1), (1.0, 1.0), statistics.NOT_SHOWN),
        ((0.0, 0.1), (1.0, 1.0), statistics.NOT_SHOWN),
        ((-0.1, 0.0), (1.0, 1.0), statistics.NOT_SHOWN),
        # Within a millionth of the greater score.
        ((0.5e-6, 1e-6), (1.0, 1.0), statistics.NOT_SHOWN),
        ((-1.1e-6, -0.5e-6), (1.0, 1.0), statistics.WORSE),
        ((1e-5, 5e-5), (1.0, -100.0), statistics.NOT_SHOWN),
    ],
)
def test_an_interval_shows_a_difference_where_it_leaves_out_0_and_rounding(
    interval: tuple[float, float], scores: tuple[float, float], word: str
) -> None:
    assert statistics.word_of_interval(interval, True, *scores) == word


@pytest.mark.parametrize(("p_value", "is_shown"), [(0.049, True), (1 - statistics.LEVEL, False), (0.051, False)])
def test_a_p_value_shows_a_difference_below_one_in_twenty(p_value: float, is_shown: bool) -> None:
    assert statistics.word_of_p(1, p_value, True) == (statistics.BETTER if is_shown else statistics.NOT_SHOWN)
    assert statistics.word_of_p(-1, p_value, True) == (statistics.WORSE if is_shown else statistics.NOT_SHOWN)
