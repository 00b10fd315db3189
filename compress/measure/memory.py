"""Peak memory of a process that only loads and runs an artifact, and of the same process without the model.

Of a generative model also how the peak grows with what it generates: the cache of keys and values, and what comes with it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.measure.batches import REAL, Condition
from compress.measure.quantities import DEVICE_PEAK, EMPTY, GROWTH, PEAK, measured
from compress.measure.quantities import absent as no_value

if TYPE_CHECKING:
    from compress.measure.process import WorkerProcess  # a worker imports this file and wants no more than it needs

LOADED = "loaded"
CALLS = 3
"""Served in each phase: a runtime's arena has reached its size after the first, torch's caches after the second."""
TIMES = (1, 2, 4)
"""How many times the suite's number of new tokens is generated, one after the other."""


def peak_memory_bytes() -> int:
    """The most resident memory this process has had so far.

    From `VmHWM` where the system has it: Linux's `ru_maxrss` starts from the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory() -> None:
    """Reset the peak to the memory resident now, where the system can (Linux); else it continues."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # since Linux 4.0, see proc(5)
    except OSError:
        return


def serve_phases(worker: WorkerProcess, conditions: Sequence[Condition]) -> dict[str, dict[str, Any]]:
    """Load, then serve each condition of a fixed length, and note the peaks after each: phase -> the worker's answer.

    The order is that of the conditions; a peak holds all that came before it. Where a condition cannot be served (more
    tokens than the model reads), the reason stands in place of the answer, under `error`.

    Args:
        worker: a fresh one, which has loaded nothing yet.
        conditions: those at real lengths are left out, since their peak hangs on the examples drawn.

    Raises:
        WorkerFailed: it cannot load.
    """
    phases = {LOADED: worker.ask("load")}
    for condition in conditions:
        if condition.length != REAL:
            try:
                phases[condition.key] = worker.ask("serve", condition=condition.key, calls=CALLS)
            except CompressError as error:
                phases[condition.key] = {"error": str(error)}
    return phases


def memory(
    fingerprint: str, phases: Mapping[str, Mapping[str, Any]], condition: Mapping[str, Any]
) -> list[Measurement]:
    """The measurements: `peak_memory_bytes` by phase, `empty_process_bytes`, and the device's peaks where it has any.

    Args:
        phases: what `serve_phases` gave.
        condition: runtime, threads, options, device.
    """
    found = []
    for phase, told in phases.items():
        if "error" in told:
            found.append(absent(fingerprint, condition, told["error"], phase))
            continue
        where = {**condition, "phase": phase}
        found.append(measured(fingerprint, PEAK, told["peak_bytes"], where, samples=1))
        for counter, value in told["device_bytes"].items():
            found.append(measured(fingerprint, DEVICE_PEAK, value, {**where, "counter": counter}, samples=1))
    found.append(measured(fingerprint, EMPTY, phases[LOADED]["empty_bytes"], condition, samples=1))
    return found


def absent(fingerprint: str, condition: Mapping[str, Any], reason: str, phase: str = LOADED) -> Measurement:
    """The peak of an artifact that could not be served."""
    return no_value(fingerprint, PEAK, {**condition, "phase": phase}, reason)


def condition_of_growth(conditions: Sequence[Condition]) -> Condition | None:
    """The fixed length with the most rows, whose caches are easiest to tell from all else; None for real lengths only."""
    fixed = [one for one in conditions if one.length != REAL]
    return max(fixed, key=lambda one: one.batch, default=None)


def lengths(condition: Condition, new_tokens: int, context: int | None, *, has_encoder: bool) -> list[int]:
    """How many tokens are generated, fewer where a model does not read so many.

    Args:
        condition: tells the prompt's length.
        new_tokens: the suite's.
        context: the most tokens a row may have; None for no limit.
        has_encoder: whether an encoder reads the prompt, which then takes none of the decoder's tokens.

    Raises:
        CompressError: there is no room for different lengths.
    """
    room = None if context is None else context - (0 if has_encoder else int(condition.length))
    least = new_tokens if room is None else min(new_tokens, room // max(TIMES))
    if least < 1:
        raise CompressError(
            f"a prompt of {condition.length} tokens leaves no room among {context} to generate more and more"
        )
    return [times * least for times in TIMES]


def peaks(worker: WorkerProcess, condition: Condition, counts: Sequence[int]) -> dict[int, float]:
    """The peak memory while so many tokens are generated, in bytes, by their number.

    Args:
        worker: a fresh one, which has loaded nothing yet.
        condition: of a fixed length.
        counts: rising.

    Raises:
        WorkerFailed: it cannot load, or not generate.
    """
    worker.ask("load")
    worker.ask("grow", condition=condition.key, new_tokens=counts[0])  # a warm-up: libraries take memory once
    return {
        count: float(worker.ask("grow", condition=condition.key, new_tokens=count)["peak_bytes"]) for count in counts
    }


def growth(
    fingerprint: str, found: Mapping[int, float], condition: Condition, where: Mapping[str, Any]
) -> list[Measurement]:
    """The peaks, and what they rise by for each token of each row, from the fewest to the most tokens.

    Args:
        fingerprint: the artifact's.
        found: what `peaks` gave.
        condition: what it was read under.
        where: runtime, threads, options, device.
    """
    under = {"batch": condition.batch, "length": condition.length, **where}
    told = [
        measured(
            fingerprint, PEAK, peak, {**where, "phase": f"{condition.key}+{count}", "new_tokens": count}, samples=1
        )
        for count, peak in found.items()
    ]
    fewest, most = min(found), max(found)
    value = (found[most] - found[fewest]) / ((most - fewest) * condition.batch)
    notes = [f"from {fewest} to {most} tokens in each of {condition.batch} rows"]
    if value <= 0:
        notes.append("what was generated fitted into memory that the process held already")
    raw = tuple(found.values())
    return [*told, measured(fingerprint, GROWTH, value, under, samples=len(raw), raw=raw, notes=tuple(notes))]


def no_growth(fingerprint: str, condition: Condition | None, where: Mapping[str, Any], reason: str) -> Measurement:
    """The growth of a model that could not be made to generate."""
    under = dict(where) if condition is None else {"batch": condition.batch, "length": condition.length, **where}
    return no_value(fingerprint, GROWTH, under, reason)
