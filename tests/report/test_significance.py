"""What a test of two artifacts says, and from how many examples on it says anything."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from compress.core.measurement import Measurement
from compress.metrics import statistics
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
    ("word", "shows_loss", "shows_no_loss"),
    [
        (statistics.WORSE, True, False),
        (statistics.BETTER, False, True),
        (statistics.NOT_SHOWN, False, True),
        (None, False, False),
    ],
)
def test_only_a_test_that_was_made_shows_a_loss_or_none(
    word: str | None, shows_loss: bool, shows_no_loss: bool
) -> None:
    found = Difference(0.0, word=word)
    assert (found.shows_loss, found.shows_no_loss) == (shows_loss, shows_no_loss)


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


def test_right_and_wrong_answers_are_tested_however_few_and_say_what_could_have_been_shown() -> None:
    found = difference(scored(1.0, *[1.0] * 5), scored(0.2, 1.0, *[0.0] * 4), ())
    assert (found.word, found.examples, found.interval is not None) == (statistics.NOT_SHOWN, 5, True)
    assert (found.only_here, found.only_there, found.p_value) == (4, 0, pytest.approx(2 / 2**4))
    # Six flips in one direction, of five examples.
    assert found.smallest == pytest.approx(6 / 5)


def test_a_score_of_sums_is_compared_by_the_sums_of_the_same_examples() -> None:
    low, high = (summed("perplexity", math.exp(loss), *[(loss, 1.0)] * 8) for loss in (1.0, 2.0))
    found = difference(high, low, ())
    assert (found.word, found.test, found.examples) == (statistics.WORSE, "paired bootstrap", 8)
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
    assert (found.word, found.test, found.examples) == (statistics.BETTER, "paired bootstrap", 12)
    assert found.value == pytest.approx(0.5)
    assert found.smallest is not None
    unknown = difference(predicted("gone", 0.9, *right), predicted("gone", 0.4, *right), right)
    assert unknown == Difference(0.5, absent="the metric 'gone' is not one of this version's")


def test_a_metric_without_a_value_on_any_resample_has_no_interval_and_no_word() -> None:
    without_any = summed("f1", 0.0, *[(0.0, 0.0)] * 8)
    found = difference(without_any, without_any, ())
    assert (found.interval, found.word, found.smallest) == (None, None, None)
    assert "no interval" in (found.absent or "")


@pytest.mark.parametrize(("here", "there", "rows"), [(8, 7, 8), (7, 8, 8), (8, 8, 7), (0, 8, 8)])
def test_results_on_other_rows_leave_the_plain_difference(here: int, there: int, rows: int) -> None:
    ours, theirs = predicted("pearson", 0.5, *[1.0] * here), predicted("pearson", 0.2, *[2.0] * there)
    absent = "not tested: no results per example of both on the same rows"
    assert difference(ours, theirs, [0.0] * rows) == Difference(0.5 - 0.2, absent=absent)
    assert difference(scored(0.5, *[0.5] * here), scored(0.2, *[0.2] * (here + 1)), ()).absent == absent
    assert difference(summed("perplexity", 2.0, *[(1.0, 1.0)] * here), summed("perplexity", 3.0), ()).absent == absent
