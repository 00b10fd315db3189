"""Finds each figure of an artifact among a run's measurements: a value with its interval, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from compress import catalogue
from compress.measurement import Measured, Measurement, Measurements

NOT_MEASURED = "not measured in this run"


@dataclass(frozen=True)
class Figure:
    """A value with its interval, or the reason why there is none."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    absent: str | None = None
    notes: tuple[str, ...] = ()
    samples: int = 0


@dataclass(frozen=True)
class Condition:
    """What a latency was read under, as far as it is the same for all artifacts of a column."""

    batch: int
    length: str
    """Tokens, or `real` for the evaluation split's own lengths."""
    threads: int | None = None
    options: str = ""
    """The choice of session options: `ours`, `default`."""

    @property
    def short(self) -> str:
        """For a column: `b1 real`, `32×64`."""
        return f"b{self.batch} real" if self.length == "real" else f"{self.batch}×{self.length}"

    @property
    def words(self) -> str:
        """For a sentence: `batch 1, real lengths`."""
        length = "real lengths" if self.length == "real" else f"{self.length} tokens"
        return f"batch {self.batch}, {length}"


@dataclass(frozen=True)
class Speed:
    """How fast an artifact is under one condition; latencies in seconds."""

    median: Figure
    p90: Figure
    p99: Figure
    ratio: Figure
    """How many times as fast as the fp32 ONNX export; above 1 is faster."""
    throughput: Figure
    runtime: str = ""
    options: str = ""
    timings: int = 0
    rounds: tuple[tuple[float, ...], ...] = ()
    """The seconds of each call, by round: what ratios to other artifacts than the baseline are made of."""


@dataclass(frozen=True)
class Memory:
    """The peak resident memory of a serving process in one phase, in bytes."""

    peak: Figure
    above_empty: Figure
    """The same without what a process with the runtime and no model takes."""


