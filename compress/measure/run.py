"""Measures artifacts together: each one's size, memory and quality in a process of its own, then all in timed rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact, digest
from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.core.machine import cpu_model
from compress.core.measurement import Measurement
from compress.core.progress import bar, say, warn
from compress.measure import batches as inputs
from compress.measure import latency, memory, quality, size
from compress.measure.batches import REAL, Condition
from compress.measure.evaluation import Evaluation, Unread
from compress.measure.plan import BASELINE, Entry, Lane, Plan
from compress.measure.plan import VARIANT as VARIANT
from compress.measure.process import WorkerProcess
from compress.measure.rounds import Timings, time_rounds
from compress.runtimes import choice
from compress.runtimes.runtime import Serving
from compress.tasks import predictions

PREDICT = "predict"


@dataclass(frozen=True)
class Found:
    """What a run has found."""

    measurements: Sequence[Measurement]
    notes: Sequence[str]
    outputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What each entry that writes wrote after every row, by its name."""


class Examples(Protocol):
    """What a run reads: `Evaluation`, or that of models that write."""

    @property
    def cache(self) -> Path:
        """Where quality results are kept by content."""

    @property
    def root(self) -> str:
        """The entry that agreement is measured with."""

    def prepare(self, artifact: Artifact, conditions: Sequence[Condition], seed: int) -> inputs.Inputs:
        """The examples as an artifact's tokenizer gives them, and the batches of each condition; CompressError."""

    def worker(self) -> Mapping[str, Any] | None:
        """What a worker is told of writing; None for classifiers."""

    def identity(self) -> dict[str, Any]:
        """What decides the examples, beside the artifact's tokenizer."""


def measure(entries: Sequence[Entry], evaluation: Evaluation, plan: Plan) -> Found:
    """Measure all entries; one that fails has absent measurements with the reason.

    Args:
        entries: the root first, so that agreement with it is known; names are unique.
        evaluation: the examples, the task and its metrics.
        plan: what to measure.
    """
    return carry_out(entries, plan, lambda stack: ClassifierRun(evaluation, plan, stack))


def carry_out(entries: Sequence[Entry], plan: Plan, begin: Callable[[ExitStack], Run]) -> Found:
    """One artifact after another: its size, memory and quality; then the timed rounds of all."""
    with ExitStack() as stack:
        run = begin(stack)
        for entry in entries:
            say(f"{entry.name}: size, memory and quality.")
            unusable = run.measure_size(entry)
            lanes = run.start(entry, unusable)
            run.measure_quality(entry, lanes)
        run.measure_latency()
    return Found(run.measurements, run.notes, run.outputs)


