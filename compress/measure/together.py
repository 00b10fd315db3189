"""Measures artifacts together: each one's size, memory and quality in a process of its own, then all in timed rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact
from compress.errors import CompressError
from compress.measure import inputs, latency, memory, quality
from compress.measure.disturbance import Watch, watcher
from compress.measure.evaluation import Evaluation
from compress.measure.inputs import REAL, Condition
from compress.measure.machine import cpu_model, packages
from compress.measure.process import WorkerProcess
from compress.measure.size import size
from compress.measurement import Measured, Measurement
from compress.progress import bar, say, warn
from compress.runtimes.runtime import Runtime, Serving

ROOT, BASELINE, VARIANT = "root", "baseline", "variant"


@dataclass(frozen=True)
class Entry:
    """One artifact in the run."""

    name: str
    artifact: Artifact
    role: str = VARIANT

    def measured(self) -> Measured:
        """It as the file of measurements records it."""
        one = self.artifact
        return Measured(self.name, one.fingerprint(), str(one.folder), one.manifest(), self.role)


@dataclass(frozen=True)
class Plan:
    """What to measure and how carefully."""

    runtimes: Sequence[Runtime]
    conditions: Sequence[Condition]
    threads: int
    device: str = "cpu"
    options: Sequence[str] = ("ours",)
    """Session options for every ONNX artifact, the baseline included: a speed-up is against the same options."""
    rounds: int = 10
    repeats: int = 2
    batch_size: int = 32
    seed: int = 0
    watch: Callable[[Sequence[int]], Watch] = watcher
    """From the workers' process ids to a watch."""

    def runtime_for(self, artifact: Artifact) -> Runtime:
        """The runtime that opens artifacts of that format."""
        return next(one for one in self.runtimes if artifact.format in one.formats)

    def options_for(self, runtime: Runtime) -> tuple[str, ...]:
        """Those among which the runtime has a choice: only ONNX Runtime has one."""
        return tuple(self.options) if "onnx" in runtime.formats else ("default",)


@dataclass
class Found:
    """What a run has found so far."""

    measurements: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Lane:
    """One artifact under one choice of session options: its worker, or why it has none."""

    entry: Entry
    runtime: Runtime
    options: str
    worker: WorkerProcess | None = None
    failure: str | None = None

    @property
    def key(self) -> str:
        """Unique in the run."""
        return f"{self.entry.name}/{self.options}"


def measure(entries: Sequence[Entry], evaluation: Evaluation, plan: Plan) -> Found:
    """Measure all entries; one that fails has absent measurements with the reason.

    Args:
        entries: the root and the baseline first, so that agreement with the root is known; names are unique.
        evaluation: the examples, the task and its metrics.
        plan: what to measure.
    """
    found = Found()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="compress-benchmark-")))
        empty = _EmptyProcesses(plan, scratch)
        lanes: list[Lane] = []
        predicted: dict[str, NDArray[np.float64]] = {}
        numbers: dict[str, Mapping[str, Sequence[int]]] = {}
        with bar("Memory and quality", len(entries)) as progress:
            for entry in entries:
                say(f"{entry.name}: size, memory and quality.")
                started, prepared = _prepare(entry, evaluation, plan, scratch, stack, empty, found)
                lanes += started
                if prepared is not None:
                    numbers[entry.name] = prepared.numbers
                _quality(entry, started, prepared, evaluation, plan, predicted, found)
                progress.advance(note=entry.name)
        _latency(lanes, evaluation, plan, predicted, numbers, found)
    return found


