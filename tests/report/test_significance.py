"""What a test of two artifacts says, and from how many examples on it says anything."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from compress.core.measurement import Measurement
from compress.metrics import statistics, verdicts
from compress.report.significance import Difference, difference


def scored(value: float, *scores: float) -> Measurement:
    """A score for each example, neither right nor wrong."""
    return Measurement("a", "rouge_l", value, "share", True, per_example=scores)


@pytest.mark.parametrize(("examples", "word"), [(5, None), (6, "better")])
def test_fewer_than_six_scores_are_not_tested(examples: int, word: str | None) -> None:
    found = difference(scored(0.7, *[0.7] * examples), scored(0.2, *[0.2] * examples), ())
    assert found.word == word
    assert found.value == pytest.approx(0.5)
    assert (found.absent is not None) == (word is None)


@pytest.mark.parametrize(
    ("word", "can_be_recommended"),
    [
        (verdicts.WORSE, False),
        (verdicts.BETTER, True),
        (verdicts.NOT_WORSE, True),
        (verdicts.NOT_ENOUGH, False),
        (None, False),
    ],
)
def test_only_what_is_better_or_not_worse_can_be_recommended(word: str | None, can_be_recommended: bool) -> None:
    assert Difference(0.0, word=word).can_be_recommended == can_be_recommended


@pytest.mark.parametrize(
    "here", [None, Measurement("a", "rouge_l", None, "share", True, absent="it ran out of memory")]
)
def test_what_was_not_measured_says_why(here: Measurement | None) -> None:
    there = scored(0.5, *[0.5] * 8)
    reason = here.absent if here is not None else "not measured"
    assert difference(here, there, ()) == difference(there, here, ()) == Difference(absent=reason)


def summed(name: str, value: float, *rows: tuple[float, ...]) -> Measurement:
    """Statistics of each example, from whose sums the score is made."""
    return Measurement("a", name, value, "perplexity", False, statistics=rows)


def predicted(name: str, value: float, *predictions: float) -> Measurement:
    """A metric of the whole set, of which predictions alone are kept."""
    return Measurement("a", name, value, "coefficient", True, predictions=predictions)


def test_right_and_wrong_answers_are_counted_and_mcnemars_p_is_a_note_beside_the_word() -> None:
    found = difference(scored(1.0, *[1.0] * 5), scored(0.2, 1.0, *[0.0] * 4), ())
    assert (found.examples, found.only_here, found.only_there) == (5, 4, 0)
    assert found.p_value == pytest.approx(2 / 2**4)


@pytest.mark.parametrize(
    ("right", "margin", "word"),
    [
        (460, 0.01, verdicts.BETTER),
        (400, 0.05, verdicts.NOT_WORSE),
        (400, 0.0, verdicts.NOT_ENOUGH),
        (400, 0.001, verdicts.NOT_ENOUGH),
        (340, 0.01, verdicts.WORSE),
        (340, 0.3, verdicts.NOT_WORSE),
    ],
)
def test_the_word_is_read_from_the_interval_and_the_margin(right: int, margin: float, word: str) -> None:
    """Of 500 rows the other has 400 right; 10 of them are swapped for 10 others."""
    there = [1.0] * 400 + [0.0] * 100
    here = [0.0] * 10 + [1.0] * (right - 10) + [0.0] * (500 - right)
    if right == 400:
        here[-10:] = [1.0] * 10
    found = difference(scored(sum(here) / 500, *here), scored(0.8, *there), (), margin=margin, level=0.99)
    assert found.word == word
    assert (found.margin, found.level) == (margin, 0.99)
    assert found.interval is not None
    assert found.word == verdicts.word(*found.interval, margin)


def test_more_variants_make_the_interval_wider() -> None:
    here, there = scored(0.5, *[1.0, 0.0] * 20), scored(0.5, *[0.0, 1.0] * 10, *[1.0, 0.0] * 10)
    alone, many = (difference(here, there, (), level=level).interval for level in (0.95, 0.99))
    assert alone is not None
    assert many is not None
    assert many[0] < alone[0] < alone[1] < many[1]


def test_a_score_of_sums_is_compared_by_the_sums_of_the_same_examples() -> None:
    low, high = (summed("perplexity", math.exp(loss), *[(loss, 1.0)] * 8) for loss in (1.0, 2.0))
    found = difference(high, low, ())
    assert (found.word, found.test, found.examples) == (verdicts.WORSE, statistics.JACKKNIFE, 8)
    assert found.value == pytest.approx(math.exp(2) - math.exp(1))
    assert found.interval == pytest.approx((found.value, found.value))


@pytest.mark.parametrize(
    ("name", "columns", "absent"),
    [
        ("of_another_version", 2, "the metric 'of_another_version' is not one of this version's"),
        ("perplexity", 1, "not tested: the two have other statistics"),
    ],
)
def test_sums_that_cannot_be_compared_leave_the_plain_difference(name: str, columns: int, absent: str) -> None:
    here, there = summed(name, 5.0, *[(1.0, 1.0)] * 8), summed(name, 3.0, *[(1.0, 1.0)[:columns]] * 8)
    assert difference(here, there, ()) == Difference(2.0, absent=absent)
    nothing = replace(here, value=0.0)
    assert difference(nothing, there, ()) == Difference(-3.0, absent=absent)
    assert difference(there, nothing, ()) == Difference(3.0, absent=absent)


def test_a_metric_of_the_whole_set_is_compared_from_predictions_with_the_values_that_were_measured() -> None:
    right = [float(one) for one in range(12)]
    close, far = (predicted("pearson", value, *line) for value, line in ((0.9, right), (0.4, right[::-1])))
    found = difference(close, far, right)
    assert (found.word, found.test, found.examples) == (verdicts.BETTER, statistics.JACKKNIFE, 12)
    assert found.value == pytest.approx(0.5)
    assert found.detectable is not None
    unknown = difference(predicted("gone", 0.9, *right), predicted("gone", 0.4, *right), right)
    assert unknown == Difference(0.5, absent="the metric 'gone' is not one of this version's")


def test_a_metric_without_a_value_on_any_resample_has_no_interval_and_no_word() -> None:
    without_any = summed("f1", 0.0, *[(0.0, 0.0)] * 8)
    found = difference(without_any, without_any, ())
    assert (found.interval, found.word, found.detectable) == (None, None, None)
    assert "no interval" in (found.absent or "")


@pytest.mark.parametrize(("here", "there", "rows"), [(8, 7, 8), (7, 8, 8), (8, 8, 7), (0, 8, 8)])
def test_results_on_other_rows_leave_the_plain_difference(here: int, there: int, rows: int) -> None:
    ours, theirs = predicted("pearson", 0.5, *[1.0] * here), predicted("pearson", 0.2, *[2.0] * there)
    absent = "not tested: no results per example of both on the same rows"
    assert difference(ours, theirs, [0.0] * rows) == Difference(0.5 - 0.2, absent=absent)
    assert difference(scored(0.5, *[0.5] * here), scored(0.2, *[0.2] * (here + 1)), ()).absent == absent
    assert difference(summed("perplexity", 2.0, *[(1.0, 1.0)] * here), summed("perplexity", 3.0), ()).absent == absent


def test_a_difference_of_rounding_alone_is_none_and_its_interval_includes_zero() -> None:
    """An export in fp32 is 3e-8 of a perplexity apart from torch, with the same sign in most texts."""
    torch = summed("perplexity", 130.0, *[(4.0 + 0.1 * n, 1.0) for n in range(10)])
    onnx = summed("perplexity", 130.0 + 4e-6, *[(4.0 + 0.1 * n + (2 + n % 3) * 1e-8, 1.0) for n in range(10)])
    found = difference(onnx, torch, (), margin=1.3)
    assert found.word == verdicts.NOT_WORSE
    assert found.interval is not None
    low, high = found.interval
    assert low == 0.0 < high < 1e-4
