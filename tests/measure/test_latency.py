"""Tests of the rounds with contestants that only pretend to run: what is asked, repeated, kept and left out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.measure import latency
from compress.measure.batches import Condition
from compress.measure.interference import Reading
from compress.measure.journal import journal
from compress.measure.process import WorkerFailed

ONE = Condition(1, "real", 4)
MANY = Condition(32, 64, 2)
QUIET, NOISY, NOISIER = Reading(0.01, 0.0), Reading(0.4, 0.0), Reading(0.9, 0.0)


class Pretender:
    """Answers with the seconds it is given, in order, and notes when it was asked."""

    def __init__(self, name: str, diary: list[str], seconds: float = 0.01, **odd: Any) -> None:
        self.name, self.diary, self.seconds, self.odd, self.asked = name, diary, seconds, odd, 0

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        assert command == "time"
        self.diary.append(f"{self.name} {arguments['condition']}")
        self.asked += 1
        if self.odd.get("dies_at") == self.asked:
            raise WorkerFailed("its process was ended by SIGKILL")
        logits = self.odd.get("logits", lambda asked: [1.0, -1.0])(self.asked)
        return {"seconds": [self.seconds * self.asked] * arguments["calls"], "logits": {"0": logits}}


def watch(readings: Sequence[Reading | None]) -> Callable[[], Callable[[], Reading | None]]:
    remaining = list(readings)
    return lambda: lambda: remaining.pop(0)


def always(reading: Reading | None) -> Callable[[], Callable[[], Reading | None]]:
    return lambda: lambda: reading


def test_every_round_visits_every_contestant_in_another_order() -> None:
    diary: list[str] = []
    contestants = {name: Pretender(name, diary) for name in "abc"}
    latency.time_rounds(contestants, [ONE], rounds=3, repeats=0, watch=always(QUIET))
    asked = [line.split()[0] for line in diary[3:]]  # the first three are the warm-up
    assert asked == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


def test_a_disturbed_round_is_measured_again_and_its_timings_are_dropped() -> None:
    diary: list[str] = []
    contestants = {"a": Pretender("a", diary)}
    found = latency.time_rounds(contestants, [ONE], rounds=2, repeats=2, watch=watch([NOISY, QUIET, QUIET]))
    timings = found["a", ONE.key]
    # Asked once to warm up, twice for the first round and once for the second; the n-th answer takes n hundredths.
    assert len(diary) == 4
    assert timings.rounds == [[0.03] * 4, [0.04] * 4]
    assert timings.notes == []


def test_a_round_disturbed_three_times_keeps_the_least_disturbed_attempt_with_a_note() -> None:
    contestants = {"a": Pretender("a", [])}
    found = latency.time_rounds(contestants, [ONE], rounds=1, repeats=2, watch=watch([NOISIER, NOISY, NOISIER]))
    timings = found["a", ONE.key]
    assert timings.rounds == [[0.03] * 4]
    (note,) = timings.notes
    assert "1 of 1 rounds" in note
    assert "three times" in note
    assert "40%" in note


def test_on_a_machine_that_is_never_quiet_rounds_are_repeated_no_more_until_one_is() -> None:
    diary: list[str] = []
    readings = [NOISY] * (3 * 3) + [NOISY] * 2 + [QUIET] + [NOISY, NOISY, QUIET]
    found = latency.time_rounds({"a": Pretender("a", diary)}, [ONE], rounds=7, repeats=2, watch=watch(readings))
    assert len(diary) == 1 + len(readings), "3 rounds of 3 attempts, 3 of one, and then one of 3 again"
    assert "5 of 7 rounds" in found["a", ONE.key].notes[0]


def test_where_nothing_can_be_watched_no_round_is_repeated() -> None:
    diary: list[str] = []
    latency.time_rounds({"a": Pretender("a", diary)}, [ONE], rounds=3, repeats=2, watch=always(None))
    assert len(diary) == 1 + 3


def test_a_contestant_that_dies_is_left_out_and_the_others_go_on() -> None:
    contestants = {"a": Pretender("a", [], dies_at=3), "b": Pretender("b", [])}
    found = latency.time_rounds(contestants, [ONE], rounds=4, repeats=0, watch=always(QUIET))
    assert found["a", ONE.key].failure == "its process was ended by SIGKILL"
    assert len(found["b", ONE.key].rounds) == 4
    assert contestants["a"].asked == 3


@pytest.mark.parametrize(
    ("logits", "reason"),
    [
        (lambda asked: [float("nan"), 0.0], "not finite"),
        (lambda asked: [float(asked), 0.0], "differ between rounds"),
    ],
)
def test_the_speed_of_a_worker_that_computes_rubbish_is_absent(logits: Any, reason: str) -> None:
    contestants = {"a": Pretender("a", [], logits=logits)}
    timings = latency.time_rounds(contestants, [ONE], rounds=2, repeats=0, watch=always(QUIET))["a", ONE.key]
    found = latency.latency("f", timings, ONE, {}, None)
    assert all(one.value is None and reason in (one.absent or "") for one in found)


def test_timed_outputs_of_another_model_than_the_evaluated_one_are_noticed() -> None:
    timings = latency.Timings(logits={str(n): [1.0, 0.0] for n in range(4)})
    numbers = [5, 2, 9, 0]
    predicted = np.zeros(10)
    assert latency.strays(timings, numbers, predicted, "1xreal") is None
    predicted[[5, 2]] = 1
    assert "2 of 4" in str(latency.strays(timings, numbers, predicted, "1xreal"))


def timings(rounds: Sequence[Sequence[float]]) -> latency.Timings:
    return latency.Timings(rounds=[list(one) for one in rounds])


def test_the_measurements_follow_from_the_timings() -> None:
    mine = timings([[0.01] * 9 + [0.02]] * 10)
    baseline = timings([[0.03] * 10] * 10)
    found = {one.name: one for one in latency.latency("f", mine, MANY, {"threads": 2}, baseline)}
    assert found["latency_seconds"].value == pytest.approx(0.01)
    assert found["latency_seconds"].condition == {"batch": 32, "length": 64, "threads": 2}
    assert len(found["latency_seconds"].raw) == found["latency_seconds"].samples == 100
    assert found["latency_p99_seconds"].value == pytest.approx(0.02)
    assert found["throughput"].value == pytest.approx(32 * 100 / 1.1)
    assert found["speedup"].value == pytest.approx(3.0)
    assert found["speedup"].raw == pytest.approx((3.0,) * 10)
    assert found["speedup"].interval == pytest.approx((3.0, 3.0))


def test_a_percentile_that_few_timings_cannot_show_is_absent_with_the_reason() -> None:
    found = {one.name: one for one in latency.latency("f", timings([[0.01] * 6] * 7), ONE, {}, None)}
    assert found["latency_p90_seconds"].value is not None
    assert found["latency_p99_seconds"].value is None
    assert found["latency_p99_seconds"].absent == "it takes 100 timings, there are 42"


def test_without_a_baseline_the_ratio_is_absent_and_the_latency_is_not() -> None:
    failed = latency.Timings(failure="no kernel")
    found = {one.name: one for one in latency.latency("f", timings([[0.01] * 6]), ONE, {}, failed)}
    assert found["latency_seconds"].value == pytest.approx(0.01)
    assert found["speedup"].value is None
    assert "no kernel" in str(found["speedup"].absent)


class Stopped(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("killed_at", range(1, 14))
def test_killed_at_any_call_the_rounds_that_were_whole_are_not_timed_again(tmp_path: Path, killed_at: int) -> None:
    def contestants(diary: list[str], **odd: Any) -> dict[str, Pretender]:
        return {"a": Pretender("a", diary, **odd), "b": Pretender("b", diary)}

    def killing(asked: int) -> list[float]:
        if asked == killed_at:
            raise Stopped
        return [1.0, -1.0]

    before: list[str] = []
    given: dict[str, Any] = {"rounds": 4, "repeats": 0, "watch": always(NOISY)}
    with journal(tmp_path, "plan") as notes, contextlib.suppress(Stopped):
        latency.time_rounds(contestants(before, logits=killing), [ONE, MANY], journal=notes, **given)
    after: list[str] = []
    with journal(tmp_path, "plan") as notes:
        found = latency.time_rounds(contestants(after), [ONE, MANY], journal=notes, **given)
    whole = max(0, killed_at - 3)  # a's first two calls warm up
    assert len(after) == 4 + 2 * (8 - min(whole, 8))
    for timings in found.values():
        assert len(timings.rounds) == 4
        assert timings.failure is None
        assert any("4 of 4 rounds were disturbed" in note for note in timings.notes)
        assert any("interrupted and went on" in note for note in timings.notes) == (whole > 0)


def test_a_contestant_that_had_failed_stays_out_when_the_benchmark_goes_on(tmp_path: Path) -> None:
    with journal(tmp_path, "plan") as notes:
        dying = {"a": Pretender("a", []), "b": Pretender("b", [], dies_at=3)}
        latency.time_rounds(dying, [ONE], rounds=2, repeats=0, watch=always(QUIET), journal=notes)
    with journal(tmp_path, "plan") as notes:
        well = {name: Pretender(name, []) for name in "ab"}
        found = latency.time_rounds(well, [ONE], rounds=3, repeats=0, watch=always(QUIET), journal=notes)
    assert found["b", ONE.key].failure == "its process was ended by SIGKILL"
    assert len(found["a", ONE.key].rounds) == 3


def test_rounds_of_other_contestants_are_timed_again(tmp_path: Path) -> None:
    with journal(tmp_path, "plan") as notes:
        latency.time_rounds({"a": Pretender("a", [])}, [ONE], rounds=2, repeats=0, watch=always(QUIET), journal=notes)
    with journal(tmp_path, "plan") as notes:
        both = {name: Pretender(name, []) for name in "ab"}
        found = latency.time_rounds(both, [ONE], rounds=2, repeats=0, watch=always(QUIET), journal=notes)
    assert both["a"].asked == 3
    assert {len(timings.rounds) for timings in found.values()} == {2}
