"""How many times as fast an artifact is as the uncompressed model in torch, which is what most people run today."""

from __future__ import annotations

from compress.metrics import timings
from compress.report.comparison import Comparison, Row
from compress.report.values import Condition, Value


def torch_row(comparison: Comparison) -> Row | None:
    """The uncompressed model in torch; None where the run started from an ONNX graph."""
    root = comparison.root
    return root if root is not None and root is not comparison.baseline else None


def times_torch(comparison: Comparison, row: Row, condition: Condition) -> Value:
    """The ratio of the rounds in which both were timed; absent, with the reason, where one of the two has no ratio of its own.

    A ratio that was refused because the machine was busy is refused here too: both come from the same rounds.
    """
    root = torch_row(comparison)
    if root is None:
        return Value(absent="the uncompressed model was not measured in torch")
    if row is root:
        return Value(absent="it is the uncompressed model in torch")
    mine, its = row.speeds[condition], root.speeds[condition]
    is_baseline = row is comparison.baseline
    for name, speed in ((row.name, mine), (root.name, its)):
        if speed.time.value is None:
            return Value(absent=f"{name} was not timed: {speed.time.absent}")
        if speed.ratio.value is None and not (is_baseline and speed is mine):
            return Value(absent=speed.ratio.absent or "not measured")
    if mine.rounds and len(mine.rounds) == len(its.rounds):
        value, interval = timings.ratio(its.rounds, mine.rounds)
        return Value(value, interval, notes=mine.ratio.notes, samples=len(mine.rounds))
    if its.ratio.value and mine.ratio.value:
        return Value(mine.ratio.value / its.ratio.value, notes=mine.ratio.notes)
    return Value(absent="the two were not timed in the same rounds")
