"""Tests of what counts as a noisy round."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from compress.measure import interference
from compress.measure.interference import Reading, watcher


class Machine:
    """A pretended one: what its processors and our processes did by now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cores: int, allowed: set[int] | None = None) -> None:
        self.now, self.own = 100.0, 5.0
        self.idle, self.steal = [90.0] * cores, [1.0] * cores
        allowed = set(range(cores)) if allowed is None else allowed
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(interference.os, "cpu_count", lambda: cores)
        monkeypatch.setattr(interference.os, "sched_getaffinity", lambda process: allowed)
        monkeypatch.setattr(interference, "available_cores", lambda: len(allowed))
        monkeypatch.setattr(interference.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(interference, "_own_seconds", lambda ids: self.own)
        monkeypatch.setattr(psutil, "cpu_times", self.cpu_times)

    def cpu_times(self, percpu: bool = False) -> Any:
        each = [
            SimpleNamespace(idle=idle, iowait=0.0, steal=steal)
            for idle, steal in zip(self.idle, self.steal, strict=True)
        ]
        if percpu:
            return each
        return SimpleNamespace(idle=sum(self.idle), iowait=0.0, steal=sum(self.steal))

    def passes(
        self, seconds: float, *, ours: float, others: Mapping[int, float] = {}, stolen: Mapping[int, float] = {}
    ) -> None:
        """Time in which our processes used so much on the last processors, and others on the ones named."""
        self.now, self.own = self.now + seconds, self.own + ours
        for core in range(len(self.idle)):
            self.idle[core] += seconds - others.get(core, 0.0) - stolen.get(core, 0.0)
            self.steal[core] += stolen.get(core, 0.0)
        self.idle[-1] -= ours


@pytest.mark.parametrize(
    ("reading", "noisy"),
    [
        (Reading(0.0, 0.0), False),
        (Reading(0.04, 0.02), False),
        (Reading(0.08, 0.0), True),
        (Reading(0.0, 0.04), True),
    ],
)
def test_other_load_and_stolen_time_each_make_a_round_noisy(reading: Reading, noisy: bool) -> None:
    assert reading.is_noisy() is noisy


@pytest.mark.parametrize("cores", [2, 8, 11, 64])
def test_one_foreign_process_that_fills_a_processor_is_seen_however_many_there_are(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, cores)
    stop = watcher([1], 2)()
    machine.passes(2.0, ours=1.5, others={0: 2.0})
    reading = stop()
    assert reading is not None
    assert reading.is_noisy()
    assert reading.other_load == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("cores", [2, 8, 11, 64])
def test_our_own_use_of_the_processors_is_no_interference(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, cores)
    stop = watcher([1], 2)()
    machine.passes(2.0, ours=3.0)
    assert stop() == Reading(0.0, 0.0)


def test_a_sixth_of_one_of_two_processors_is_seen_and_a_fiftieth_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 2)
    for share, is_noisy in ((0.16, True), (0.02, False)):
        stop = watcher([1], 2)()
        machine.passes(1.0, ours=1.0, others={0: share})
        reading = stop()
        assert reading is not None
        assert reading.is_noisy() is is_noisy


def test_what_happens_on_processors_that_we_may_not_use_is_no_interference(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 8, allowed={6, 7})
    for core, is_noisy in ((0, False), (6, True)):
        stop = watcher([1], 2)()
        machine.passes(1.0, ours=0.9, others={core: 1.0})
        reading = stop()
        assert reading is not None
        assert reading.is_noisy() is is_noisy


def test_where_fewer_processors_than_threads_are_for_us_the_share_is_of_those(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 4, allowed={3})
    stop = watcher([1], 4)()
    machine.passes(1.0, ours=0.4, others={3: 0.5}, stolen={3: 0.1})
    reading = stop()
    assert reading is not None
    assert (reading.other_load, reading.stolen) == pytest.approx((0.5, 0.1), abs=0.011)


def test_hundredths_of_a_second_that_the_system_cannot_tell_make_no_short_round_noisy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, 2)
    stop = watcher([1], 2)()
    machine.passes(0.02, ours=0.03, others={0: 0.009})
    assert stop() == Reading(0.0, 0.0)


def test_a_system_that_tells_nothing_gives_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert watcher([], 2)()() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_time_of_a_process_is_what_it_says_of_itself() -> None:
    before = time.process_time()
    told = interference._own_seconds([os.getpid()])
    assert before <= told <= time.process_time()
    assert interference._own_seconds([2**22 + 1]) == 0.0, "one that is gone"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_this_machine_gives_a_reading() -> None:
    reading = watcher([], 2)()()
    assert reading is not None
    assert reading.other_load >= 0
    assert reading.stolen >= 0
