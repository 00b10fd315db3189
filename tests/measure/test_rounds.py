"""Tests of the rounds with workers that only pretend to run: what is asked, repeated, kept and left out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from compress.measure.batches import Condition
from compress.measure.interference import Reading
from compress.measure.journal import journal
from compress.measure.latency import latency
from compress.measure.process import WorkerFailed
from compress.measure.rounds import time_rounds

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


def test_every_round_visits_every_worker_in_another_order() -> None:
    diary: list[str] = []
    contestants = {name: Pretender(name, diary) for name in "abc"}
    time_rounds(contestants, [ONE], rounds=3, repeats=0, watch=always(QUIET))
    asked = [line.split()[0] for line in diary[3:]]  # the first three are the warm-up
    assert asked == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


def test_a_noisy_round_is_measured_again_and_its_timings_are_dropped() -> None:
    diary: list[str] = []
    contestants = {"a": Pretender("a", diary)}
    found = time_rounds(contestants, [ONE], rounds=2, repeats=2, watch=watch([NOISY, QUIET, QUIET]))
    timings = found["a", ONE.key]
    # Asked once to warm up, twice for the first round and once for the second; the n-th answer takes n hundredths.
    assert len(diary) == 4
    assert timings.rounds == [[0.03] * 4, [0.04] * 4]
    assert timings.notes == []


def test_a_round_noisy_at_every_attempt_keeps_the_least_noisy_and_is_recorded_as_disturbed() -> None:
    contestants = {"a": Pretender("a", [])}
    readings = [QUIET, NOISIER, NOISY, NOISIER, NOISIER]
    found = time_rounds(contestants, [ONE], rounds=2, repeats=2, watch=watch(readings))
    timings = found["a", ONE.key]
    assert timings.rounds == [[0.02] * 4, [0.04] * 4]
    assert timings.disturbed == [1]
    assert timings.notes == [
        "1 of 2 rounds were disturbed (in the worst, other processes took 40% of the processors in use), and in no ratio"
    ]


def test_a_disturbed_round_is_measured_once_more_after_all_others_when_what_disturbed_it_may_be_over() -> None:
    readings = [QUIET, NOISY, NOISY, QUIET, QUIET]
    found = time_rounds({"a": Pretender("a", [])}, [ONE], rounds=3, repeats=1, watch=watch(readings))
    timings = found["a", ONE.key]
    assert timings.rounds == [[0.02] * 4, [0.06] * 4, [0.05] * 4]
    assert timings.disturbed == []
    assert timings.notes == []


def test_on_a_machine_that_is_never_quiet_rounds_are_repeated_no_more_until_one_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary: list[str] = []
    readings = [NOISY] * (3 * 3) + [NOISY] * 2 + [QUIET] + [NOISY, NOISY, QUIET] + [NOISY] * 3
    found = time_rounds({"a": Pretender("a", diary)}, [ONE], rounds=7, repeats=2, watch=watch(readings))
    assert len(diary) == 1 + len(readings), "3 rounds of 3 attempts, 3 of one, one of 3 again, and 3 once more"
    assert found["a", ONE.key].disturbed == [0, 1, 2, 3, 4]
    assert "5 of 7 rounds" in found["a", ONE.key].notes[0]
    assert [one.message for one in caplog.records] == [
        "The machine is busy: other processes took 40% of the processors in use. A speed ratio is made of quiet rounds only."
    ]


def test_where_nothing_can_be_watched_no_round_is_repeated() -> None:
    diary: list[str] = []
    time_rounds({"a": Pretender("a", diary)}, [ONE], rounds=3, repeats=2, watch=always(None))
    assert len(diary) == 1 + 3


def test_a_worker_that_dies_is_left_out_and_the_others_go_on() -> None:
    contestants = {"a": Pretender("a", [], dies_at=3), "b": Pretender("b", [])}
    found = time_rounds(contestants, [ONE], rounds=4, repeats=0, watch=always(QUIET))
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
    timings = time_rounds(contestants, [ONE], rounds=2, repeats=0, watch=always(QUIET))["a", ONE.key]
    found = latency("f", timings, ONE, {}, None)
    assert all(one.value is None and reason in (one.absent or "") for one in found)


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
        time_rounds(contestants(before, logits=killing), [ONE, MANY], journal=notes, **given)
    after: list[str] = []
    with journal(tmp_path, "plan") as notes:
        found = time_rounds(contestants(after), [ONE, MANY], journal=notes, **given)
    whole = max(0, killed_at - 3)  # a's first two calls warm up
    assert len(after) == 4 + 2 * (8 - min(whole, 8))
    for timings in found.values():
        assert len(timings.rounds) == 4
        assert timings.failure is None
        assert timings.disturbed == [0, 1, 2, 3]
        assert any("4 of 4 rounds were disturbed" in note for note in timings.notes)
        assert any("interrupted and went on" in note for note in timings.notes) == (whole > 0)


def test_a_worker_that_had_failed_stays_out_when_the_benchmark_goes_on(tmp_path: Path) -> None:
    with journal(tmp_path, "plan") as notes:
        dying = {"a": Pretender("a", []), "b": Pretender("b", [], dies_at=3)}
        time_rounds(dying, [ONE], rounds=2, repeats=0, watch=always(QUIET), journal=notes)
    with journal(tmp_path, "plan") as notes:
        well = {name: Pretender(name, []) for name in "ab"}
        found = time_rounds(well, [ONE], rounds=3, repeats=0, watch=always(QUIET), journal=notes)
    assert found["b", ONE.key].failure == "its process was ended by SIGKILL"
    assert len(found["a", ONE.key].rounds) == 3


def test_rounds_of_other_workers_are_timed_again(tmp_path: Path) -> None:
    with journal(tmp_path, "plan") as notes:
        time_rounds({"a": Pretender("a", [])}, [ONE], rounds=2, repeats=0, watch=always(QUIET), journal=notes)
    with journal(tmp_path, "plan") as notes:
        both = {name: Pretender(name, []) for name in "ab"}
        found = time_rounds(both, [ONE], rounds=2, repeats=0, watch=always(QUIET), journal=notes)
    assert both["a"].asked == 3
    assert {len(timings.rounds) for timings in found.values()} == {2}


class Generating:
    """A generative model's worker; what is generated may change from call to call."""

    def __init__(self, *outputs: dict[str, list[int]]) -> None:
        self.outputs = list(outputs)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        outputs = self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]
        return {"seconds": [2.0], "first": [1.0], "outputs": outputs, "tokens": 7}


def test_rounds_keep_first_tokens_and_counts_and_a_tie_that_falls_otherwise_once_is_no_failure() -> None:
    steady = {"0": [1, 2], "1": [3], "2": [4]}
    found = time_rounds(
        {
            "a": Generating(steady, {**steady, "1": [5, 5]}, steady),
            "b": Generating(steady, {"0": [9], "1": [9], "2": [4]}),
        },
        [MANY],
        rounds=3,
        repeats=0,
        watch=lambda: lambda: None,
    )
    one = found["a", MANY.key]
    assert (one.rounds, one.first, one.tokens) == ([[2.0]] * 3, [[1.0]] * 3, [7] * 3)
    assert one.failure is None
    assert "2 of 3 outputs for equal inputs differ" in str(found["b", MANY.key].failure)