class Lookup:
    """Finds a measurement by artifact, name and condition."""

    def __init__(self, measurements: Measurements) -> None:
        self.measurements = measurements
        self.by_artifact: dict[str, list[Measurement]] = {}
        for one in measurements.measurements:
            self.by_artifact.setdefault(one.artifact, []).append(one)

    def metrics(self) -> tuple[str, ...]:
        """The task's metrics in its own order, then other known ones that were measured."""
        known = dict.fromkeys([*self.measurements.task.get("metrics", ()), *catalogue.names("metrics")])
        measured = {one.name for one in self.measurements.measurements}
        return tuple(name for name in known if name in measured)

    def conditions(self) -> tuple[Condition, ...]:
        """Every latency condition: by session options, then batch 1 at real lengths first, then by batch and length."""
        latencies = [one for one in self.measurements.measurements if one.name == "latency_seconds"]
        found = {_condition(one) for one in latencies if one.value is not None} or {
            _condition(one) for one in latencies
        }
        choices = [str(one) for one in self.measurements.suite.get("options", ())]

        def rank(condition: Condition) -> tuple[Any, ...]:
            chosen = choices.index(condition.options) if condition.options in choices else len(choices)
            headline = condition.batch == 1 and condition.length == "real"
            length = int(condition.length) if condition.length.isdigit() else 0
            return (chosen, condition.options, not headline, condition.batch, length, condition.threads or 0)

        return tuple(sorted(found, key=rank))

    def phases(self) -> tuple[str, ...]:
        """The phases memory was read in, `loaded` first."""
        found = dict.fromkeys(
            str(one.condition.get("phase", "peak"))
            for one in self.measurements.measurements
            if one.name == "peak_memory_bytes"
        )
        return tuple(sorted(found, key=lambda phase: (phase != "loaded", list(found).index(phase))))

    def get(self, artifact: Measured | None, name: str) -> Measurement | None:
        """The first measurement of that name."""
        return next(self._named(artifact, name), None)

    def figure(self, artifact: Measured | None, name: str) -> Figure:
        return _figure(self.get(artifact, name))

    def speed(self, artifact: Measured, condition: Condition) -> Speed:
        def under(name: str) -> Measurement | None:
            named = [one for one in self._named(artifact, name) if _condition(one) == condition]
            # A checkpoint that one runtime cannot run is absent there, and measured in another.
            return next((one for one in named if one.value is not None), named[0] if named else None)

        median, ratio = under("latency_seconds"), _figure(under("speedup"))
        if artifact.role == "baseline" and ratio.value is None and median is not None and median.value is not None:
            ratio = Figure(1.0)
        return Speed(
            median=_with_notes(_figure(median), self._elsewhere(artifact, condition, median)),
            p90=_figure(under("latency_p90_seconds")),
            p99=_figure(under("latency_p99_seconds")),
            ratio=ratio,
            throughput=_figure(under("throughput")),
            runtime=str(median.condition.get("runtime", "")) if median else "",
            options=str(condition.options),
            timings=(median.samples or len(median.raw)) if median else 0,
            rounds=_rounds(median.raw if median else (), self.measurements.suite.get("rounds")),
        )

    def memory(self, artifact: Measured, phase: str) -> Memory:
        named = list(self._named(artifact, "peak_memory_bytes"))
        found = next((one for one in named if str(one.condition.get("phase", "peak")) == phase), None)
        # One that could not even be loaded says so once, for all phases.
        peak = _figure(found or next((one for one in named if one.value is None), None))
        empty = self.figure(artifact, "empty_process_bytes")
        if peak.value is None or empty.value is None:
            return Memory(peak, Figure(absent=peak.absent or f"the empty process was not measured ({empty.absent})"))
        return Memory(peak, Figure(peak.value - empty.value, notes=peak.notes, samples=peak.samples))

    def device_memory(self, artifact: Measured) -> dict[str, Figure]:
        named = self._named(artifact, "peak_device_memory_bytes")
        return {f"GPU {one.condition.get('counter')}, {one.condition.get('phase')}": _figure(one) for one in named}

    def _elsewhere(self, artifact: Measured, condition: Condition, median: Measurement | None) -> tuple[str, ...]:
        """Why a latency is absent in runtimes other than the one it was measured in."""
        mine = median.condition.get("runtime") if median else None
        return tuple(
            f"Absent in {one.condition.get('runtime')}: {one.absent}"
            for one in self._named(artifact, "latency_seconds")
            if one.value is None and median and median.value is not None and one.condition.get("runtime") != mine
            if (str(one.condition.get("batch")), str(one.condition.get("length")))
            == (str(condition.batch), condition.length)
        )

    def _named(self, artifact: Measured | None, name: str) -> Iterator[Measurement]:
        mine = self.by_artifact.get(artifact.fingerprint, ()) if artifact else ()
        return (one for one in mine if one.name == name)


def _condition(one: Measurement) -> Condition:
    given = one.condition
    options = given.get("options") or ""
    if isinstance(options, Mapping):
        options = ", ".join(f"{name}={value}" for name, value in sorted(options.items()))
    return Condition(int(given.get("batch", 1)), str(given.get("length", "real")), given.get("threads"), str(options))


def _rounds(raw: tuple[float, ...], count: Any) -> tuple[tuple[float, ...], ...]:
    """The timings cut into so many rounds of as many calls each; none where they cannot be cut so."""
    if not isinstance(count, int) or count < 1 or not raw or len(raw) % count:
        return ()
    calls = len(raw) // count
    return tuple(raw[start : start + calls] for start in range(0, len(raw), calls))


def _with_notes(one: Figure, notes: tuple[str, ...]) -> Figure:
    return replace(one, notes=(*one.notes, *notes)) if notes else one


def _figure(measurement: Measurement | None) -> Figure:
    if measurement is None:
        return Figure(absent=NOT_MEASURED)
    return Figure(
        value=measurement.value,
        interval=measurement.interval,
        absent=(measurement.absent or "no reason was recorded") if measurement.value is None else None,
        notes=measurement.notes,
        samples=measurement.samples,
    )
