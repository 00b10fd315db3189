"""Interleaved rounds: each one times every live worker once, and is repeated if it was noisy.

What slows the processors themselves for a while (heat, frequency) slows all of a round, so ratios are taken within rounds. What
takes a processor away does not slow all alike: without one of two an fp32 model took 2.75 times as long, its int8 form 1.2 times.
So rounds that stayed noisy are in no ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from compress.core.progress import warn
from compress.measure.batches import Condition
from compress.measure.interference import Reading, Watch
from compress.measure.journal import Journal
from compress.measure.process import WorkerFailed

SAME = 1e-3
"""By how much, of their own size, the logits for equal inputs may differ between rounds: threads add in any order."""
UNSTEADY = 0.5
"""Of generated outputs: a share that chance at ties does not explain."""
IN_VAIN = 3
"""Rounds in a row that stayed noisy: on a machine that is busy for good, repeating costs time and brings nothing."""


class TimedWorker(Protocol):
    """A loaded worker."""

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """`time` with `condition` and `calls` -> `seconds` and `logits`, or of a generative model `seconds`, `first`, `outputs`
        and `tokens`; see `compress.measure.worker`."""


@dataclass
class Timings:
    """The timings of one participant under one condition."""

    rounds: list[list[float]] = field(default_factory=list)
    """The seconds of each call, by round."""
    logits: dict[str, list[float]] = field(default_factory=dict)
    """The first row of logits of each distinct batch; of a generative model, none."""
    outputs: dict[str, list[int]] = field(default_factory=dict)
    """The tokens that a generative model generated after the first row of each distinct batch."""
    first: list[list[float]] = field(default_factory=list)
    """Its seconds to the first token of each call, by round."""
    tokens: list[int] = field(default_factory=list)
    """How many tokens it generated, by round."""
    disturbed: list[int] = field(default_factory=list)
    """Which of `rounds` stayed noisy, from 0: they are in the seconds and in no ratio."""
    failure: str | None = None
    notes: list[str] = field(default_factory=list)

    def keep(self, told: Mapping[str, Any]) -> None:
        """A valid round: a worker's answer to `time`."""
        self.rounds.append([float(second) for second in told["seconds"]])
        if "first" in told:
            self.first.append([float(second) for second in told["first"]])
            self.tokens.append(int(told["tokens"]))

    def check(self, told: Mapping[str, Any]) -> None:
        """Sets `failure` where what was computed is not what a working model gives, and remembers it."""
        logits, outputs = told.get("logits", {}), told.get("outputs", {})
        self.failure = _unusable(logits, self.logits) or _unsteady(outputs, self.outputs)
        self.logits.update(logits)
        self.outputs.update(outputs)


def time_rounds(
    workers: Mapping[str, TimedWorker],
    conditions: Sequence[Condition],
    *,
    rounds: int,
    repeats: int,
    watch: Watch,
    done: Callable[[], None] | None = None,
    journal: Journal | None = None,
) -> dict[tuple[str, str], Timings]:
    """Time every worker under every condition, round by round, each round in another order.

    A round in which others used the processors is measured again, at most `repeats` times at once and, where there is
    anything to repeat, once more after all rounds. The least noisy attempt is kept; where that one was noisy too, the round is
    among `Timings.disturbed`, with a note. After three rounds in a row that no repetition helped, the machine is taken to be
    busy for good: a warning says so, and nothing is repeated until a round is quiet again. A worker that fails is left out from
    there on.

    Args:
        workers: loaded ones, by name.
        conditions: what to time, by key.
        rounds: 1 or more.
        repeats: 0 or more.
        watch: called at the start of each attempt.
        done: told after each condition of each round.
        journal: where each round is noted. Rounds that an interrupted run noted of the same workers are not timed again.

    Returns:
        (worker, condition's key) -> its timings; all that did not fail have the same rounds.
    """
    found = {(name, condition.key): Timings() for name in workers for condition in conditions}
    for condition in conditions:
        _warm_up(workers, condition, found)
    kept: dict[str, list[Attempt]] = {condition.key: [] for condition in conditions}
    in_vain = before = 0
    has_warned = False
    for number in range(rounds):
        for condition in conditions:
            again = repeats if in_vain < IN_VAIN else 0
            former = _noted(journal, number, condition, workers, found)
            if former is not None:
                attempt, before = former, number + 1
            else:
                attempt = _attempt_round(_in_turn(workers, number), workers, condition, again, watch, found)
                _note(journal, number, condition, workers, found, attempt)
            kept[condition.key].append(attempt)
            in_vain = in_vain + 1 if attempt.is_noisy else 0
            if in_vain == IN_VAIN and not has_warned:
                has_warned = True
                warn(f"The machine is busy: {attempt.reading}. A speed ratio is made of quiet rounds only.")
            if done is not None:
                done()
    if repeats and in_vain < IN_VAIN:
        _once_more(kept, conditions, workers, watch, found, journal)
    for (name, key), timings in found.items():
        for attempt in kept[key]:
            if name in attempt.told:
                if attempt.is_noisy:
                    timings.disturbed.append(len(timings.rounds))
                timings.keep(attempt.told[name])
        if any(attempt.is_noisy for attempt in kept[key]):
            timings.notes.append(_noise_note(kept[key]))
        if before:
            timings.notes.append(f"the benchmark was interrupted and went on after {before} of {rounds} rounds")
    return found


@dataclass(frozen=True)
class Attempt:
    """One round of one condition."""

    told: Mapping[str, Mapping[str, Any]]
    """By worker, what it answered."""
    reading: Reading | None

    @property
    def is_noisy(self) -> bool:
        """Whether it is known that others used the processors."""
        return self.reading is not None and self.reading.is_noisy()