class Run(ABC):
    """The state of a run: the live workers, and what was found so far."""

    def __init__(self, examples: Examples, plan: Plan, stack: ExitStack) -> None:
        self.examples, self.plan, self.stack = examples, plan, stack
        self.measurements: list[Measurement] = []
        self.notes: list[str] = []
        self.lanes: list[Lane] = []
        self.prepared: dict[str, inputs.Inputs] = {}
        self.outputs: dict[str, list[str]] = {}
        self.unusable: dict[str, str] = {}
        """Why an artifact's files are not as they should be, by its fingerprint."""

    @abstractmethod
    def measure_quality(self, entry: Entry, lanes: Sequence[Lane]) -> None:
        """Every metric, under the first choice of options that works, and agreement with the root."""

    @abstractmethod
    def speed(
        self,
        lane: Lane,
        timings: Timings,
        condition: Condition,
        where: Mapping[str, Any],
        baseline: Timings | None,
    ) -> list[Measurement]:
        """What is told of a lane's timings under one condition, see `compress.measure.latency.latency`."""

    def measure_size(self, entry: Entry) -> str | None:
        """Bytes, parameters and zeros; gives the reason when the artifact's files are not as they should be."""
        if not entry.is_first:
            return self.unusable.get(entry.fingerprint)
        try:
            entry.artifact.check_files()
            self.measurements += size.size(entry.artifact)
        except CompressError as error:
            self.measurements += size.absent(entry.artifact, str(error))
            self.unusable[entry.fingerprint] = str(error)
            return str(error)
        return None

    def start(self, entry: Entry, unusable: str | None) -> list[Lane]:
        """A worker for each choice of options, and the memory each takes; none for an unusable artifact."""
        plan, runtime = self.plan, entry.runtime
        file = inputs.Unnamed()
        self.stack.callback(file.close)
        failure = unusable or entry.refused or runtime.why_not(entry.artifact, plan.device)
        if failure is None:
            try:
                self.prepared[entry.name] = self.examples.prepare(entry.artifact, plan.conditions, plan.seed)
                inputs.save(self.prepared[entry.name], file.path)
            except CompressError as error:
                failure = str(error)
        lanes = [
            Lane(entry, runtime, Serving(plan.threads, plan.device, options), failure=failure)
            for options in plan.options_for(runtime)
        ]
        for lane in lanes:
            if lane.failure is None:
                self.load(lane, file)
            if lane.failure is not None:
                warn(f"{entry.name} cannot be measured with {runtime.name}: {lane.failure}")
                self.measurements.append(memory.absent(entry.fingerprint, lane.condition, lane.failure))
        self.lanes += lanes
        return lanes

    def measure_latency(self) -> None:
        """All rounds, and the measurements made of them."""
        plan = self.plan
        workers = {lane.key: lane.worker for lane in self.lanes if lane.worker is not None and lane.failure is None}
        watch = plan.watch([worker.process_id for worker in workers.values()])
        with bar("Timed rounds", plan.rounds * len(plan.conditions)) as progress:
            timed = time_rounds(
                workers,
                plan.conditions,
                rounds=plan.rounds,
                repeats=plan.repeats,
                watch=watch,
                done=progress.advance,
                journal=plan.journal,
            )
        self.notes += dict.fromkeys(f"{key}: {note}" for (_, key), one in timed.items() for note in one.notes)
        baseline = [lane for lane in self.lanes if lane.entry.role == BASELINE]
        baseline = [lane for lane in baseline if lane.entry.is_first]
        choices = {lane.serving.options: lane.key for lane in baseline} or dict.fromkeys(plan.options, "")
        first = next(iter(choices.values()))
        for lane in self.lanes:
            for condition in plan.conditions:
                timings = timed.get((lane.key, condition.key), Timings(failure=lane.failure))
                # A runtime without a choice of options (torch): its timing stands beside the baseline's under each of its own.
                for options in (lane.serving.options,) if len(lane.runtime.options) > 1 else choices:
                    beside = timed.get((choices.get(options, first), condition.key))
                    under = {**lane.condition, "options": options}
                    self.measurements += self.speed(lane, timings, condition, under, beside)
        for lane in self.lanes:
            if lane.entry.artifact.precision == "bf16" and lane.entry.is_first:
                # It has no ONNX form on a CPU, which readers look for.
                others = [choice.find(name) for name in choice.DEFAULTS.values() if name != lane.runtime.name]
                reasons = {one.name: one.why_not(lane.entry.artifact, plan.device) for one in others}
                self.measurements += latency.not_run(lane.entry.fingerprint, reasons, plan.conditions, lane.condition)

    def load(self, lane: Lane, file: inputs.Unnamed) -> None:
        """Start the lane's worker and measure its memory, before it has done anything else."""
        worker = self.stack.enter_context(self.worker(lane, file))
        try:
            name = f"memory of {lane.key}"
            if self.plan.journal is not None and self.plan.journal.recall(name) is not None:
                worker.ask("load")
            phases = self.plan.once(name, lambda: memory.serve_phases(worker, self.plan.conditions))
        except CompressError as error:
            lane.failure = str(error)
            worker.close()
            return
        self.measurements += memory.memory(lane.entry.fingerprint, phases, lane.condition)
        lane.worker = worker

    def worker(self, lane: Lane, file: inputs.Unnamed) -> WorkerProcess:
        """A worker that has loaded nothing yet."""
        return WorkerProcess(
            lane.runtime.name, lane.entry.artifact, lane.serving, file, generation=self.examples.worker()
        )

    def cached(self, lane: Lane, what: str, rows: int, suffix: str = "", *, examples: Examples | None = None) -> Path:
        """What a worker's command writes for the whole split, as a file in the cache.

        Args:
            lane: whose worker is asked.
            what: the command: `predict`, `generate` or `score`.
            rows: how many there are.
            suffix: of the file's name; by default that of one array.
            examples: what the worker reads; by default what all of them do.

        Raises:
            CompressError: the worker fails.
        """
        identity = {
            "artifact": lane.entry.fingerprint,
            # A fingerprint tells how it was made, these what came out: the same recipe may give other bytes elsewhere.
            "files": digest(lane.entry.artifact.files),
            **lane.condition,
            "version": lane.runtime.version(),
            "machine": cpu_model(),  # int8 kernels differ between processors, and a cache may be shared
            "batch_size": self.plan.batch_size,
            **(examples or self.examples).identity(),
        }
        if what != PREDICT:
            identity |= {"what": what, "precision": lane.entry.artifact.precision}
        name = f"outputs{suffix or '.npy'}"

        def make(folder: Path) -> None:
            assert lane.worker is not None
            with bar(f"{lane.entry.name}: evaluation", rows) as progress:
                batch_size, to = self.plan.batch_size, str((folder / name).resolve())
                lane.worker.ask(what, progress=progress.advance, batch_size=batch_size, to=to)

        return entry(quality.cached(self.examples.cache, identity), make).folder / name


