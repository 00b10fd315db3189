"""The plan of a benchmark: the artifacts, their session options, and what is measured how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compress.core.artifact import Artifact
from compress.core.measurement import Measured
from compress.measure.batches import Condition
from compress.measure.interference import Watch, watcher
from compress.measure.journal import Journal
from compress.measure.process import WorkerProcess
from compress.runtimes.runtime import Runtime, Serving

ROOT, BASELINE, VARIANT = "root", "baseline", "variant"


@dataclass(frozen=True)
class Entry:
    """One artifact in one runtime."""

    name: str
    """Unique in the run."""
    artifact: Artifact
    runtime: Runtime
    role: str = VARIANT
    of: str = ""
    """The artifact's own name, without the runtime."""
    is_first: bool = True
    """Whether no entry before it is the same artifact."""
    refused: str | None = None
    """Why none of the runtimes asked for opens it."""

    @property
    def fingerprint(self) -> str:
        """The artifact's."""
        return self.artifact.fingerprint()

    @property
    def is_root(self) -> bool:
        """Whether it is what agreement is measured with: the uncompressed torch model in the runtime of its format."""
        return self.role == ROOT and self.is_first

    def measured(self) -> Measured:
        """It as the file of measurements records it."""
        one = self.artifact
        return Measured(self.of or self.name, self.fingerprint, str(one.folder), one.manifest(), self.role)


@dataclass(frozen=True)
class Plan:
    """What to measure and how carefully."""

    conditions: Sequence[Condition]
    threads: int
    device: str = "cpu"
    options: Sequence[str] = ("ours",)
    """Session options by name. Each runtime takes those that it knows, the baseline's too: a speed-up is against the same."""
    rounds: int = 10
    repeats: int = 2
    watch: Callable[[Sequence[int], int], Watch] = watcher
    """From the workers' process ids and the threads of each to a watch."""
    journal: Journal | None = None
    """Where what is measured is noted, and what an interrupted run had noted."""

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """The measurement recorded under that name before an interruption, else measured now."""
        if self.journal is None:
            return measure()
        known = self.journal.recall(name)
        if known is None:
            known = measure()
            self.journal.note(name, known)
        return known

    def options_for(self, runtime: Runtime) -> tuple[str, ...]:
        """Those that the runtime knows; where it knows none, what it is served with."""
        return tuple(one for one in self.options if one in runtime.options) or (runtime.served_with,)


@dataclass
class Candidate:
    """One artifact under one choice of session options: its worker, or why it has none."""

    entry: Entry
    runtime: Runtime
    serving: Serving
    worker: WorkerProcess | None = None
    failure: str | None = None

    @property
    def key(self) -> str:
        """Unique in the run."""
        return f"{self.entry.name}/{self.serving.options}"

    @property
    def condition(self) -> dict[str, Any]:
        """What everything in this candidate is read under."""
        return {"runtime": self.runtime.name, **asdict(self.serving)}
