"""Finds an artifact's values among a run's measurements: a value with its interval, or the reason for its absence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from compress.core import catalogue
from compress.core.measurement import Measured, Measurement, Measurements
from compress.report.disturbed import checked, refusal_of
from compress.tasks import kinds

NOT_MEASURED = "not measured in this run"
PACES = {
    "time_to_first_token_seconds": "first_token",
    "time_per_output_token_seconds": "per_token",
    "output_tokens_per_second": "per_second",
}
"""The quantities of the pace of tokens, and what `Speed` calls them."""
AGREEMENTS = ("token_accuracy", "agreement_with_root")
"""How it is measured how often an artifact says what the uncompressed model says: token by token, or by classes."""


@dataclass(frozen=True)
class Value:
    """A value with its interval, or the reason why there is none."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    absent: str | None = None
    notes: tuple[str, ...] = ()
    samples: int = 0


MISSING = Value(absent=NOT_MEASURED)


@dataclass(frozen=True)
class Condition:
    """The part of a latency's condition that all artifacts of a column share."""

    batch: int
    length: str
    """Tokens, or `real` for the evaluation split's own lengths."""
    threads: int | None = None
    options: str = ""
    """The choice of session options: `ours`, `default`."""
    new_tokens: int | None = None
    """How many tokens were generated after each prompt; None where none are, or as many as the model wants."""

    @property
    def words(self) -> str:
        """For a sentence: `one text at a time`, `32 texts of 64 tokens`, `8 prompts of 128 tokens, 32 new tokens each`."""
        count, many = ("one", "") if self.batch == 1 else (f"{self.batch:,}", "s")
        if self.length == "real":
            told = f"{count} text{many} at a time"
        else:
            what = "text" if self.new_tokens is None else "prompt"
            told = f"{count} {what}{many} of {self.length} tokens"
        if self.new_tokens is None:
            return told
        return f"{told}, {self.new_tokens:,} new tokens{' each' if many else ''}"


def phase_words(phase: str) -> str:
    """A phase of a serving process: `model loaded`, `one text of 128 tokens`, `32 texts of 64 tokens`."""
    batch, times, length = phase.partition("x")
    if phase == "loaded":
        return "model loaded"
    if times and batch.isdigit() and length.isdigit():
        return Condition(int(batch), length).words
    return phase


@dataclass(frozen=True)
class Speed:
    """An artifact's speed under one condition; latencies in seconds."""

    median: Value
    p90: Value
    p99: Value
    ratio: Value
    """How many times as fast as the fp32 ONNX export; above 1 is faster."""
    throughput: Value
    runtime: str = ""
    options: str = ""
    timings: int = 0
    rounds: tuple[tuple[float, ...], ...] = ()
    """The seconds of each call, by quiet round: what ratios to other artifacts than the baseline are made of. None where too few
    rounds were quiet for a ratio."""
    total: Value | None = None
    """Of a generative model, the seconds that all the timed rows of a round took in sum; None where that is not told."""
    first_token: Value = MISSING
    """Of a generative model, the seconds from the prompt to the first token."""
    per_token: Value = MISSING
    """Its seconds of each further one."""
    per_second: Value = MISSING
    """Its tokens a second, over all sequences of the batch."""

    @property
    def time(self) -> Value:
        """The value that ratios compare: the total if there is one, else the median."""
        return self.total or self.median


@dataclass(frozen=True)
class Memory:
    """The peak resident memory of a serving process in one phase, in bytes."""

    peak: Value
    above_empty: Value
    """The same without what a process with the runtime and no model takes."""