class ClassifierRun(Run):
    """Classifiers, judged by their logits."""

    def __init__(self, evaluation: Evaluation, plan: Plan, stack: ExitStack) -> None:
        super().__init__(evaluation, plan, stack)
        self.evaluation = evaluation
        self.predicted: dict[str, Any] = {}
        """In the numbers of the task's labels, one entry an example."""
        self.said: dict[str, NDArray[np.float64]] = {}
        """In the numbers of the artifact's own outputs."""

    def measure_quality(self, entry: Entry, lanes: Sequence[Lane]) -> None:
        """Every metric, under the first choice of options that works, and agreement with the root."""
        task, metrics = self.evaluation.task, self.evaluation.metrics
        lane = next((one for one in lanes if one.worker is not None), lanes[0])
        condition = {**lane.condition, "split": "evaluation", "max_length": self.evaluation.max_length}
        one_class: tuple[str, ...] = ()
        if lane.worker is not None:
            try:
                rows = self.prepared[entry.name].rows
                said = quality.said(self._logits(lane, len(rows)), entry.artifact, task)
                in_task_order = quality.of_task(said, entry.artifact.folder, task)
                one_class = predictions.one_class(in_task_order, self.evaluation.labels, task)
                self.predicted[entry.name] = self.evaluation.by_example(in_task_order, rows)
                self.said[entry.name] = said
            except CompressError as error:
                lane.failure = str(error)
                warn(f"{entry.name} cannot be evaluated: {lane.failure}")
        mine, of_root = self.predicted.get(entry.name), self.predicted.get(self.evaluation.root)
        if mine is None:
            reason = lane.failure or "it could not be run"
            for one in (self.evaluation, *self.evaluation.further):
                under = {**condition, "split": one.name}
                self.measurements += [
                    quality.absent(entry.fingerprint, metric, under, reason) for metric in one.metrics
                ]
            return
        notes = (*self.prepared[entry.name].notes, *one_class)
        self.measurements += quality.quality(entry.fingerprint, mine, self.evaluation.labels, metrics, condition, notes)
        if not entry.is_root:
            self.measurements.append(quality.agreement(entry.fingerprint, mine, of_root, task, condition))
        for other in self.evaluation.further:
            self.measurements += self._on_another_split(lane, other, condition)

    def _on_another_split(
        self, lane: Lane, other: Evaluation | Unread, condition: Mapping[str, Any]
    ) -> list[Measurement]:
        """The metrics of a further split, by a worker of its own that is not timed."""
        condition, mine = {**condition, "split": other.name}, lane.entry.fingerprint
        reason = other.reason if isinstance(other, Unread) else ""
        if isinstance(other, Evaluation):
            file = inputs.Unnamed()
            try:
                prepared = other.prepare(lane.entry.artifact, (), self.plan.seed)
                inputs.save(prepared, file.path)
                with self.worker(lane, file) as worker:
                    worker.ask("load")
                    logits = self._logits(replace(lane, worker=worker), len(prepared.rows), other)
                said = quality.said(logits, lane.entry.artifact, other.task)
                predicted = other.by_example(
                    quality.of_task(said, lane.entry.artifact.folder, other.task), prepared.rows
                )
                return quality.quality(mine, predicted, other.labels, other.metrics, condition, prepared.notes)
            except CompressError as error:
                reason = str(error)
            finally:
                file.close()
        return [quality.absent(mine, one, condition, reason) for one in other.metrics]

    def speed(
        self,
        lane: Lane,
        timings: Timings,
        condition: Condition,
        where: Mapping[str, Any],
        baseline: Timings | None,
    ) -> list[Measurement]:
        """Latency, and a note where what was timed is not what was evaluated."""
        self._check_outputs(lane.entry.name, condition, timings)
        return latency.latency(lane.entry.fingerprint, timings, condition, where, baseline)

    def _logits(self, lane: Lane, rows: int, examples: Examples | None = None) -> NDArray[np.float32]:
        """The logits of a whole split.

        Raises:
            CompressError: the worker fails, or its outputs are not finite.
        """
        logits: NDArray[np.float32] = np.load(self.cached(lane, PREDICT, rows, examples=examples), allow_pickle=False)
        if not np.isfinite(logits).all():
            raise CompressError("its outputs are not finite numbers")
        return logits

    def _check_outputs(self, name: str, condition: Condition, timings: Timings) -> None:
        """Add a note where what was timed is not what was evaluated."""
        if condition.length != REAL or name not in self.predicted or not self.evaluation.task.law.chooses:
            return
        if self.evaluation.task.of_kind.reads_words or self.said[name].ndim > 1:
            return
        numbers = self.prepared[name].numbers[condition.key]
        note = latency.strays(timings, numbers, self.said[name], condition.key)
        if note is not None and note not in timings.notes:
            timings.notes.append(note)
            warn(f"{name}, {note}")
