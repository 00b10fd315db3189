"""Speeds from timed rounds: latency, its percentiles, throughput and speed-up; for generative models also decoding speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.measurement import Measurement
from compress.measure.batches import REAL, Condition
from compress.measure.quantities import (
    FIRST,
    LATENCY,
    OUTPUT_TOKENS,
    P90,
    P99,
    PER_SECOND,
    PER_TOKEN,
    SPEEDUP,
    THROUGHPUT,
    TOTAL,
    absent,
    measured,
)
from compress.measure.rounds import Timings
from compress.metrics import timings as timing_statistics
from compress.metrics.quiet_rounds import refusal

STRAY = 0.1
PERCENTILES = ((P90, 0.9, 10), (P99, 0.99, 100))
"""Percentiles, each with the fewest timings for which it is reported."""


def latency(
    fingerprint: str, timings: Timings, condition: Condition, where: Mapping[str, Any], baseline: Timings | None
) -> list[Measurement]:
    """The measurements of one worker under one condition: latency, its percentiles, throughput and speed-up.

    Args:
        fingerprint: the artifact's.
        timings: its own.
        condition: what they were read under.
        where: runtime, threads, options, device: joined to the condition.
        baseline: the fp32 ONNX model's timings of the same rounds; None when there are none to compare with.
    """
    under = _under(condition, where)
    if (reason := _failure(timings)) is not None:
        return [absent(fingerprint, name, under, reason) for name in (LATENCY, P90, P99, THROUGHPUT, SPEEDUP)]
    return [*_of_calls(fingerprint, timings, condition, under), _speedup(fingerprint, timings, baseline, under)]


def speed_of_generation(
    fingerprint: str,
    timings: Timings,
    condition: Condition,
    where: Mapping[str, Any],
    baseline: Timings | None,
    new_tokens: int,
) -> list[Measurement]:
    """The same of a generative model, and the pace of its tokens.

    At real lengths every round generates after the same rows up to the model's own end. What is compared is the time of all
    of them, so the speed-up is the median of the rounds' ratios of *totals*: a median of calls would leave out what the long
    outputs take. After prompts of fixed length `new_tokens` are generated, whatever the model would say.

    Args:
        fingerprint, timings, condition, where, baseline: see `latency`.
        new_tokens: the plan's.
    """
    is_real = condition.length == REAL
    under = _under(condition, where if is_real else {**where, "new_tokens": new_tokens})
    if (reason := _failure(timings)) is not None:
        own = (TOTAL,) if is_real else (FIRST, PER_TOKEN, PER_SECOND)
        names = (LATENCY, P90, P99, THROUGHPUT, SPEEDUP, *own)
        return [absent(fingerprint, name, under, reason) for name in names]
    totals = _totals(timings)
    found = _of_calls(fingerprint, timings, condition, under)
    found.append(_speedup(fingerprint, totals, baseline and _totals(baseline), under))

    def median(name: str, rounds: Sequence[Sequence[float]]) -> None:
        found.append(_median(fingerprint, name, rounds, under, timings))

    if is_real:
        median(TOTAL, totals.rounds)
        # A model that says less is done sooner.
        rows = condition.batch * len(timings.rounds[0])
        found.append(measured(fingerprint, OUTPUT_TOKENS, float(np.mean(timings.tokens)) / rows, under, samples=rows))
        return found
    median(FIRST, timings.first)
    if new_tokens > 1:
        calls = [zip(*both, strict=True) for both in zip(timings.rounds, timings.first, strict=True)]
        median(PER_TOKEN, [[(whole - first) / (new_tokens - 1) for whole, first in one] for one in calls])
    else:
        found.append(absent(fingerprint, PER_TOKEN, under, "only one token was generated"))
    median(PER_SECOND, [[count / total] for count, (total,) in zip(timings.tokens, totals.rounds, strict=True)])
    return found


def output_mismatch(timings: Timings, numbers: Sequence[int], predicted: NDArray[np.float64], what: str) -> str | None:
    """A note if timed outputs do not match the quality measurement: their classes differ on many rows.

    A few may differ where two classes are almost equal, since dynamic quantization depends on the batch.

    Args:
        timings: of a condition at real lengths.
        numbers: the number of the first example of each batch, see `inputs.Inputs`.
        predicted: the classes of the quality measurement, [examples].
        what: the condition in words.
    """
    timed = {numbers[int(key)]: int(np.argmax(row)) for key, row in timings.logits.items()}
    differ = sum(predicted[number] != said for number, said in timed.items())
    if differ <= STRAY * len(timed):
        return None
    return f"{what}: {differ} of {len(timed)} timed outputs name another class than the quality measurement did"


def not_run(
    fingerprint: str, reasons: Mapping[str, str | None], conditions: Sequence[Condition], under: Mapping[str, Any]
) -> list[Measurement]:
    """The latencies of runtimes that do not run an artifact, each with the runtime's own reason; none where there is none."""
    return [
        absent(fingerprint, LATENCY, {**_under(condition, under), "runtime": name}, reason)
        for name, reason in reasons.items()
        if reason is not None
        for condition in conditions
    ]