class Lookup:
    """Finds a measurement by artifact, name and condition."""

    def __init__(self, measurements: Measurements) -> None:
        self.measurements = measurements
        self.is_generative = _generates(measurements.task.get("kind"))
        self.by_artifact: dict[str, list[Measurement]] = {}
        for one in measurements.measurements:
            self.by_artifact.setdefault(one.artifact, []).append(one)

    @property
    def names_runtimes(self) -> bool:
        """Whether the benchmark was asked for runtimes."""
        return bool(self.measurements.suite.get("runtimes"))

    def runtimes(self, artifact: Measured) -> tuple[str, ...]:
        """Those that it was measured in, the first one first; not one with only a reason why it has no latency."""
        mine = self.by_artifact.get(artifact.fingerprint, ())
        named = [str(one.condition["runtime"]) for one in mine if "runtime" in one.condition and not _is_not_run(one)]
        return tuple(dict.fromkeys(named))

    def within(self, artifact: Measured, runtime: str) -> Lookup:
        """The same without what was measured of an artifact in its other runtimes; without a runtime, the same."""
        others = set(self.runtimes(artifact)) - {runtime} if runtime else set()
        if not others:
            return self
        found = Lookup(self.measurements)
        mine = self.by_artifact[artifact.fingerprint]
        found.by_artifact[artifact.fingerprint] = [one for one in mine if one.condition.get("runtime") not in others]
        return found

    def metrics(self) -> tuple[str, ...]:
        """The task's metrics in its own order, then other known ones that were measured."""
        named = self.measurements.task.get("metrics", ())
        known = dict.fromkeys([*named, *catalogue.names("metrics")])
        measured = {one.name for one in self.measurements.measurements}
        return tuple(name for name in known if name in measured and (name not in AGREEMENTS or name in named))

    def any(self, name: str) -> Measurement:
        """A measurement of that name, of whichever artifact."""
        return next(one for one in self.measurements.measurements if one.name == name)

    def agreement(self) -> str:
        """How agreement with the uncompressed model was measured."""
        measured = {one.name for one in self.measurements.measurements if one.value is not None} - {*self.metrics()}
        return next((name for name in AGREEMENTS if name in measured), AGREEMENTS[-1])

    def conditions(self) -> tuple[Condition, ...]:
        """Every latency condition: by session options, then batch 1 at real lengths first, then by batch and length."""
        latencies = [one for one in self.measurements.measurements if one.name == "latency_seconds"]
        found = {condition_of(one) for one in latencies if one.value is not None} or {
            condition_of(one) for one in latencies
        }

        def rank(condition: Condition) -> tuple[Any, ...]:
            # What a summarizer takes for real texts is what counts, however many at once.
            headline = condition.length == "real" and (condition.batch == 1 or self.is_generative)
            return (self._chosen(condition), condition.options, not headline, *_order(condition))

        return tuple(sorted(found, key=rank))

    def paces(self) -> tuple[Condition, ...]:
        """The conditions of decoding speed: batch 1 first; at equal batches real lengths first."""
        timed = [one for one in self.measurements.measurements if one.name in PACES]
        found = {condition_of(one) for one in timed if one.value is not None} or {condition_of(one) for one in timed}
        first = min(map(self._chosen, found), default=0)
        known = set(self.conditions())
        kept = [one for one in found if self._chosen(one) == first and one in known]
        return tuple(sorted(kept, key=lambda one: (one.batch, one.length != "real", *_order(one))))

    def phases(self) -> tuple[str, ...]:
        """The phases memory was read in, `loaded` first; not those of ever more tokens generated, which tell of its growth."""
        found = dict.fromkeys(
            str(one.condition.get("phase", "peak"))
            for one in self.measurements.measurements
            if one.name == "peak_memory_bytes" and "new_tokens" not in one.condition
        )
        return tuple(sorted(found, key=lambda phase: (phase != "loaded", list(found).index(phase))))

    def get(self, artifact: Measured | None, name: str) -> Measurement | None:
        """The first measurement of that name."""
        return next(self.named(artifact, name), None)

    def value(self, artifact: Measured | None, name: str) -> Value:
        return value_of(self.get(artifact, name))

    def speed(self, artifact: Measured, condition: Condition) -> Speed:
        def under(name: str) -> Measurement | None:
            named = [one for one in self.named(artifact, name) if condition_of(one) == condition]
            if not named and condition.options == self.conditions()[0].options:
                # A runtime that knows no options of that name is in the first table under its own.
                alike = replace(condition, options="")
                named = [one for one in self.named(artifact, name) if replace(condition_of(one), options="") == alike]
            # A checkpoint that one runtime cannot run is absent there, and measured in another.
            return next((one for one in named if one.value is not None), named[0] if named else None)

        median, total, faster = under("latency_seconds"), under("total_seconds"), under("speedup")
        timed, ratio = total or median, value_of(checked(faster))
        if artifact.role == "baseline" and faster is None and median is not None and median.value is not None:
            ratio = Value(1.0)
        return Speed(
            median=_with_notes(value_of(median), self._elsewhere(artifact, condition, median)),
            p90=value_of(under("latency_p90_seconds")),
            p99=value_of(under("latency_p99_seconds")),
            ratio=ratio,
            throughput=value_of(under("throughput")),
            runtime=str(median.condition.get("runtime", "")) if median else "",
            options=str((median.condition.get("options") if median else "") or condition.options),
            timings=(median.samples or len(median.raw)) if median else 0,
            rounds=_rounds(timed, self.measurements.suite.get("rounds")),
            total=_with_notes(value_of(total), self._elsewhere(artifact, condition, median)) if total else None,
            **{name: value_of(under(quantity)) for quantity, name in PACES.items()},
        )

    def output_tokens(self, artifact: Measured) -> Value:
        """Of the whole split; the rows that were timed are few of them."""
        named = self.named(artifact, "output_tokens")
        return value_of(next((one for one in named if "batch" not in one.condition), None))

    def peaks(self, artifact: Measured) -> dict[int, Value]:
        """The peak resident memory by how many tokens were generated, in bytes."""
        named = [(one.condition.get("new_tokens"), one) for one in self.named(artifact, "peak_memory_bytes")]
        return dict(sorted((tokens, value_of(one)) for tokens, one in named if isinstance(tokens, int)))

    def memory(self, artifact: Measured, phase: str) -> Memory:
        named = list(self.named(artifact, "peak_memory_bytes"))
        found = next((one for one in named if str(one.condition.get("phase", "peak")) == phase), None)
        # One that could not even be loaded says so once, for all phases.
        peak = value_of(found or next((one for one in named if one.value is None), None))
        empty = self.value(artifact, "empty_process_bytes")
        if peak.value is None or empty.value is None:
            return Memory(peak, Value(absent=peak.absent or f"the empty process was not measured ({empty.absent})"))
        return Memory(peak, Value(peak.value - empty.value, notes=peak.notes, samples=peak.samples))

    def device_memory(self, artifact: Measured) -> dict[str, Value]:
        named = self.named(artifact, "peak_device_memory_bytes")
        return {f"GPU {one.condition.get('counter')}, {one.condition.get('phase')}": value_of(one) for one in named}

    def _elsewhere(self, artifact: Measured, condition: Condition, median: Measurement | None) -> tuple[str, ...]:
        """Why a latency is absent in runtimes other than the one it was measured in."""
        mine = median.condition.get("runtime") if median else None
        return tuple(
            f"Absent in {one.condition.get('runtime')}: {one.absent}"
            for one in self.named(artifact, "latency_seconds")
            if one.value is None and median and median.value is not None and one.condition.get("runtime") != mine
            if (str(one.condition.get("batch")), str(one.condition.get("length")))
            == (str(condition.batch), condition.length)
        )

    def _chosen(self, condition: Condition) -> int:
        """The place of its session options in the suite."""
        choices = [str(one) for one in self.measurements.suite.get("options", ())]
        return choices.index(condition.options) if condition.options in choices else len(choices)

    def named(self, artifact: Measured | None, name: str) -> Iterator[Measurement]:
        """All of that name, under whatever condition."""
        mine = self.by_artifact.get(artifact.fingerprint, ()) if artifact else ()
        return (one for one in mine if one.name == name)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether something recorded is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _generates(kind: Any) -> bool:
    """Whether the models for a kind of task generate text; not those for one that another version knew."""
    return kind in kinds.of_tasks() and kinds.by_task(kind).generates


