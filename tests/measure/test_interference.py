"""Tests of what counts as a noisy round."""

from __future__ import annotations

import sys

import pytest

from compress.measure import interference
from compress.measure.interference import Reading, watcher


@pytest.mark.parametrize(
    ("reading", "noisy"),
    [
        (Reading(0.0, 0.0), False),
        (Reading(0.09, 0.02), False),
        (Reading(0.11, 0.0), True),
        (Reading(0.0, 0.04), True),
    ],
)
def test_other_load_and_stolen_time_each_make_a_round_noisy(reading: Reading, noisy: bool) -> None:
    assert reading.is_noisy() is noisy


def test_our_own_use_of_the_processors_is_no_interference(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, own, clock = iter([(100.0, 0.0), (108.0, 0.0)]), iter([10.0, 18.0]), iter([0.0, 10.0])
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(interference, "_machine_seconds", lambda: next(machine))
    monkeypatch.setattr(interference, "_own_seconds", lambda ids: next(own))
    monkeypatch.setattr(interference.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(interference.os, "cpu_count", lambda: 1)
    assert watcher([1])()() == Reading(0.0, 0.0)


def test_what_others_used_and_what_was_stolen_are_shares_of_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, own, clock = iter([(100.0, 5.0), (112.0, 6.0)]), iter([10.0, 14.0]), iter([0.0, 10.0])
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(interference, "_machine_seconds", lambda: next(machine))
    monkeypatch.setattr(interference, "_own_seconds", lambda ids: next(own))
    monkeypatch.setattr(interference.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(interference.os, "cpu_count", lambda: 2)
    reading = watcher([1])()()
    assert reading is not None
    assert (reading.other_load, reading.stolen) == pytest.approx((0.4, 0.05))


def test_a_system_that_tells_nothing_gives_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert watcher([])()() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_this_machine_gives_a_reading() -> None:
    reading = watcher([])()()
    assert reading is not None
    assert reading.other_load >= 0
    assert reading.stolen >= 0
