"""Peak memory of a process that does nothing but load an artifact and serve, beside what it took without the model."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.measure.batches import REAL, Condition

if TYPE_CHECKING:
    from compress.measure.process import WorkerProcess  # a worker imports this file and wants no more than it needs

LOADED = "loaded"
CALLS = 3
"""Served in each phase: a runtime's arena has reached its size after the first, torch's caches after the second."""


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


def forget_peak() -> None:
    """Let the peak begin anew from what is resident now, where the system can (Linux); else it goes on."""
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
        value = float(told["peak_bytes"])
        found.append(Measurement(fingerprint, "peak_memory_bytes", value, "bytes", False, where, samples=1))
        for counter, on_device in told["device_bytes"].items():
            where = {**condition, "phase": phase, "counter": counter}
            value = float(on_device)
            found.append(Measurement(fingerprint, "peak_device_memory_bytes", value, "bytes", False, where, samples=1))
    value = float(phases[LOADED]["empty_bytes"])
    found.append(Measurement(fingerprint, "empty_process_bytes", value, "bytes", False, condition, samples=1))
    return found


def absent(fingerprint: str, condition: Mapping[str, Any], reason: str, phase: str = LOADED) -> Measurement:
    """The peak of an artifact that could not be served."""
    where = {**condition, "phase": phase}
    return Measurement(fingerprint, "peak_memory_bytes", None, "bytes", False, where, absent=reason)
