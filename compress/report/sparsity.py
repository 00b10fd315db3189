"""Artifacts with many zeros, compared with the same model without zeros in bytes and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress.metrics import timings as timing_statistics
from compress.report import lineage, wording
from compress.report.comparison import Comparison, Row
from compress.report.values import Condition, Value

NOTEWORTHY = 0.01
"""From this share of zeros on, the report mentions them."""
ROUNDED = 0.25
"""Rounding to integers makes zeros as well, in 4 bits of one weight in six: unpruned integer weights are mentioned from
this share on."""
MULTIPLIES = {"pytorch", "onnx_runtime", "openvino"}
"""Runtimes whose matrix products take a zero for a number as any other."""


@dataclass(frozen=True)
class Sparse:
    """One line of the table: an artifact with zeros, or one that another is compared with."""

    row: Row
    twin: Row | None = None
    """The same model made in the same steps without those that zero weights, and measured in the same runtime."""
    beside: Mapping[Condition, Value] | None = None
    """How many times as fast as the twin."""
    words: str = ""
    """What the zeros bring, in a sentence or two; empty for a line that is there for comparison."""


def sparse(comparison: Comparison) -> tuple[Sparse, ...]:
    """A row for each artifact with a noteworthy share of zeros, and for each that these are compared with.

    Empty where no artifact has many zeros.
    """
    lines: dict[str, Sparse] = {}
    compared = {comparison.baseline.name} if comparison.baseline else set()
    for row in comparison.rows:
        if is_noteworthy(row):
            twin = without_zeros(comparison, row)
            beside = {condition: _ratio(row, twin, condition) for condition in comparison.conditions}
            compared |= {twin.name} if twin else set()
            lines[row.name] = Sparse(row, twin, beside, _words(comparison, row, twin, beside))
    shown = [row for row in comparison.rows if row.name in compared or row.name in lines] if lines else []
    return tuple(lines.get(row.name) or Sparse(row) for row in shown)


def is_noteworthy(row: Row) -> bool:
    """Whether the report should mention the zeros."""
    if row.zeros.value is None:
        return False
    rounded = row.precision.startswith("int") and not any(lineage.leaves_zeros(one) for one in _steps(row))
    return row.zeros.value > (ROUNDED if rounded else NOTEWORTHY)


def without_zeros(comparison: Comparison, row: Row) -> Row | None:
    """The artifact of the run that differs from this one in its zeros alone; None where there is none.

    It came from the same model by the same compressing steps, but those that zeroed weights, has as many parameters, and
    runs in the same runtime.
    """
    if not any(lineage.leaves_zeros(one) for one in _steps(row)):
        return None

    def is_it(other: Row) -> bool:
        return (
            not is_noteworthy(other)
            and _way(other) == _way(row)
            and _origin(other) == _origin(row)
            and other.precision == row.precision
            and _runtime(comparison, other) == _runtime(comparison, row)
            and _close(other.parameters.value, row.parameters.value)
        )

    return next((other for other in comparison.rows if is_it(other)), None)


def _way(row: Row) -> list[str]:
    """What was made of the model, without what left zeros; exporting changes its form alone."""
    return [one.words for one in _steps(row) if not lineage.leaves_zeros(one) and one.technique != "export"]


def _close(one: float | None, other: float | None) -> bool:
    """Equal up to the few parameters that fusion merges."""
    return one is not None and other is not None and abs(one - other) <= 1e-3 * other


def _ratio(row: Row, twin: Row | None, condition: Condition) -> Value:
    """The speed-up over its twin without zeros, from the rounds in which both were timed."""
    if twin is None:
        return Value(absent="no artifact of this run is the same model without the zeros")
    mine, its = row.speeds[condition], twin.speeds[condition]
    if twin.artifact.role == "baseline" and twin.is_first:
        return mine.ratio
    for name, speed in ((row.name, mine), (twin.name, its)):
        if speed.median.value is None:
            return Value(absent=f"{name} was not timed: {speed.median.absent}")
    if not mine.rounds or len(mine.rounds) != len(its.rounds):
        return Value(absent=mine.ratio.absent or "the two were not timed in the same rounds")
    value, interval = timing_statistics.ratio(its.rounds, mine.rounds)
    return Value(value, interval, notes=mine.ratio.notes, samples=len(mine.rounds))


def _words(comparison: Comparison, row: Row, twin: Row | None, beside: Mapping[Condition, Value]) -> str:
    # A note says that other matrices than those of the layers were counted.
    kind = "" if row.zeros.notes else "layers' "
    share = f"{wording.percent(row.zeros.value or 0.0)} of its {kind}weights are zero"
    return " ".join([share + _speed(comparison, row, twin, beside), *_bytes(row, twin)])


def _speed(comparison: Comparison, row: Row, twin: Row | None, beside: Mapping[Condition, Value]) -> str:
    condition = comparison.headline
    if twin is None:
        return "; what that brings in time is not told, since the same model without the zeros was not measured in this run."
    ratio = beside[condition] if condition else Value(absent="no latency was measured")
    if condition is None or ratio.value is None or ratio.interval is None:
        return f"; what that brings in time is not told ({ratio.absent or 'its interval is not known'})."
    told = (
        f"{wording.times(ratio.value)} as fast as {twin.name}, 95\u00a0% interval {wording.times_range(ratio.interval)}, "
        f"{condition.words}"
    )
    low, high = ratio.interval
    if low > 1:
        return f"; it is faster than the same model without them ({told})."
    runtime = row.speeds[condition].runtime
    why = f": {wording.runtime(runtime)} multiplies by zeros as by any other weight" if runtime in MULTIPLIES else ""
    return f"; it is {'slower, not faster,' if high < 1 else 'not shown to be faster'} for that ({told}){why}."


def _bytes(row: Row, twin: Row | None) -> Iterator[str]:
    if row.compressed.value is None:
        return
    instead = ""
    if twin and twin.compressed.value is not None:
        instead = f" instead of {wording.megabytes(twin.compressed.value)}"
    on_disk = f" (on disk {wording.megabytes(row.disk.value)})" if row.disk.value is not None else ""
    yield f"Compressed it takes {wording.megabytes(row.compressed.value)}{instead}{on_disk}."


def _steps(row: Row) -> Sequence[lineage.MadeStep]:
    return [one for one in lineage.steps(row.artifact.manifest) if one.compresses]


def _origin(row: Row) -> Any:
    return row.artifact.manifest.get("origin", {}).get("weights")


def _runtime(comparison: Comparison, row: Row) -> str:
    return row.speeds[comparison.headline].runtime if comparison.headline else row.artifact.manifest.get("format", "")
