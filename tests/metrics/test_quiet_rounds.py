"""Tests of when a ratio of speeds is refused."""

from __future__ import annotations

import pytest

from compress.metrics.quiet_rounds import refusal


@pytest.mark.parametrize(
    ("disturbed", "rounds", "is_refused"),
    [(0, 10, False), (4, 10, False), (5, 10, True), (10, 10, True), (0, 3, False), (1, 3, True), (1, 1, True)],
)
def test_a_ratio_takes_six_quiet_rounds_or_all_where_fewer_were_asked_for(
    disturbed: int, rounds: int, is_refused: bool
) -> None:
    assert (refusal(disturbed, rounds) is not None) is is_refused
