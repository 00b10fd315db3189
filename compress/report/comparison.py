"""One run's measurements turned round: a row for each artifact, with its figures beside those of the two baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from compress import catalogue
from compress.measurement import Measured, Measurement, Measurements
from compress.report import lineage
from compress.report.paired import Difference, difference

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


@dataclass(frozen=True)
class Memory:
    """The peak resident memory of a serving process in one phase, in bytes."""

    peak: Figure
    above_empty: Figure
    """The same without what a process with the runtime and no model takes."""


@dataclass(frozen=True)
class Quality:
    """One metric of an artifact, as a share."""

    value: Figure
    difference: Difference
    """Against the uncompressed model."""


@dataclass(frozen=True)
class Row:
    """One artifact with all its figures."""

    artifact: Measured
    made: str
    """Its compressing steps in a few words."""
    precision: str
    parameters: Figure
    disk: Figure
    smaller: float | None
    """How many times smaller on disk than the fp32 ONNX export."""
    quality: Mapping[str, Quality]
    agreement: Figure
    speeds: Mapping[Condition, Speed]
    memory: Mapping[str, Memory]
    device_memory: Mapping[str, Figure]
    """Peaks on a GPU by counter and phase, in bytes; empty without one."""
    parent: Row | None = None
    """The nearest ancestor in the run that is itself a variant."""
    against_parent: Difference | None = None
    """The deciding metric against that one."""

    @property
    def name(self) -> str:
        """Unique in its run."""
        return self.artifact.name

    @property
    def is_variant(self) -> bool:
        """Whether it is neither the uncompressed model nor its plain export."""
        return self.artifact.role == "variant"


@dataclass(frozen=True)
class Comparison:
    """One run, ready to be judged and shown."""

    measurements: Measurements
    rows: tuple[Row, ...]
    """The uncompressed model, its export, then the variants in the order they were measured."""
    metrics: tuple[str, ...]
    """The task's metrics, the deciding one first."""
    conditions: tuple[Condition, ...]
    """Under the suite's first session options; the headline first: batch 1 at real lengths where it was measured."""
    other_conditions: tuple[Condition, ...]
    """The same under the suite's other session options."""
    phases: tuple[str, ...]

    @property
    def root(self) -> Row | None:
        """The uncompressed model: in torch, or the ONNX graph where the run started from one."""
        return next((row for row in self.rows if row.artifact.role == "root"), self.baseline)

    @property
    def baseline(self) -> Row | None:
        """The uncompressed model's fp32 ONNX export."""
        return next((row for row in self.rows if row.artifact.role == "baseline"), None)

    @property
    def variants(self) -> tuple[Row, ...]:
        """Everything that was compressed."""
        return tuple(row for row in self.rows if row.is_variant)

    @property
    def metric(self) -> str | None:
        """The metric that decides."""
        return self.metrics[0] if self.metrics else None

    @property
    def headline(self) -> Condition | None:
        """The condition that speeds are quoted under."""
        return self.conditions[0] if self.conditions else None

    @property
    def examples(self) -> int:
        """How many examples the deciding metric was read on."""
        return len(self.measurements.references) or max(
            (one.samples for one in self.measurements.measurements if one.name == self.metric), default=0
        )


def compare(measurements: Measurements) -> Comparison:
    """Lay one run's measurements side by side.

    Only artifacts of this run are compared with one another: same machine, same rounds, same evaluation rows.
    """
    index = _Index(measurements)
    metrics, conditions, phases = index.metrics(), index.conditions(), index.phases()
    order = {"root": 0, "baseline": 1}
    artifacts = sorted(measurements.artifacts, key=lambda one: order.get(one.role, 2))
    baseline = next((one for one in artifacts if one.role == "baseline"), None)
    root = next((one for one in artifacts if one.role == "root"), baseline)
    rows: dict[str, Row] = {}
    made = []
    for artifact in sorted(artifacts, key=lambda one: len(one.manifest.get("steps", ()))):
        parent = _parent(artifact, rows) if artifact.role == "variant" else None
        row = _row(index, artifact, root, baseline, parent, metrics, conditions, phases)
        made.append(row)
        rows.setdefault(artifact.fingerprint, row)
    made.sort(key=lambda row: artifacts.index(row.artifact))
    first = conditions[0].options if conditions else ""
    return Comparison(
        measurements,
        tuple(made),
        metrics,
        conditions=tuple(one for one in conditions if one.options == first),
        other_conditions=tuple(one for one in conditions if one.options != first),
        phases=phases,
    )


def _row(
    index: _Index,
    artifact: Measured,
    root: Measured | None,
    baseline: Measured | None,
    parent: Row | None,
    metrics: tuple[str, ...],
    conditions: tuple[Condition, ...],
    phases: tuple[str, ...],
) -> Row:
    references = index.measurements.references
    disk = index.figure(artifact, "disk_bytes")
    base_disk = index.figure(baseline, "disk_bytes").value if baseline else None
    against_parent = None
    if parent and metrics:
        here, there = index.get(artifact, metrics[0]), index.get(parent.artifact, metrics[0])
        against_parent = difference(here, there, references)
    return Row(
        artifact=artifact,
        made=_ROLES.get(artifact.role) or lineage.words(artifact.manifest) or "as it was given",
        precision=str(artifact.manifest.get("precision", "")),
        parameters=index.figure(artifact, "parameters"),
        disk=disk,
        smaller=base_disk / disk.value if base_disk and disk.value else None,
        quality={
            metric: Quality(
                index.figure(artifact, metric),
                Difference(absent="it is the model the others are compared with")
                if artifact is root
                else difference(index.get(artifact, metric), index.get(root, metric), references),
            )
            for metric in metrics
        },
        agreement=index.figure(artifact, "agreement_with_root"),
        speeds={condition: index.speed(artifact, condition) for condition in conditions},
        memory={phase: index.memory(artifact, phase) for phase in phases},
        device_memory=index.device_memory(artifact),
        parent=parent,
        against_parent=against_parent,
    )


_ROLES = {"root": "uncompressed, in torch", "baseline": "uncompressed, exported"}


def _parent(artifact: Measured, rows: Mapping[str, Row]) -> Row | None:
    for ancestor in reversed(artifact.manifest.get("ancestors", ())):
        row = rows.get(ancestor.get("fingerprint", ""))
        if row and row.is_variant and row.artifact != artifact:
            return row
    return None


class _Index:
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
