"""Measures artifacts together: size, memory and quality in separate processes, then all in timed rounds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.core.progress import bar, duration, say, warn
from compress.measure import batches as inputs
from compress.measure import latency, memory, size
from compress.measure.evaluation import Evaluation
from compress.measure.interference import glance
from compress.measure.plan import BASELINE, Candidate, Entry, Plan
from compress.measure.plan import VARIANT as VARIANT
from compress.measure.rounds import Timings, time_rounds
from compress.metrics.quiet_rounds import refusal
from compress.runtimes import choice
from compress.runtimes.runtime import Serving


@dataclass(frozen=True)
class Found:
    """The results of a run."""

    measurements: Sequence[Measurement]
    notes: Sequence[str]


def measure(entries: Sequence[Entry], evaluation: Evaluation, plan: Plan) -> Found:
    """Measure all entries, one artifact's size, memory and quality after another's, then the timed rounds of all.

    One that fails has absent measurements with the reason.

    Args:
        entries: the root first, so that agreement with it is known; names are unique.
        evaluation: the examples, the task and its metrics.
        plan: what to measure.
    """
    with ExitStack() as stack:
        run = Run(evaluation, plan, stack)
        reading = glance(plan.watch((), plan.threads))
        if reading is not None and reading.is_noisy():
            warn(f"The machine is busy now: {reading}. If that goes on, there is no speed ratio; all else is measured.")
        begun = time.monotonic()
        for number, entry in enumerate(entries, 1):
            left = _time_left(time.monotonic() - begun, number - 1, len(entries))
            say(f"{entry.name} ({number} of {len(entries)}): size, memory and quality{left}.")
            unusable = run.measure_size(entry)
            candidates = run.start(entry, unusable)
            run.measure_quality(entry, candidates)
        run.measure_latency()
    return Found(run.measurements, run.notes)


def _time_left(elapsed: float, done: int, total: int) -> str:
    """What is left before the timed rounds, which show their own while they run; nothing before the first model is done."""
    return f"; about {duration(elapsed / done * (total - done))} left before the timed rounds" if done else ""


class Run:
    """The state of a run: the live workers, and what was found so far."""

    def __init__(self, evaluation: Evaluation, plan: Plan, stack: ExitStack) -> None:
        self.evaluation, self.plan, self.stack = evaluation, plan, stack
        self.measurements: list[Measurement] = []
        self.notes: list[str] = []
        self.candidates: list[Candidate] = []
        self.prepared: dict[str, inputs.Inputs] = {}
        self.unusable: dict[str, str] = {}
        """Why an artifact's files are not as they should be, by its fingerprint."""

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

    def start(self, entry: Entry, unusable: str | None) -> list[Candidate]:
        """A worker for each choice of options, and the memory each takes; none for an unusable artifact."""
        plan, runtime = self.plan, entry.runtime
        file = inputs.Unnamed()
        self.stack.callback(file.close)
        failure = unusable or entry.refused or runtime.why_not(entry.artifact, plan.device)
        if failure is None:
            try:
                self.prepared[entry.name] = self.evaluation.prepare(entry.artifact, plan.conditions)
                inputs.save(self.prepared[entry.name], file.path)
            except CompressError as error:
                failure = str(error)
        candidates = [
            Candidate(entry, runtime, Serving(plan.threads, plan.device, options), failure=failure)
            for options in plan.options_for(runtime)
        ]
        for candidate in candidates:
            if candidate.failure is None:
                self.load(candidate, file)
            if candidate.failure is not None:
                warn(f"{entry.name} cannot be measured with {runtime.name}: {candidate.failure}")
                self.measurements.append(memory.absent(entry.fingerprint, candidate.condition, candidate.failure))
        self.candidates += candidates
        return candidates

    def measure_quality(self, entry: Entry, candidates: Sequence[Candidate]) -> None:
        """Every metric, under the first choice of options that works, and agreement with the root."""
        candidate = next((one for one in candidates if one.worker is not None), candidates[0])
        condition = {**candidate.condition, **self.evaluation.condition}
        if candidate.worker is not None:
            try:
                self.measurements += self.evaluation.quality(candidate, self.prepared[entry.name], condition)
                return
            except CompressError as error:
                candidate.failure = str(error)
                warn(f"{entry.name} cannot be evaluated: {candidate.failure}")
        self.measurements += self.evaluation.absent(entry, condition, candidate.failure or "it could not be run")

    def measure_latency(self) -> None:
        """All rounds, and the measurements made of them."""
        plan = self.plan
        workers = {
            candidate.key: candidate.worker
            for candidate in self.candidates
            if candidate.worker is not None and candidate.failure is None
        }
        watch = plan.watch([worker.process_id for worker in workers.values()], plan.threads)
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
        few = {key: one for (_, key), one in timed.items() if refusal(len(one.disturbed), len(one.rounds))}
        if few:
            where = ", ".join(f"{key} in {len(one.disturbed)} of {len(one.rounds)} rounds" for key, one in few.items())
            warn(f"No speed ratio: the machine was busy ({where}). Measure again when nothing else runs.")
        self.notes += dict.fromkeys(f"{key}: {note}" for (_, key), one in timed.items() for note in one.notes)
        baseline = [candidate for candidate in self.candidates if candidate.entry.role == BASELINE]
        baseline = [candidate for candidate in baseline if candidate.entry.is_first]
        choices = {candidate.serving.options: candidate.key for candidate in baseline} or dict.fromkeys(
            plan.options, ""
        )
        first = next(iter(choices.values()))
        for candidate in self.candidates:
            for condition in plan.conditions:
                timings = timed.get((candidate.key, condition.key), Timings(failure=candidate.failure))
                # A runtime without a choice of options (torch): its timing is compared with the baseline's under each of its own.
                for options in (candidate.serving.options,) if len(candidate.runtime.options) > 1 else choices:
                    beside = timed.get((choices.get(options, first), condition.key))
                    under = {**candidate.condition, "options": options}
                    self.measurements += self.evaluation.speed(candidate, timings, condition, under, beside)
        for candidate in self.candidates:
            if candidate.entry.artifact.precision == "bf16" and candidate.entry.is_first:
                # It has no ONNX form on a CPU, which readers look for.
                others = [one for one in choice.defaults() if one.name != candidate.runtime.name]
                reasons = {one.name: one.why_not(candidate.entry.artifact, plan.device) for one in others}
                self.measurements += latency.not_run(
                    candidate.entry.fingerprint, reasons, plan.conditions, candidate.condition
                )

    def load(self, candidate: Candidate, file: inputs.Unnamed) -> None:
        """Start the candidate's worker and measure its memory, before it has done anything else."""
        worker = self.stack.enter_context(self.evaluation.worker(candidate, file))
        try:
            name = f"memory of {candidate.key}"
            if self.plan.journal is not None and self.plan.journal.recall(name) is not None:
                worker.ask("load")
            phases = self.plan.once(name, lambda: memory.serve_phases(worker, self.plan.conditions))
        except CompressError as error:
            candidate.failure = str(error)
            worker.close()
            return
        self.measurements += memory.memory(candidate.entry.fingerprint, phases, candidate.condition)
        self.measurements += self.evaluation.growth(candidate, file, self.plan)
        candidate.worker = worker