def _prepare(
    entry: Entry,
    evaluation: Evaluation,
    plan: Plan,
    scratch: Path,
    stack: ExitStack,
    empty: _EmptyProcesses,
    found: Found,
) -> tuple[list[Lane], inputs.Inputs | None]:
    """Size, a worker for each choice of options, and what memory each takes."""
    runtime = plan.runtime_for(entry.artifact)
    lanes = [Lane(entry, runtime, options) for options in plan.options_for(runtime)]
    fingerprint = entry.artifact.fingerprint()
    prepared, failure = None, runtime.why_not(entry.artifact, plan.device)
    file = scratch / f"{fingerprint}.npz"
    try:
        entry.artifact.check_files()
        found.measurements += size(entry.artifact)
        if failure is None:
            encoded = evaluation.encode(entry.artifact)
            prepared = inputs.prepare(encoded, plan.conditions, seed=plan.seed)
            inputs.save(prepared, file)
    except CompressError as error:
        failure = str(error)
        if not any(one.artifact == fingerprint for one in found.measurements):
            found.measurements += [
                Measurement(fingerprint, name, None, unit, False, absent=failure)
                for name, unit in (("disk_bytes", "bytes"), ("parameters", "count"))
            ]
    for lane in lanes:
        under = _under(lane, plan)
        lane.failure = failure
        if lane.failure is None:
            worker = stack.enter_context(WorkerProcess(runtime.name, entry.artifact, _serving(lane, plan), file))
            try:
                phases = memory.serve_phases(worker, plan.conditions)
                found.measurements += memory.memory(fingerprint, phases, empty.told(runtime, file), under)
                lane.worker = worker
            except CompressError as error:
                lane.failure = str(error)
                worker.close()
        if lane.failure is not None:
            warn(f"{entry.name} cannot be measured with {runtime.name}: {lane.failure}")
            phase = {**under, "phase": memory.LOADED}
            found.measurements.append(
                Measurement(fingerprint, "peak_memory_bytes", None, "bytes", False, phase, absent=lane.failure)
            )
    return lanes, prepared


class _EmptyProcesses:
    """What a process without a model takes, measured once for each runtime."""

    def __init__(self, plan: Plan, scratch: Path) -> None:
        self.plan, self.scratch = plan, scratch
        self.answers: dict[str, Mapping[str, Any]] = {}

    def told(self, runtime: Runtime, file: Path) -> Mapping[str, Any]:
        """The answer of an empty worker to `load`."""
        if runtime.name not in self.answers:
            serving = Serving(self.plan.threads, self.plan.device)
            with WorkerProcess(runtime.name, None, serving, file) as worker:
                self.answers[runtime.name] = worker.ask("load")
        return self.answers[runtime.name]


def _quality(
    entry: Entry,
    lanes: Sequence[Lane],
    prepared: inputs.Inputs | None,
    evaluation: Evaluation,
    plan: Plan,
    predicted: dict[str, NDArray[np.float64]],
    found: Found,
) -> None:
    """Every metric, under the first choice of options that works; `predicted` gains the entry's classes."""
    fingerprint = entry.artifact.fingerprint()
    lane = next((one for one in lanes if one.worker is not None), lanes[0])
    condition = {**_under(lane, plan), "split": "evaluation", "max_length": evaluation.max_length}
    failure = lane.failure
    if lane.worker is not None and prepared is not None:
        try:
            logits = _logits(lane, prepared, evaluation, plan)
            predicted[entry.name] = quality.predictions(logits, evaluation.task)
        except CompressError as error:
            failure = lane.failure = str(error)
            warn(f"{entry.name} cannot be evaluated: {failure}")
    if entry.name not in predicted:
        reason = failure or "it could not be run"
        found.measurements += [quality.absent(fingerprint, one, condition, reason) for one in evaluation.metrics]
        return
    mine = predicted[entry.name]
    notes = evaluation.notes(entry.artifact)
    found.measurements += quality.quality(
        fingerprint, mine, evaluation.references, evaluation.metrics, condition, notes
    )
    if entry.role != ROOT:
        of_root = next((predicted.get(one) for one in predicted if one == evaluation.root), None)
        found.measurements.append(quality.agreement(fingerprint, mine, of_root, evaluation.task, condition))


