"""The process in which one artifact is measured: it loads the artifact, serves what it is asked to, and else sleeps.

It reads one JSON command a line and answers with one JSON line. Between commands it waits in a blocking read, so that
an idle worker takes no processor time from the one that is being timed. It imports numpy and its runtime and nothing
else, since its own memory is measured.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import Artifact
from compress.errors import CompressError
from compress.measure import inputs
from compress.measure.memory import peak_memory_bytes
from compress.runtimes.rows import predict_all
from compress.runtimes.runtime import Runtime, Serving, Session

Answer = dict[str, Any]
WINDOW_SECONDS = 0.01
AT_REST = 0.05
"""Of a window's time: waking up from the wait itself takes about a hundredth."""
QUIET_WINDOWS = 2
"""In a row: on a busy machine a thread that still looks for work may not get a processor for one."""
MOST_WINDOWS = 50


class Worker:
    """One runtime and, once it is loaded, one model."""

    def __init__(self, runtime: Runtime, artifact: Artifact, serving: Serving, file: Path) -> None:
        self.runtime, self.artifact, self.serving, self.file = runtime, artifact, serving, file
        self.session: Session | None = None
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.turns: dict[str, int] = {}

    def load(self) -> Answer:
        """Import the runtime, note what that takes, and open the artifact."""
        for name in self.runtime.imports:
            importlib.import_module(name)
        empty = peak_memory_bytes()
        self.session = self.runtime.open(self.artifact, self.serving)
        return {**self.memory(), "empty_bytes": empty}

    def memory(self) -> Answer:
        """The peaks so far, in bytes."""
        on_device: Mapping[str, float] = {}
        if self.serving.device != "cpu" and self.runtime.device_memory_bytes is not None:
            on_device = self.runtime.device_memory_bytes()
        return {"peak_bytes": peak_memory_bytes(), "device_bytes": dict(on_device)}

    def serve(self, condition: str, calls: int) -> Answer:
        """Serve so many batches of a condition untimed (a warm-up), then say what memory that took."""
        self.time(condition, calls)
        return self.memory()

    def time(self, condition: str, calls: int) -> Answer:
        """The seconds of each call, and each distinct batch's first row of logits as last computed."""
        batches = self._batches(condition)
        session = self._session()
        seconds, logits = [], {}
        start = self.turns.get(condition, 0)
        for turn in range(start, start + calls):
            feeds = batches[turn % len(batches)]
            began = time.perf_counter()
            output = session.predict(feeds)
            seconds.append(time.perf_counter() - began)
            logits[str(turn % len(batches))] = [float(value) for value in output[0]]
        self.turns[condition] = (start + calls) % len(batches)
        come_to_rest()
        return {"seconds": seconds, "logits": logits}

    def predict(self, batch_size: int, to: str) -> Answer:
        """Predict the whole split into a file of logits, [examples, labels]."""
        rows = inputs.open_rows(self.file)
        logits = predict_all(self._session(), rows, batch_size, lambda count: answer({"done": count}))
        np.save(to, logits)
        return {"shape": list(logits.shape)}

    def _session(self) -> Session:
        if self.session is None:
            raise CompressError("This worker has no model: load one first.")
        return self.session

    def _batches(self, condition: str) -> list[dict[str, Any]]:
        if condition not in self.batches:
            self.batches[condition] = inputs.open_batches(self.file, condition)
        return self.batches[condition]


def come_to_rest() -> None:
    """Wait until this process takes no processor time.

    A runtime's threads go on looking for work after the last call, ONNX Runtime 1.32's for 40 ms, and would take a
    processor from the worker that is timed next. Telling them not to would change the speed that is measured.
    """
    quiet = 0
    for _ in range(MOST_WINDOWS):
        used = time.process_time()
        time.sleep(WINDOW_SECONDS)
        quiet = quiet + 1 if time.process_time() - used < AT_REST * WINDOW_SECONDS else 0
        if quiet == QUIET_WINDOWS:
            return


def answer(values: Mapping[str, Any]) -> None:
    """One line to the process that asked."""
    _replies.write(json.dumps(values) + "\n")
    _replies.flush()


def main(specification: str) -> None:
    """Answer commands until the asking process closes the pipe or is gone.

    Args:
        specification: JSON with `runtime`, `artifact` (its folder, format, parts, precision and facts), `serving`,
            `inputs` (the file) and `writing`: None, or for a model that writes `decoding` and `new_tokens`.
    """
    wanted = json.loads(specification)
    model = wanted["artifact"]
    artifact = Artifact(**{**model, "folder": Path(model["folder"])}, origin={}, task=None)
    runtime = importlib.import_module(f"compress.runtimes.{wanted['runtime']}").RUNTIME
    commands = _commands(runtime, artifact, Serving(**wanted["serving"]), Path(wanted["inputs"]), wanted["writing"])
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer(commands[asked.pop("do")](**asked))
        except Exception as error:  # whatever a runtime raises becomes the reason why there is no value
            answer({"error": _reason(error)})


def _commands(
    runtime: Runtime, artifact: Artifact, serving: Serving, file: Path, writing: Mapping[str, Any] | None
) -> dict[str, Callable[..., Answer]]:
    if writing is not None:
        from compress.measure.generation.worker import GenerationWorker
        from compress.runtimes.generating import Decoding

        decoding = Decoding(**writing["decoding"])
        generation = GenerationWorker(
            runtime, artifact, serving, file, decoding, writing["new_tokens"], answer, come_to_rest
        )
        return generation.commands()
    worker = Worker(runtime, artifact, serving, file)
    return {one.__name__: one for one in (worker.load, worker.serve, worker.time, worker.predict)}


def _reason(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return first if isinstance(error, CompressError) else f"{type(error).__name__}: {first}"


if __name__ == "__main__":
    # Answers go out by a pipe of their own: what a library prints must not get between them.
    _replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main(sys.argv[1])