def _is_not_run(one: Measurement) -> bool:
    return one.name == "latency_seconds" and one.value is None


def _order(condition: Condition) -> tuple[int, int, int, int]:
    """By batch, length, tokens generated and threads."""
    length = int(condition.length) if condition.length.isdigit() else 0
    return condition.batch, length, condition.new_tokens or 0, condition.threads or 0


def condition_of(one: Measurement) -> Condition:
    """The condition of a measurement."""
    given = one.condition
    options = given.get("options") or ""
    if isinstance(options, Mapping):
        options = ", ".join(f"{name}={value}" for name, value in sorted(options.items()))
    batch, new_tokens = given.get("batch", 1), given.get("new_tokens")
    return Condition(
        batch if isinstance(batch, int) else 1,
        str(given.get("length", "real")),
        given.get("threads"),
        str(options),
        new_tokens if isinstance(new_tokens, int) else None,
    )


def _rounds(timed: Measurement | None, count: Any) -> tuple[tuple[float, ...], ...]:
    """The timings cut into so many rounds of as many calls each, without the disturbed ones; none where they cannot be cut so."""
    raw = timed.raw if timed and refusal_of(timed) is None else ()
    if timed is None or not isinstance(count, int) or count < 1 or not raw or len(raw) % count:
        return ()
    calls = len(raw) // count
    return tuple(raw[n * calls : (n + 1) * calls] for n in range(count) if n not in timed.disturbed)


def _with_notes(one: Value, notes: tuple[str, ...]) -> Value:
    return replace(one, notes=(*one.notes, *notes)) if notes else one


def value_of(measurement: Measurement | None) -> Value:
    """Its value with what belongs to it, or why there is none."""
    if measurement is None:
        return Value(absent=NOT_MEASURED)
    return Value(
        value=measurement.value,
        interval=measurement.interval,
        absent=(measurement.absent or "no reason was recorded") if measurement.value is None else None,
        notes=measurement.notes,
        samples=measurement.samples,
    )
