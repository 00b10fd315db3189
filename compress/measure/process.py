"""Starts a worker process with pinned thread counts, sends it requests, and explains its failures."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.measure.batches import Unnamed
from compress.models.kinds import kind_of
from compress.runtimes.rows import ONE
from compress.runtimes.runtime import Serving
from compress.tasks.kinds import Output

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
SILENCE_SECONDS = 900.0
"""A worker that has said nothing for so long hangs: one batch of a large model on a slow processor takes less."""


class WorkerFailed(CompressError):  # noqa: N818 - it says what happened, as the reason for an absent value
    """A worker could not do what it was asked; the message can be the reason of an absent value."""


class WorkerProcess:
    """A live worker, for one artifact; with `generation` (see `compress.measure.worker`) for a generative one."""

    def __init__(
        self,
        runtime: str,
        artifact: Artifact,
        serving: Serving,
        inputs: Path | Unnamed,
        *,
        generation: Mapping[str, Any] | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._silence_seconds = silence_seconds
        self._heard = b""
        model = {
            "folder": str(artifact.folder.resolve()),
            "format": artifact.format,
            "parts": dict(artifact.parts),
            "precision": artifact.precision,
            "facts": dict(artifact.facts),
        }
        wanted = {
            "runtime": runtime,
            "artifact": model,
            "serving": asdict(serving),
            "inputs": str(inputs.path if isinstance(inputs, Unnamed) else inputs),
            "outputs": [asdict(one) for one in outputs_of(artifact)],
            "generation": generation,
            "parent": os.getpid(),
        }
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            # -P: nothing is imported from the current folder, where a user may have a random.py.
            [sys.executable, "-P", "-m", "compress.measure.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(serving.threads),
            pass_fds=(inputs.descriptor,) if isinstance(inputs, Unnamed) else (),
        )
        self._write(wanted)

    @property
    def process_id(self) -> int:
        """The system's number for the process."""
        return self._process.pid

    def ask(self, command: str, *, progress: Callable[[int], None] | None = None, **arguments: Any) -> dict[str, Any]:
        """One command and its answer, see `compress.measure.worker`.

        Args:
            command: one of the worker's `commands`.
            progress: called after each batch of a long command.
            arguments: the command's own.

        Raises:
            WorkerFailed: the worker answered with an error, died, or said nothing for too long.
        """
        if not self._write({"do": command, **arguments}):
            raise WorkerFailed(self._last_words())
        while True:
            answer: dict[str, Any] = json.loads(self._line())
            if "error" in answer:
                raise WorkerFailed(answer["error"])
            if "done" not in answer:
                return answer
            if progress is not None:
                progress(answer["done"])

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # what was left to write has no reader any more

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, values: Mapping[str, Any]) -> bool:
        """One line to the worker; False where it is gone, which the next answer explains."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(values).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        end = time.monotonic() + self._silence_seconds
        while b"\n" not in self._heard:
            ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self.close()
                raise WorkerFailed(f"it did not answer for {self._silence_seconds:.0f} seconds, so it was stopped")
            heard = os.read(stream, 1 << 16)
            if not heard:
                raise WorkerFailed(self._last_words())
            self._heard += heard
        line, self._heard = self._heard.split(b"\n", 1)
        return line

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        if code < 0:
            name = signal.Signals(-code).name
            why = ", most likely for want of memory" if name == "SIGKILL" else f": {lines[-1]}" if lines else ""
            return f"its process was ended by {name}{why}"
        return f"its process ended with code {code}" + (f": {lines[-1]}" if lines else "")


def outputs_of(artifact: Artifact) -> Sequence[Output]:
    """What the artifact's kind gives; the worker gets them, so that it need not know its kind."""
    kind = kind_of(artifact.folder) if (artifact.folder / "config.json").is_file() else None
    return ONE if kind is None else kind.outputs


def environment(threads: int) -> dict[str, str]:
    """The environment of a worker: threads pinned before anything is imported, offline, and otherwise as usual.

    Settings of the C library's allocator, which training raises, are left out: users' serving processes have none.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    source = str(Path(__file__).parents[2])
    # An empty part means the current folder.
    paths = [source, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **kept,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        "PYTHONPATH": os.pathsep.join(paths),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
