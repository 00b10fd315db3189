"""The process in which one artifact is measured: it loads the artifact, answers requests, and otherwise sleeps.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.disk import why_full
from compress.core.errors import CompressError
from compress.core.out_of_memory import is_out_of_memory
from compress.measure import batches as inputs
from compress.measure import ragged
from compress.measure.batches import REAL
from compress.measure.memory import peak_memory_bytes, reset_peak_memory
from compress.runtimes.rows import ONE, given_by_name, predict_all
from compress.runtimes.runtime import Runtime, Serving
from compress.tasks.kinds import Output

Answer = dict[str, Any]
LOGITS = 1 << 26
"""The most numbers that a generative model's logits of one batch may have, 256 MB of float32: a vocabulary is wide."""
WINDOW_SECONDS = 0.01
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that this process gets when its parent dies."""
AT_REST = 0.05
"""Of a window's time: waking up from the wait itself takes about a hundredth."""
QUIET_WINDOWS = 2
"""In a row: on a busy machine a thread that still looks for work may not get a processor for one."""
MOST_WINDOWS = 50


class Worker:
    """One runtime and, once it is loaded, one model that predicts."""

    commands: tuple[str, ...] = ("load", "serve", "time", "predict")
    """What it can be asked: names of its methods."""

    def __init__(
        self, runtime: Runtime, artifact: Artifact, serving: Serving, file: Path, outputs: Sequence[Output] = ONE
    ) -> None:
        self.runtime, self.artifact, self.serving, self.file = runtime, artifact, serving, file
        self.outputs = outputs
        self.opened: Any = None
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.turns: dict[str, int] = {}

    def do(self, command: str, **arguments: Any) -> Answer:
        """Its answer to one of its `commands`."""
        if command not in self.commands:
            raise CompressError(f"This worker cannot be asked to {command}, only to {', '.join(self.commands)}.")
        return getattr(self, command)(**arguments)

    def load(self) -> Answer:
        """Import the runtime, note what that takes, and open the artifact."""
        self._import()
        empty = peak_memory_bytes()
        self.opened = self._open()
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
        """The seconds of each call, and what `_keep` keeps of each distinct batch."""
        batches, call = self._batches(condition), self._call(condition)
        told: Answer = {"seconds": []}
        start = self.turns.get(condition, 0)
        for turn in range(start, start + calls):
            number = turn % len(batches)
            began = time.perf_counter()
            output = call(batches[number])
            told["seconds"].append(time.perf_counter() - began)
            self._keep(told, str(number), output, began)
        self.turns[condition] = (start + calls) % len(batches)
        come_to_rest()
        return told

    def predict(self, batch_size: int, to: str, numbers: Sequence[int] | None = None) -> Answer:
        """Predict the whole split, or the examples with these numbers, into a file (.npz): each output by its name, see
        `compress.runtimes.rows.predict_all`; of a model with a single output its array alone (.npy)."""
        rows = inputs.open_rows(self.file)
        if numbers is not None:
            rows = rows.chosen(numbers)
        found = predict_all(
            self._model(), rows, batch_size, lambda count: answer({"done": count}), outputs=self.outputs
        )
        if len(found) == 1:
            np.save(to, next(iter(found.values())))
        else:
            np.savez(to, allow_pickle=False, **found)
        return {"shape": {name: list(values.shape) for name, values in found.items()}}

    def _import(self) -> None:
        for name in self.runtime.imports:
            importlib.import_module(name)

    def _open(self) -> Any:
        return self.runtime.opened(self.artifact, self.serving)

    def _call(self, condition: str) -> Callable[[Mapping[str, Any]], Any]:
        """One timed condition."""
        return self._model().predict

    def _keep(self, told: Answer, batch: str, output: Any, began: float) -> None:
        """`logits`: of each distinct batch the first output's first row as last computed."""
        first = np.atleast_1d(given_by_name(output, self.outputs[0].name, len(self.outputs))[0])
        # Of many answers a row the first token's.
        kept = told.setdefault("logits", {})
        kept[batch] = [float(value) for value in (first if first.ndim == 1 else first[0])]

    def _model(self) -> Any:
        if self.opened is None:
            raise CompressError("This worker has no model: load one first.")
        return self.opened

    def _batches(self, condition: str) -> list[dict[str, Any]]:
        if condition not in self.batches:
            self.batches[condition] = inputs.open_batches(self.file, condition)
        return self.batches[condition]


