"""The memory of a serving process: its peak is what is shown everywhere; what the model adds to an empty one is a detail."""

from __future__ import annotations

from compress.report.comparison import Row
from compress.report.values import Memory, Value

MAPPED = "PyTorch maps the model's file into memory and has read little of it yet: only the peak can be compared"
"""Why nothing is said of a torch model that was loaded and not used: it would look leaner than any other."""


def peak(row: Row) -> Value:
    """The most bytes that the process had resident in any phase: what a machine must have free to serve the model.

    The first reason found where it was measured in no phase.
    """
    found = [one.peak for one in row.memory.values()]
    known = [one for one in found if one.value is not None]
    if known:
        return max(known, key=lambda one: one.value or 0.0)
    return found[0] if found else Value(absent="memory was not measured")


def phases(row: Row) -> dict[str, Memory]:
    """By phase, as it was measured; absent where what was measured says nothing of the model."""
    misread = Memory(Value(absent=MAPPED), Value(absent=MAPPED))
    return {phase: misread if _is_mapped(row, phase) else one for phase, one in row.memory.items()}


def _is_mapped(row: Row, phase: str) -> bool:
    runtimes = {row.runtime} if row.runtime else {speed.runtime for speed in row.speeds.values()}
    return phase == "loaded" and "pytorch" in runtimes
