"""Numbers, moments and options as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from compress.report import wording


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.0432, "0.043×"),
        (0.996, "1.0×"),
        (1.005, "1.0×"),
        (2.98, "3.0×"),
        (6.84, "6.8×"),
        (9.96, "10×"),
        (12.4, "12×"),
    ],
)
def test_a_ratio_has_two_significant_digits(ratio: float, said: str) -> None:
    assert wording.times(ratio) == said


@given(some.floats(1e-3, 1e4))
def test_a_ratio_is_rounded_by_less_than_a_twentieth_of_itself(ratio: float) -> None:
    assert float(wording.times(ratio).rstrip("×").replace(",", "")) == pytest.approx(ratio, rel=0.0501)


def test_both_ends_of_a_ratios_interval_have_the_same_decimals() -> None:
    assert wording.times_range((0.98, 1.04)) == "0.98 to 1.04"
    assert wording.times_range((9.53, 11.96)) == "9.5 to 12.0"
    assert wording.times_range(None) == ""


@pytest.mark.parametrize(
    ("iso", "words"),
    [
        ("2026-11-28T15:25:18+00:00", "28 Nov 2026, 15:25 UTC"),
        ("2026-11-28T16:25:18+01:00", "28 Nov 2026, 15:25 UTC"),
        ("2026-11-28T15:25:18", "28 Nov 2026, 15:25"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_moment_reads_as_a_date(iso: str, words: str) -> None:
    assert wording.moment(iso) == words


def test_session_options_are_named_by_whose_they_are() -> None:
    assert wording.session_options("ours") == "compress's"
    assert wording.session_options("default") == "ONNX Runtime's own"
    assert wording.session_options("tuned") == "tuned"
