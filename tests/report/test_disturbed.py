"""Tests that no report shows a ratio of disturbed rounds, whichever version wrote the measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compress.core.measurement import Measurement, Measurements
from compress.report import disturbed
from compress.report.budget import judge
from compress.report.comparison import compare
from compress.report.section import section
from compress.report.terminal import table
from tests.report.made_up import Made, make

OLDER = (
    "10 of 10 rounds were disturbed although measured up to twice (worst: round 3, 96% of the processors used by others, 0% "
    "stolen); the least disturbed attempt of each was kept",
    "10 of 10 rounds were noisy although measured up to three times (worst: round 1, 51% of the processors used by others, 0% "
    "stolen); the least noisy attempt of each was kept",
)
NOW = (
    "10 of 10 rounds were disturbed (in the worst, other processes took 50% of the processors in use), and in no ratio"
)


def measurements() -> Measurements:
    return make([Made("good", right=765, flips=10, speed=2.5, megabytes=23)])


def noted(given: Measurements, note: str) -> Measurements:
    timed = ("speedup", "latency_seconds")
    return replace(
        given,
        measurements=tuple(
            replace(one, notes=(note,)) if one.name in timed and one.value is not None else one
            for one in given.measurements
        ),
    )


@pytest.mark.parametrize("note", [*OLDER, NOW])
def test_no_ratio_of_disturbed_rounds_is_shown_recommended_by_or_passed_by_a_budget(note: str) -> None:
    busy = noted(measurements(), note)
    comparison = compare(busy)
    condition = comparison.headline
    assert condition is not None
    for row in comparison.variants:
        ratio = row.speeds[condition].ratio
        assert (ratio.value, ratio.interval) == (None, None)
        assert (
            ratio.absent == "other processes used the processors in 10 of 10 rounds; measure again on a quiet machine"
        )
        assert row.speeds[condition].median.value is not None, "seconds stay"
        assert row.speeds[condition].rounds == ()
    assert not judge(comparison, {"min_speedup": 1.01}).met
    assert " faster than" not in section(Path("measurements.json"), busy, None).lead


def test_the_page_and_the_terminal_say_so_in_a_line() -> None:
    from rich.console import Console

    busy = noted(measurements(), NOW)
    line = "No speed ratios: the machine was busy. Measure again when nothing else runs."
    console = Console(width=200, record=True)
    console.print(table(busy))
    reason = "other processes used the processors in 10 of 10 rounds; measure again on a quiet machine."
    assert f"no ratio of speed for good: {reason}" in " ".join(console.export_text().split())
    assert section(Path("measurements.json"), busy, None).busy == line
    assert section(Path("measurements.json"), measurements(), None).busy is None


def test_where_enough_rounds_were_quiet_the_ratio_is_kept() -> None:
    given = noted(measurements(), "4 of 10 rounds were disturbed although measured once (worst: round 1)")
    comparison = compare(given)
    condition = comparison.headline
    assert condition is not None
    assert all(
        row.speeds[condition].ratio.value is not None
        for row in comparison.variants
        if row.speeds[condition].median.value
    )
    assert disturbed.warning(given) is None


def test_a_ratio_of_fewer_than_six_rounds_has_no_interval() -> None:
    five = Measurement("f", "speedup", 2.0, "ratio", True, interval=(1.9, 2.1), raw=(2.0,) * 5)
    told = disturbed.checked(five)
    assert told is not None
    assert (told.value, told.interval) == (2.0, None)
    assert disturbed.checked(replace(five, raw=(2.0,) * 6)) == replace(five, raw=(2.0,) * 6)


def test_ratios_to_other_artifacts_leave_disturbed_rounds_out() -> None:
    given = measurements()
    rounds = int(given.suite["rounds"])
    given = replace(given, measurements=tuple(replace(one, disturbed=(0, 2)) for one in given.measurements))
    comparison = compare(given)
    assert comparison.headline is not None
    kept = {len(row.speeds[comparison.headline].rounds) for row in comparison.rows}
    assert kept - {0} == {rounds - 2}
