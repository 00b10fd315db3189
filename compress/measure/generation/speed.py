"""How fast a model writes: all of the task's rows in sum, the first token, each further one, tokens a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compress.core.measurement import Measurement
from compress.measure import latency
from compress.measure.batches import REAL, Condition
from compress.measure.generation.quality import OUTPUT_TOKENS
from compress.measure.latency import Timings
from compress.metrics import timings as timing_statistics

TOTAL, FIRST, PER_TOKEN, PER_SECOND = (
    "total_seconds",
    "time_to_first_token_seconds",
    "time_per_output_token_seconds",
    "output_tokens_per_second",
)
QUANTITIES: Mapping[str, tuple[str, bool]] = {
    TOTAL: ("seconds", False),
    FIRST: ("seconds", False),
    PER_TOKEN: ("seconds", False),
    PER_SECOND: ("tokens/second", True),
}
"""The unit of each quantity, and whether more of it is better."""


def speed(
    fingerprint: str,
    timings: Timings,
    condition: Condition,
    where: Mapping[str, Any],
    baseline: Timings | None,
    new_tokens: int,
) -> list[Measurement]:
    """The measurements of one contestant under one condition.

    At real lengths every round writes after the same rows up to the model's own end. What is compared is the time of all of
    them, so the speed-up is the median of the rounds' ratios of *totals*: a median of calls would leave out what the long
    outputs take. After prompts of fixed length `new_tokens` are written, whatever the model would say.

    Args:
        fingerprint: the artifact's.
        timings: its own.
        condition: what they were read under.
        where: runtime, threads, options, device: joined to the condition.
        baseline: the fp32 ONNX model's timings of the same rounds; None when there are none to compare with.
        new_tokens: the plan's.
    """
    is_real = condition.length == REAL
    where = where if is_real else {**where, "new_tokens": new_tokens}
    own = (TOTAL,) if is_real else (FIRST, PER_TOKEN, PER_SECOND)
    under = {"batch": condition.batch, "length": condition.length, **where}
    found = latency.latency(fingerprint, timings, condition, where, _totals(baseline))
    if timings.failure is not None or not timings.rounds:
        reason = timings.failure or "no round was timed"
        return [*found, *(absent(fingerprint, name, under, reason) for name in own)]
    found = [one for one in found if one.name != "speedup"]
    found.append(latency.speedup(fingerprint, _totals(timings) or timings, _totals(baseline), under))
    if is_real:
        found.append(_measured(fingerprint, TOTAL, [[sum(one)] for one in timings.rounds], under, timings))
        found.append(_lengths(fingerprint, timings, condition, under))
        return found
    further = [
        [(whole - first) / (new_tokens - 1) for whole, first in zip(seconds, firsts, strict=True)]
        for seconds, firsts in zip(timings.rounds, timings.first, strict=True)
        if new_tokens > 1
    ]
    found.append(_measured(fingerprint, FIRST, timings.first, under, timings))
    if further:
        found.append(_measured(fingerprint, PER_TOKEN, further, under, timings))
    else:
        found.append(absent(fingerprint, PER_TOKEN, under, "only one token was written"))
    rates = [[count / sum(seconds)] for count, seconds in zip(timings.tokens, timings.rounds, strict=True)]
    found.append(_measured(fingerprint, PER_SECOND, rates, under, timings))
    return found


def absent(fingerprint: str, name: str, condition: Mapping[str, Any], reason: str) -> Measurement:
    """A quantity of speed that has no value here."""
    return Measurement(fingerprint, name, None, *QUANTITIES[name], condition, absent=reason)


def _totals(timings: Timings | None) -> Timings | None:
    """The same with one timing in each round: the sum of its calls."""
    if timings is None:
        return None
    return Timings([[sum(one)] for one in timings.rounds], failure=timings.failure, notes=timings.notes)


def _measured(
    fingerprint: str, name: str, rounds: Sequence[Sequence[float]], under: Mapping[str, Any], timings: Timings
) -> Measurement:
    raw = tuple(value for one in rounds for value in one)
    return Measurement(
        fingerprint,
        name,
        float(np.median(raw)),
        *QUANTITIES[name],
        under,
        samples=len(raw),
        interval=timing_statistics.median_interval(rounds),
        raw=raw,
        notes=tuple(timings.notes),
    )


def _lengths(fingerprint: str, timings: Timings, condition: Condition, under: Mapping[str, Any]) -> Measurement:
    """The mean tokens of an output among those that were timed: a model that says less is done sooner."""
    rows = condition.batch * len(timings.rounds[0])
    mean = float(np.mean(timings.tokens)) / rows
    return Measurement(fingerprint, OUTPUT_TOKENS, mean, "count", False, under, samples=rows)