def _in_turn(workers: Mapping[str, TimedWorker], number: int) -> list[str]:
    """The workers' names in the order of a round."""
    names = list(workers)
    turn = number % len(names) if names else 0
    return names[turn:] + names[:turn]


def _once_more(
    kept: Mapping[str, list[Attempt]],
    conditions: Sequence[Condition],
    workers: Mapping[str, TimedWorker],
    watch: Watch,
    found: Mapping[tuple[str, str], Timings],
    journal: Journal | None,
) -> None:
    """Times the rounds that stayed noisy again, until three in a row stay so: what disturbed them may be over."""
    in_vain = 0
    for condition in conditions:
        for number, former in enumerate(kept[condition.key]):
            if former.is_noisy and in_vain < IN_VAIN:
                attempt = _attempt_round(_in_turn(workers, number), workers, condition, 0, watch, found)
                in_vain = in_vain + 1 if attempt.is_noisy else 0
                if not attempt.is_noisy:
                    kept[condition.key][number] = attempt
                    _note(journal, number, condition, workers, found, attempt)


def _round_name(number: int, condition: Condition) -> str:
    return f"round {number + 1} of {condition.key}"


def _note(
    journal: Journal | None,
    number: int,
    condition: Condition,
    workers: Mapping[str, TimedWorker],
    found: Mapping[tuple[str, str], Timings],
    attempt: Attempt,
) -> None:
    if journal is None:
        return
    reading = attempt.reading
    failed = {name: found[name, condition.key].failure for name in workers}
    journal.note(
        _round_name(number, condition),
        {
            "told": dict(attempt.told),
            "failed": {name: why for name, why in failed.items() if why is not None},
            "reading": None if reading is None else [reading.other_load, reading.stolen],
            "contestants": list(workers),
        },
    )


def _noted(
    journal: Journal | None,
    number: int,
    condition: Condition,
    workers: Mapping[str, TimedWorker],
    found: Mapping[tuple[str, str], Timings],
) -> Attempt | None:
    """A round timed before the benchmark was interrupted, if it had the same participants."""
    raw = None if journal is None else journal.recall(_round_name(number, condition))
    if raw is None or raw["contestants"] != list(workers):
        return None
    for name, why in raw["failed"].items():
        found[name, condition.key].failure = why
    told = {name: one for name, one in raw["told"].items() if found[name, condition.key].failure is None}
    for name, one in told.items():
        found[name, condition.key].check(one)  # against what the model says now
    alive = {name: one for name, one in told.items() if found[name, condition.key].failure is None}
    return Attempt(alive, None if raw["reading"] is None else Reading(*raw["reading"]))


def _warm_up(
    workers: Mapping[str, TimedWorker], condition: Condition, found: Mapping[tuple[str, str], Timings]
) -> None:
    for name, worker in workers.items():
        try:
            told = worker.ask("time", condition=condition.key, calls=max(condition.calls, 2))
            found[name, condition.key].check(told)
        except WorkerFailed as error:
            found[name, condition.key].failure = str(error)


def _attempt_round(
    names: Sequence[str],
    workers: Mapping[str, TimedWorker],
    condition: Condition,
    repeats: int,
    watch: Watch,
    found: Mapping[tuple[str, str], Timings],
) -> Attempt:
    """One round of one condition: the first quiet attempt, or the least noisy of all."""
    attempts: list[Attempt] = []
    for _ in range(1 + repeats):
        stop = watch()
        answers = {}
        for name in names:
            timings = found[name, condition.key]
            if timings.failure is None:
                told = _timed(workers[name], condition, timings)
                if told is not None:
                    answers[name] = told
        attempts.append(Attempt(answers, stop()))
        if not attempts[-1].is_noisy:
            return attempts[-1]
    alive = [name for name in names if found[name, condition.key].failure is None]
    kept = min(attempts, key=lambda attempt: attempt.reading.worst() if attempt.reading is not None else 0.0)
    return Attempt({name: kept.told[name] for name in alive}, kept.reading)


def _timed(worker: TimedWorker, condition: Condition, timings: Timings) -> dict[str, Any] | None:
    try:
        told = worker.ask("time", condition=condition.key, calls=condition.calls)
    except WorkerFailed as error:
        timings.failure = str(error)
        return None
    timings.check(told)
    return None if timings.failure else told


def _unusable(logits: Mapping[str, Sequence[float]], before: Mapping[str, Sequence[float]]) -> str | None:
    """Why the outputs are not those of a working model, so that its speed is invalid; None if they are."""
    for key, row in logits.items():
        now = np.asarray(row)
        if not np.isfinite(now).all():
            return "its outputs are not finite numbers"
        if key in before:
            then = np.asarray(before[key])
            gap = float(np.max(np.abs(now - then)))
            if gap > SAME * max(1.0, float(np.max(np.abs(then)))):
                return f"its outputs for equal inputs differ between rounds by {gap:.2g}"
    return None


def _unsteady(outputs: Mapping[str, Sequence[int]], before: Mapping[str, Sequence[int]]) -> str | None:
    """Why a generative model's speed is invalid; None if it is valid. Now and then two tokens are equally likely but for
    rounding, and what follows is another text: so it is most of the outputs that must not change."""
    known = [key for key in outputs if key in before]
    changed = sum(list(outputs[key]) != list(before[key]) for key in known)
    if known and changed > UNSTEADY * len(known):
        return f"{changed} of {len(known)} outputs for equal inputs differ between rounds"
    return None


def _noise_note(attempts: Sequence[Attempt]) -> str:
    noisy = [one for one in attempts if one.is_noisy]
    worst = max((one.reading for one in noisy if one.reading is not None), key=Reading.worst)
    return f"{len(noisy)} of {len(attempts)} rounds were disturbed (in the worst, {worst}), and in no ratio"