def _under(condition: Condition, where: Mapping[str, Any]) -> dict[str, Any]:
    return {"batch": condition.batch, "length": condition.length, **where}


def _failure(timings: Timings) -> str | None:
    return timings.failure or (None if timings.rounds else "no round was timed")


def _of_calls(fingerprint: str, timings: Timings, condition: Condition, under: Mapping[str, Any]) -> list[Measurement]:
    """The median of all calls, its percentiles, and the throughput."""
    seconds = [second for one in timings.rounds for second in one]
    found = [_median(fingerprint, LATENCY, timings.rounds, under, timings)]
    common: dict[str, Any] = {"samples": len(seconds), "notes": tuple(timings.notes)}
    for name, share, least in PERCENTILES:
        if len(seconds) < least:
            found.append(absent(fingerprint, name, under, f"it takes {least} timings, there are {len(seconds)}"))
        else:
            found.append(measured(fingerprint, name, np.quantile(seconds, share), under, **common))
    throughput = condition.batch * len(seconds) / sum(seconds)
    found.append(measured(fingerprint, THROUGHPUT, throughput, under, **common))
    return found


def _median(
    fingerprint: str, name: str, rounds: Sequence[Sequence[float]], under: Mapping[str, Any], timings: Timings
) -> Measurement:
    raw = tuple(value for one in rounds for value in one)
    interval = timing_statistics.median_interval(rounds)
    notes = tuple(timings.notes)
    more: dict[str, Any] = {"raw": raw, "notes": notes, "disturbed": tuple(timings.disturbed)}
    return measured(fingerprint, name, np.median(raw), under, samples=len(raw), interval=interval, **more)


def _speedup(fingerprint: str, timings: Timings, baseline: Timings | None, under: Mapping[str, Any]) -> Measurement:
    """The speed-up over the fp32 ONNX model: the median of the quiet rounds' ratios, and their interval."""
    condition = {**under, "against": "fp32-onnx"}
    if baseline is None or baseline.failure is not None or len(baseline.rounds) != len(timings.rounds):
        why = f": {baseline.failure}" if baseline is not None and baseline.failure else ""
        return absent(fingerprint, SPEEDUP, condition, f"the fp32 ONNX model could not be timed{why}")
    first, second = quiet_rounds(baseline), quiet_rounds(timings)
    refused = refusal(len(timings.disturbed), len(timings.rounds))
    if refused is not None and baseline.rounds != timings.rounds:
        return replace(absent(fingerprint, SPEEDUP, condition, refused), disturbed=tuple(timings.disturbed))
    if refused is not None:  # it is compared with itself
        first = second = timings.rounds
    value, interval = timing_statistics.ratio(first, second)
    ratios = tuple(timing_statistics.round_ratios(first, second))
    more: dict[str, Any] = {"notes": tuple(timings.notes), "disturbed": tuple(timings.disturbed)}
    return measured(fingerprint, SPEEDUP, value, condition, samples=len(ratios), interval=interval, raw=ratios, **more)


def quiet_rounds(timings: Timings) -> list[list[float]]:
    """The timings of each round that no other process disturbed."""
    return [one for number, one in enumerate(timings.rounds) if number not in timings.disturbed]


def _totals(timings: Timings) -> Timings:
    """The same with one timing in each round: the sum of its calls."""
    return replace(timings, rounds=[[sum(one)] for one in timings.rounds])
