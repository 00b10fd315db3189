"""The time that is left is the estimate of what waits, corrected by what was finished; where a part is unknown, none is told."""

from __future__ import annotations

import pytest

from compress.core.time_left import TimeLeft, about


def test_before_anything_is_finished_the_estimate_is_told() -> None:
    left = TimeLeft({"teacher": 100.0, "int8": 20.0, "measurements": 60.0})
    assert left.seconds() == 180
    assert left.in_words() == ", about 3 min left"


def test_a_slower_machine_than_estimated_makes_all_that_is_left_longer() -> None:
    left = TimeLeft({"teacher": 100.0, "student": 80.0})
    left.over("teacher", 300.0)
    found = left.seconds() or 0.0
    assert 2.5 * 80 < found < 3 * 80


def test_a_short_step_says_little_about_a_long_training() -> None:
    left = TimeLeft({"onnx": 8.0, "student": 3600.0})
    left.over("onnx", 80.0)
    assert 3600 <= (left.seconds() or 0.0) < 1.3 * 3600


def test_a_part_that_was_made_before_corrects_nothing() -> None:
    left = TimeLeft({"teacher": 100.0, "student": 80.0})
    left.over("teacher", None)
    assert left.seconds() == 80


def test_nothing_is_told_while_a_part_that_is_not_known_waits() -> None:
    left = TimeLeft({"searched": None, "student": 80.0})
    assert left.in_words() == ""
    left.over("searched", 500.0)
    assert left.in_words() == ", about 1 min left"


def test_nothing_is_told_where_nothing_is_left_or_all_of_it_is_there() -> None:
    left = TimeLeft({"student": 80.0})
    left.over("student", 90.0)
    assert left.in_words() == ""
    assert TimeLeft({"student": 0.0}).in_words() == ""


@pytest.mark.parametrize(("seconds", "words"), [(57.4, "about 55 s"), (58.0, "about 1 min"), (5400.0, "about 1.5 h")])
def test_times_are_rounded_to_what_an_estimate_can_tell(seconds: float, words: str) -> None:
    assert about(seconds) == words
