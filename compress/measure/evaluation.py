"""The evaluation split for each artifact: encoded with its own tokenizer, truncated at one length for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, digest
from compress.core.cache import entry
from compress.core.machine import cpu_model
from compress.core.measurement import Measurement
from compress.core.progress import bar
from compress.data.loading import Split
from compress.measure import latency, quality, trivial
from compress.measure.batches import Condition, Inputs, Unnamed
from compress.measure.plan import Candidate, Entry, Plan
from compress.measure.process import WorkerProcess
from compress.measure.rounds import Timings
from compress.metrics.metric import Metric
from compress.tasks.task import Task

PREDICT = "predict"


@dataclass(kw_only=True)
class Evaluation(ABC):
    """The evaluation split and its metrics, and what each artifact was found to answer on it."""

    task: Task
    metrics: Sequence[Metric]
    split: Split
    cache: Path
    """Where what models answer is kept by content."""
    root: str = ""
    """The entry that agreement is measured with."""
    batch_size: int = 32
    seed: int = 0
    """For the choice of examples that are timed at real lengths."""
    answers: dict[str, Any] = field(default_factory=dict)
    """What each entry answered to every example."""
    outputs: dict[str, list[str]] = field(default_factory=dict)
    """The text that each entry generated after every example, where it generates."""

    @property
    @abstractmethod
    def condition(self) -> dict[str, Any]:
        """The condition of quality, besides the runtime."""

    @property
    @abstractmethod
    def read(self) -> dict[str, Any]:
        """The recorded metadata of how the split was read."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What determines the encoded examples and the outputs, besides the artifact and its tokenizer."""

    @abstractmethod
    def prepare(self, artifact: Artifact, conditions: Sequence[Condition]) -> Inputs:
        """The split as the artifact's tokenizer gives it, and the batches of each condition, the same at every call.

        Raises:
            CompressError: the artifact has no tokenizer, or cannot do such a task.
        """

    @abstractmethod
    def quality(self, candidate: Candidate, prepared: Inputs, condition: Mapping[str, Any]) -> list[Measurement]:
        """Every metric, agreement with the root, and other values of the outputs.

        Args:
            candidate: whose loaded worker is asked; the root's comes before all others.
            prepared: what the worker reads.
            condition: what is read under, the runtime included.

        Raises:
            CompressError: the worker fails, or its answers are no numbers.
        """

    def absent(self, entry: Entry, condition: Mapping[str, Any], reason: str) -> list[Measurement]:
        """The quality of an artifact that cannot be asked."""
        return [quality.absent(entry.fingerprint, metric, condition, reason) for metric in self.metrics]

    @property
    def references(self) -> tuple[float, ...]:
        """The labels in the split's order, where each example has one number; else empty, as where they are hidden."""
        return ()

    @property
    def labels(self) -> Any:
        """The labels as metrics take them, see `compress.tasks.predictions.labels_of`; empty where they are hidden."""
        return list(self.split.rows["label"]) if self.split.is_labelled else ()

    def without_model(self, data: str | None) -> list[Measurement]:
        """The scores of trivial baselines, see `compress.measure.trivial`.

        Args:
            data: the folder of the task's data.
        """
        return trivial.measured(self.task, data, self.split, self.labels, self.metrics)

    def lost(self) -> dict[str, Any]:
        """The examples that only a compressed model gets wrong, see `compress.measure.lost_examples`."""
        return {}

    @property
    def generation(self) -> dict[str, Any] | None:
        """The generation settings given to a worker; None for any other."""
        return None

    def speed(
        self,
        candidate: Candidate,
        timings: Timings,
        condition: Condition,
        where: Mapping[str, Any],
        baseline: Timings | None,
    ) -> list[Measurement]:
        """The measurements from a candidate's timings under one condition, see `compress.measure.latency.latency`."""
        return latency.latency(candidate.entry.fingerprint, timings, condition, where, baseline)

    def growth(self, candidate: Candidate, file: Unnamed, plan: Plan) -> list[Measurement]:
        """How memory grows with what a model generates, in a process of its own; nothing for one that does not."""
        return []

    def worker(self, candidate: Candidate, file: Unnamed) -> WorkerProcess:
        """A worker for a candidate that has loaded nothing yet."""
        return WorkerProcess(
            candidate.runtime.name, candidate.entry.artifact, candidate.serving, file, generation=self.generation
        )

    def asked(
        self,
        candidate: Candidate,
        what: str,
        rows: int,
        suffix: str = ".npy",
        *,
        one_at_a_time: Sequence[int] | None = None,
    ) -> Path:
        """What a worker's command writes for the whole split, as a file in the cache.

        Args:
            candidate: whose loaded worker is asked.
            what: the command: `predict`, `generate` or `score`.
            rows: how many there are.
            suffix: of the file's name.
            one_at_a_time: the numbers of the examples that are predicted, each in a batch of its own; by default all, in batches.

        Raises:
            CompressError: the worker fails.
        """
        identity = {
            "artifact": candidate.entry.fingerprint,
            # A fingerprint tells how it was made, these what came out: the same recipe may give other bytes elsewhere.
            "files": digest(candidate.entry.artifact.files),
            **candidate.condition,
            "version": candidate.runtime.version(),
            "machine": cpu_model(),  # int8 kernels differ between processors, and a cache may be shared
            "batch_size": self.batch_size,
            **self.identity(),
        }
        if what != PREDICT:
            identity |= {"what": what, "precision": candidate.entry.artifact.precision}
        how: dict[str, Any] = {"batch_size": self.batch_size}
        if one_at_a_time is not None:
            how = {"batch_size": 1, "numbers": list(one_at_a_time)}
            identity |= how
        name = f"outputs{suffix}"

        def make(folder: Path) -> None:
            assert candidate.worker is not None
            with bar(f"{candidate.entry.name}: evaluation", rows) as progress:
                to = str((folder / name).resolve())
                candidate.worker.ask(what, progress=progress.advance, to=to, **how)

        return entry(quality.cached(self.cache, identity), make).folder / name
