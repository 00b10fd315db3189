"""Tests of the statistics against scipy, published examples and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from compress.metrics import resampling, statistics
from compress.metrics.metric import find
from compress.metrics.paired_proportions import mcnemar, score_interval


def scores(right: int, wrong: int) -> list[float]:
    return [1.0] * right + [0.0] * wrong


def test_right_and_wrong_answers_have_tangos_interval_and_mcnemars_p_as_a_note() -> None:
    found = statistics.compare(scores(90, 10), scores(60, 40))
    assert (found.only_first, found.only_second, found.test) == (30, 0, statistics.SCORE_TEST)
    assert found.difference == pytest.approx(0.3)
    assert found.interval == score_interval(30, 0, 100)
    assert found.p_value == mcnemar(30, 0)
    wider = statistics.compare(scores(90, 10), scores(60, 40), level=0.99).interval
    assert wider == score_interval(30, 0, 100, level=0.99)


def test_two_models_that_agree_on_every_row_may_still_differ() -> None:
    low, high = statistics.compare(scores(90, 10), scores(90, 10)).interval
    assert low < -0.03
    assert high > 0.03


def test_other_scores_have_students_interval_of_their_paired_differences() -> None:
    generator = np.random.default_rng(1)
    hard = generator.normal(size=400)  # examples differ far more than the two models do
    first = hard + 0.2 + 0.1 * generator.normal(size=400)
    found = statistics.compare(first.tolist(), hard.tolist(), level=0.99)
    expected = ttest_rel(first, hard).confidence_interval(0.99)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert (found.test, found.p_value) == (statistics.JACKKNIFE, None)


def test_a_rank_correlation_is_compared_on_the_same_rows() -> None:
    generator = np.random.default_rng(4)
    labels = generator.normal(size=200)
    close, far = labels + 0.1 * generator.normal(size=200), labels + 2.0 * generator.normal(size=200)
    metric = find("spearman")
    found = statistics.compare_scorers(metric.scorer(close, labels), metric.scorer(far, labels), 200)
    assert found.difference == pytest.approx(metric.score(close, labels) - metric.score(far, labels))
    assert 0 < found.interval[0] < found.difference < found.interval[1]


def test_scores_of_different_examples_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same examples"):
        statistics.compare([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="same examples"):
        statistics.compare([], [])


def _translations() -> tuple[list[str], list[str], list[str]]:
    """References, and two systems: one drops a word now and then, the other in twice as many sentences."""
    generator = np.random.default_rng(11)
    vocabulary = [f"w{n}" for n in range(40)]
    references = [list(generator.choice(vocabulary, 12)) for _ in range(120)]
    better, worse = (
        [" ".join(words[:-4] if generator.random() < share else words) for words in references] for share in (0.3, 0.6)
    )
    return [" ".join(words) for words in references], better, worse


def test_the_interval_of_bleu_is_as_wide_as_sacrebleus_own() -> None:
    from sacrebleu.metrics import BLEU

    references, _, outputs = _translations()
    metric = find("bleu")
    low, high = resampling.of_sums(metric.of_sums, metric.statistics(outputs, references))
    theirs = BLEU().corpus_score(outputs, [references], n_bootstrap=1000)
    # Theirs is a bootstrap: half of a 95 % interval from 1000 draws has itself a standard error of about 4 %.
    assert 100 * (high - low) / 2 == pytest.approx(theirs._ci, rel=0.15)
    assert 100 * (high + low) / 2 == pytest.approx(theirs._mean, abs=0.15 * theirs._ci)


@pytest.mark.parametrize("last", [2.0, np.inf])
def test_the_score_of_some_rows_is_that_of_their_sums_also_where_another_row_is_infinite(last: float) -> None:
    rows = [[1.0, 1.0], [5.0, 1.0], [last, 1.0]]
    score = statistics.scorer_of_sums(lambda sums: float(sums[0] / sums[1]), rows)
    assert score(np.array([0, 0, 1])) == pytest.approx(7 / 3)
    assert score(np.array([0, 2])) == (1 + last) / 2
    # Four examples of three kinds.
    alike = statistics.scorer_of_sums(lambda sums: float(sums[0] / sums[1]), rows, np.array([0, 1, 1, 2]))
    assert alike(np.array([0, 1, 2])) == pytest.approx(11 / 3)


@pytest.mark.parametrize("name", ["bleu", "chrf", "rouge2"])
def test_scores_of_summed_statistics_are_compared_on_the_same_examples(name: str) -> None:
    references, better, worse = _translations()
    metric = find(name)
    first, second = metric.statistics(better, references), metric.statistics(worse, references)
    found = statistics.compare_sums(metric.of_sums, first, second)
    assert found.difference == pytest.approx(metric.score(better, references) - metric.score(worse, references))
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    turned = statistics.compare_sums(metric.of_sums, second, first).interval
    assert turned == pytest.approx((-found.interval[1], -found.interval[0]))
    same = statistics.compare_sums(metric.of_sums, first, first)
    assert same.difference == 0
    assert same.interval[0] < 0 < same.interval[1]


def test_summed_statistics_of_other_examples_are_not_compared() -> None:
    none = np.empty((0, 2))
    for first, second in (([[1.0, 2.0]], [[1.0, 2.0]] * 2), ([], []), (none, none), ([1.0], [2.0])):
        with pytest.raises(ValueError, match="same examples"):
            statistics.compare_sums(sum, first, second)
