"""What a test of two artifacts says, and from how many examples on it says anything."""

from __future__ import annotations

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
