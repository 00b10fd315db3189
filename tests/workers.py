"""A benchmark's workers in the test's own process: one that is started imports torch first, which takes seconds.

They answer as `compress.measure.worker` does, by the same code. What depends on a process of its own, its memory and its end,
is tested with real ones in `tests/measure/test_worker.py` and by the benchmark that `tests/measure/test_benchmark.py` makes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.measure.process import WorkerFailed, WorkerProcess, outputs_of
from compress.runtimes.runtime import Serving


class WorkerHere(WorkerProcess):
    """A worker that is no process."""

    def __init__(
        self,
        runtime: str,
        artifact: Artifact,
        serving: Serving,
        inputs: Any,
        *,
        generation: Mapping[str, Any] | None = None,
        silence_seconds: float = 0.0,
    ) -> None:
        from compress.measure import worker
        from compress.runtimes import choice

        file = inputs if isinstance(inputs, Path) else inputs.path
        self._worker = worker.made(choice.find(runtime), artifact, serving, file, outputs_of(artifact), generation)

    @property
    def process_id(self) -> int:
        return os.getpid()

    def ask(self, command: str, *, progress: Callable[[int], None] | None = None, **arguments: Any) -> dict[str, Any]:
        from compress.measure import worker

        try:
            answer: dict[str, Any] = json.loads(json.dumps(self._worker.do(command, **arguments)))
        except Exception as error:
            raise WorkerFailed(worker._reason(error)) from error
        return answer

    def close(self) -> None:
        self._worker.opened = None


@pytest.fixture
def workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is benchmarked is measured in this process."""
    from compress.measure import evaluation, worker

    monkeypatch.setattr(evaluation, "WorkerProcess", WorkerHere)
    monkeypatch.setattr(worker, "answer", lambda values: None)