def _logits(lane: Lane, prepared: inputs.Inputs, evaluation: Evaluation, plan: Plan) -> NDArray[np.float32]:
    """The logits of the whole split, from the cache or computed into it."""
    assert lane.worker is not None
    identity = {
        "artifact": lane.entry.artifact.fingerprint(),
        "runtime": lane.runtime.name,
        "version": packages().get(lane.runtime.package),
        "options": lane.options,
        "device": plan.device,
        "machine": cpu_model(),  # int8 kernels differ between processors, and a cache may be shared
        "batch_size": plan.batch_size,
        **evaluation.identity(),
    }
    file = quality.cached_logits(evaluation.cache, identity)
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npy")
        with bar(f"{lane.entry.name}: evaluation", len(prepared.rows)) as progress:
            lane.worker.ask("predict", progress=progress.advance, batch_size=plan.batch_size, to=str(partial.resolve()))
        partial.replace(file)
    logits: NDArray[np.float32] = np.load(file, allow_pickle=False)
    if not np.isfinite(logits).all():
        raise CompressError("its outputs are not finite numbers")
    return logits


def _latency(
    lanes: Sequence[Lane],
    evaluation: Evaluation,
    plan: Plan,
    predicted: Mapping[str, NDArray[np.float64]],
    numbers: Mapping[str, Mapping[str, Sequence[int]]],
    found: Found,
) -> None:
    """All rounds, and the measurements made of them."""
    workers = {lane.key: lane.worker for lane in lanes if lane.worker is not None and lane.failure is None}
    watch = plan.watch([worker.process_id for worker in workers.values()])
    with bar("Timed rounds", plan.rounds * len(plan.conditions)) as progress:
        timed = latency.time_rounds(
            workers,
            plan.conditions,
            rounds=plan.rounds,
            repeats=plan.repeats,
            watch=watch,
            done=progress.advance,
        )
    baseline = next((lane.entry.name for lane in lanes if lane.entry.role == BASELINE), None)
    disturbed: dict[str, None] = {}
    for lane in lanes:
        fingerprint, name = lane.entry.artifact.fingerprint(), lane.entry.name
        for condition in plan.conditions:
            failed = latency.Timings(failure=lane.failure)
            timings = timed.get((lane.key, condition.key), failed)
            disturbed |= dict.fromkeys(f"{condition.key}: {note}" for note in timings.notes)
            if condition.length == REAL and name in predicted and evaluation.task.kind == "classification":
                note = latency.strays(timings, numbers[name][condition.key], predicted[name], condition.key)
                if note is not None:
                    timings.notes.append(note)
                    warn(f"{name}, {note}")
            # torch has one set of options: its timing stands beside the baseline's under each choice.
            for options in (lane.options,) if "onnx" in lane.runtime.formats else plan.options:
                beside = timed.get((f"{baseline}/{options}", condition.key))
                under = {**_under(lane, plan), "options": options}
                found.measurements += latency.latency(fingerprint, timings, condition, under, beside)
    for lane in lanes:
        found.measurements += _other_runtimes(lane, plan)
    found.notes += disturbed


def _other_runtimes(lane: Lane, plan: Plan) -> list[Measurement]:
    """A bf16 checkpoint has no ONNX form on a CPU, which readers look for: absent, with the runtime's own reason."""
    if lane.entry.artifact.precision != "bf16":
        return []
    fingerprint = lane.entry.artifact.fingerprint()
    reasons = {one.name: one.why_not(lane.entry.artifact, plan.device) for one in plan.runtimes if one != lane.runtime}
    return [
        latency.absent(
            fingerprint,
            "latency_seconds",
            {"batch": condition.batch, "length": condition.length, **_under(lane, plan), "runtime": name},
            reason,
        )
        for name, reason in reasons.items()
        if reason is not None
        for condition in plan.conditions
    ]


def _serving(lane: Lane, plan: Plan) -> Serving:
    return Serving(plan.threads, plan.device, lane.options)


def _under(lane: Lane, plan: Plan) -> dict[str, Any]:
    return {"runtime": lane.runtime.name, "threads": plan.threads, "options": lane.options, "device": plan.device}
