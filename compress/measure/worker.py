"""The process in which one artifact is measured: it loads the artifact, serves what it is asked to, and else sleeps.

It reads one JSON command a line and answers with one JSON line. Between commands it waits in a blocking read, so that
an idle worker takes no processor time from the one that is being timed. It imports numpy and its runtime and nothing
else, since its own memory is measured.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.disk import why_full
from compress.core.errors import CompressError
from compress.core.out_of_memory import is_out_of_memory
from compress.measure import batches as inputs
from compress.measure.memory import peak_memory_bytes
from compress.runtimes.rows import predict_all
from compress.runtimes.runtime import Runtime, Serving, Session, logits_of

Answer = dict[str, Any]
WINDOW_SECONDS = 0.01
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that this process gets when its parent dies."""
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
            first = logits_of(output)[0]  # of many answers a row the first token's
            logits[str(turn % len(batches))] = [float(value) for value in (first if first.ndim == 1 else first[0])]
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


def main(asked_for: Iterator[bytes]) -> None:
    """Answer commands until there are no more.

    Args:
        asked_for: lines of JSON: first `runtime`, `artifact` (its folder, format, parts, precision and facts), `serving`,
            `inputs` (the file), `writing` (None, or for a generative model `decoding` and `new_tokens`) and the process
            that asks, `parent`; then a command each.
    """
    wanted = json.loads(next(asked_for))
    end_with(wanted["parent"])
    model = wanted["artifact"]
    artifact = Artifact(**{**model, "folder": Path(model["folder"])}, origin={}, task=None)
    runtime = importlib.import_module(f"compress.runtimes.{wanted['runtime']}").RUNTIME
    commands = _commands(runtime, artifact, Serving(**wanted["serving"]), Path(wanted["inputs"]), wanted["writing"])
    for line in asked_for:
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


def end_with(parent: int) -> None:
    """End this process when the one that asks is gone, also in the midst of a long computation."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before
            os._exit(1)


def lines_until_the_end(pipe: int) -> Iterator[bytes]:
    """The lines of a pipe; when its other end is closed this process ends at once, whatever it is doing."""
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        heard = b""
        while more := os.read(pipe, 1 << 16):  # no buffered stream: Python cannot end while a thread waits in one
            *whole, heard = (heard + more).split(b"\n")
            for line in whole:
                arrived.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield arrived.get()


def _reason(error: Exception) -> str:
    if is_out_of_memory(error):
        return "it ran out of memory: set a smaller batch_size in the suite, shorter conditions, or use another machine"
    if (full := why_full(error)) is not None:
        return f"a file cannot be written ({full}): free some space"
    first = (str(error).strip().splitlines() or [""])[0]
    return first if isinstance(error, CompressError) else f"{type(error).__name__}: {first}"


if __name__ == "__main__":
    # Answers go out by a pipe of their own: what a library prints must not get between them.
    _replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the process that asks gets them too, and decides
        signal.signal(one, signal.SIG_IGN)
    main(lines_until_the_end(0))