class GenerationWorker(Worker):
    """The same with a generative model: what is served and timed is `generate()`, see `compress.runtimes.generating`."""

    commands = ("load", "serve", "time", "grow", "generate", "score")

    def __init__(
        self, runtime: Runtime, artifact: Artifact, serving: Serving, file: Path, decoding: Any, new_tokens: int
    ) -> None:
        """`decoding` tells the rules; after a prompt of fixed length `new_tokens` are generated."""
        super().__init__(runtime, artifact, serving, file)
        self.decoding, self.new_tokens = decoding, new_tokens

    def grow(self, condition: str, new_tokens: int) -> Answer:
        """Generate this many tokens after the first batch of a condition, and return the peak memory."""
        from compress.runtimes.generating import check_room, generate

        feeds = self._batches(condition)[0]
        check_room(self._model(), feeds["input_ids"].shape[1], new_tokens)
        reset_peak_memory()  # that of loading may be greater, and would hide all that is generated
        generate(self._model(), feeds, self.decoding, exactly=new_tokens)
        return self.memory()

    def generate(self, batch_size: int, to: str) -> Answer:
        """Generate after every row of the split, into a file of token ids: `tokens`."""
        from compress.runtimes.generating import generate

        rows = inputs.open_rows(self.file)
        tokens: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(rows)
        for numbers in rows.by_length(batch_size):
            found = generate(self._model(), rows.batch(numbers), self.decoding)
            for number, ids in zip(numbers, found, strict=True):
                tokens[number] = ids
            answer({"done": len(numbers)})
        ragged.save(to, tokens=tokens)
        return {"rows": len(tokens)}

    def score(self, batch_size: int, to: str) -> Answer:
        """The log-probability of every label and the most likely token at its position, into a file: `log_likelihoods`
        and `predicted`."""
        from compress.runtimes.generating import scores

        texts, labels = inputs.open_rows(self.file, "texts", "rows"), inputs.open_rows(self.file, "labels")
        likelihoods: list[NDArray[Any]] = [np.empty(0)] * len(texts)
        predicted = list(likelihoods)
        longest = int(max(texts.lengths().max(), labels.lengths().max()))
        most = LOGITS // (longest * int(self._model().config.vocab_size))
        for numbers in texts.by_length(max(1, min(batch_size, most))):
            wanted = labels.batch(numbers)["input_ids"]
            found, said = scores(self._model(), texts.batch(numbers), wanted)
            for line, number in enumerate(numbers):
                length = len(labels.columns["input_ids"][number])
                likelihoods[number], predicted[number] = found[line, :length], said[line, :length]
            answer({"done": len(numbers)})
        ragged.save(to, log_likelihoods=likelihoods, predicted=predicted)
        return {"rows": len(texts)}

    def _import(self) -> None:
        if self.runtime.open_generator is None:
            raise CompressError(f"{self.runtime.name} runs no generative models")
        for name in self.runtime.generator_imports:
            importlib.import_module(name)
        from compress.runtimes.generating import say_errors_only

        say_errors_only()

    def _open(self) -> Any:
        return self.runtime.opened_generator(self.artifact, self.serving)

    def _call(self, condition: str) -> Callable[[Mapping[str, Any]], Any]:
        """After prompts of fixed length, this many tokens are generated; at real lengths, until the model stops."""
        from compress.runtimes.generating import check_room, generate

        model = self._model()
        exactly = None if condition.endswith(REAL) else self.new_tokens
        if exactly is not None:
            check_room(model, self._batches(condition)[0]["input_ids"].shape[1], exactly)

        def call(feeds: Mapping[str, Any]) -> tuple[list[NDArray[np.int64]], float]:
            stamps: list[float] = []
            return generate(model, feeds, self.decoding, exactly=exactly, stamps=stamps), stamps[0]

        return call

    def _keep(self, told: Answer, batch: str, output: Any, began: float) -> None:
        """The seconds to the `first` token of each call, what was generated after each distinct batch's first row as last
        generated (`outputs`), and the number of all `tokens`."""
        generated, first = output
        told.setdefault("first", []).append(first - began)
        told.setdefault("outputs", {})[batch] = generated[0].tolist()
        told["tokens"] = told.get("tokens", 0) + sum(len(row) for row in generated)


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
            `inputs` (the file), `outputs` (what the artifact's kind gives), `generation` (None, or for a generative model
            `decoding` and `new_tokens`) and the process that asks, `parent`; then a command each.
    """
    wanted = json.loads(next(asked_for))
    end_with(wanted["parent"])
    model = wanted["artifact"]
    artifact = Artifact(**{**model, "folder": Path(model["folder"])}, origin={}, task=None)
    runtime = catalogue.find("runtimes", wanted["runtime"])
    outputs, serving = tuple(Output(**one) for one in wanted["outputs"]), Serving(**wanted["serving"])
    worker = made(runtime, artifact, serving, Path(wanted["inputs"]), outputs, wanted["generation"])
    for line in asked_for:
        asked = json.loads(line)
        try:
            answer(worker.do(asked.pop("do"), **asked))
        except Exception as error:  # whatever a runtime raises becomes the reason why there is no value
            answer({"error": _reason(error)})


def made(
    runtime: Runtime,
    artifact: Artifact,
    serving: Serving,
    file: Path,
    outputs: Sequence[Output],
    generation: Mapping[str, Any] | None,
) -> Worker:
    """The worker that a process is, see `main`."""
    if generation is None:
        return Worker(runtime, artifact, serving, file, outputs)
    from compress.runtimes.generating import Decoding

    decoding = Decoding(**generation["decoding"])
    return GenerationWorker(runtime, artifact, serving, file, decoding, generation["new_tokens"])


def end_with(parent: int) -> None:
    """End this process when its parent is gone, even during a long computation."""
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
