"""The process in which one model that writes is measured: as `compress.measure.worker`, with `generate()` in place of logits."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.measure import batches as inputs
from compress.measure.batches import REAL
from compress.measure.memory import forget_peak, peak_memory_bytes
from compress.runtimes.generating import Decoding, check_room, generate, scores
from compress.runtimes.rows import Rows
from compress.runtimes.runtime import Runtime, Serving

Answer = dict[str, Any]
LOGITS = 1 << 26
"""The most numbers that the logits of one batch may have, 256 MB of float32: a vocabulary is wide."""


@dataclass
class GenerationWorker:
    """One runtime and, once it is loaded, one model that writes."""

    runtime: Runtime
    artifact: Artifact
    serving: Serving
    file: Path
    decoding: Decoding
    new_tokens: int
    """Written after a prompt of fixed length."""
    answer: Callable[[Mapping[str, Any]], None]
    """One line to the process that asked."""
    come_to_rest: Callable[[], None]
    generator: Any = None

    def __post_init__(self) -> None:
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.turns: dict[str, int] = {}

    def load(self) -> Answer:
        """Import the runtime, note what that takes, and open the artifact."""
        if self.runtime.open_generator is None:
            raise CompressError(f"{self.runtime.name} runs no models that write")
        for name in self.runtime.generator_imports:
            importlib.import_module(name)
        _quiet()
        empty = peak_memory_bytes()
        self.generator = self.runtime.open_generator(self.artifact, self.serving)
        return {**self.memory(), "empty_bytes": empty}

    def memory(self) -> Answer:
        """The peaks so far, in bytes."""
        on_device: Mapping[str, float] = {}
        if self.serving.device != "cpu" and self.runtime.device_memory_bytes is not None:
            on_device = self.runtime.device_memory_bytes()
        return {"peak_bytes": peak_memory_bytes(), "device_bytes": dict(on_device)}

    def serve(self, condition: str, calls: int) -> Answer:
        """Write after so many batches of a condition untimed (a warm-up), then say what memory that took."""
        self.time(condition, calls)
        return self.memory()

    def grow(self, condition: str, new_tokens: int) -> Answer:
        """Write so many tokens after the first batch of a condition, then say what memory that took at its peak."""
        feeds = self._batches(condition)[0]
        check_room(self._model(), feeds["input_ids"].shape[1], new_tokens)
        forget_peak()  # that of loading may be greater, and would hide all that is written
        generate(self._model(), feeds, self.decoding, exactly=new_tokens)
        return self.memory()

    def time(self, condition: str, calls: int) -> Answer:
        """The seconds of each call of `generate()` and of its first token, and what was written after each distinct batch's
        first row, as last written. After prompts of fixed length so many tokens are written, after real ones up to the end."""
        batches, model = self._batches(condition), self._model()
        exactly = None if condition.endswith(REAL) else self.new_tokens
        if exactly is not None:
            check_room(model, batches[0]["input_ids"].shape[1], exactly)
        seconds, first, outputs = [], [], {}
        tokens = 0
        start = self.turns.get(condition, 0)
        for turn in range(start, start + calls):
            feeds, stamps = batches[turn % len(batches)], list[float]()
            began = time.perf_counter()
            written = generate(model, feeds, self.decoding, exactly=exactly, stamps=stamps)
            seconds.append(time.perf_counter() - began)
            first.append(stamps[0] - began)
            outputs[str(turn % len(batches))] = written[0].tolist()
            tokens += sum(len(row) for row in written)
        self.turns[condition] = (start + calls) % len(batches)
        self.come_to_rest()
        return {"seconds": seconds, "first": first, "outputs": outputs, "tokens": tokens}

    def generate(self, batch_size: int, to: str) -> Answer:
        """Write after every row of the split, into a file of token ids."""
        rows = inputs.open_rows(self.file)
        written: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(rows)
        for numbers in _by_length(rows, batch_size):
            found = generate(self._model(), rows.batch(numbers), self.decoding)
            for number, ids in zip(numbers, found, strict=True):
                written[number] = ids
            self.answer({"done": len(numbers)})
        _save(to, tokens=written)
        return {"rows": len(written)}

    def score(self, batch_size: int, to: str) -> Answer:
        """The log-probability of every label, and the token thought likeliest in its place, into a file."""
        texts, labels = inputs.open_rows(self.file, "texts", "rows"), inputs.open_rows(self.file, "labels")
        likelihoods: list[NDArray[Any]] = [np.empty(0)] * len(texts)
        predicted = list(likelihoods)
        longest = int(max(texts.lengths().max(), labels.lengths().max()))
        most = LOGITS // (longest * int(self._model().config.vocab_size))
        for numbers in _by_length(texts, max(1, min(batch_size, most))):
            wanted = labels.batch(numbers)["input_ids"]
            found, said = scores(self._model(), texts.batch(numbers), wanted)
            for line, number in enumerate(numbers):
                length = len(labels.columns["input_ids"][number])
                likelihoods[number], predicted[number] = found[line, :length], said[line, :length]
            self.answer({"done": len(numbers)})
        _save(to, log_likelihoods=likelihoods, predicted=predicted)
        return {"rows": len(texts)}

    def commands(self) -> dict[str, Callable[..., Answer]]:
        """What it can be asked, by name."""
        named = (self.load, self.serve, self.grow, self.time, self.generate, self.score)
        return {one.__name__: one for one in named}

    def _model(self) -> Any:
        if self.generator is None:
            raise CompressError("This worker has no model: load one first.")
        return self.generator

    def _batches(self, condition: str) -> list[dict[str, Any]]:
        if condition not in self.batches:
            self.batches[condition] = inputs.open_batches(self.file, condition)
        return self.batches[condition]


def labels(rows: list[NDArray[np.int64]]) -> Rows:
    """Labels as rows, padded with what is not counted."""
    return Rows({"input_ids": tuple(rows)}, {"input_ids": NO_LABEL})


def open_file(file: Path) -> dict[str, list[NDArray[Any]]]:
    """What `generate` or `score` wrote: a list of arrays, one a row, by name."""
    with np.load(file, allow_pickle=False) as stored:
        ends = np.cumsum(stored["lengths"])[:-1]
        return {name: np.split(stored[name], ends) for name in stored.files if name != "lengths"}


def _save(to: str, **columns: list[NDArray[Any]]) -> None:
    lengths = np.array([len(row) for row in next(iter(columns.values()))], np.int64)
    flat = {name: np.concatenate(rows) for name, rows in columns.items()}
    with Path(to).open("wb") as stream:
        np.savez(stream, lengths=lengths, **flat)  # type: ignore[arg-type]  # numpy's stub takes the keywords for its own option


def _by_length(rows: Rows, batch_size: int) -> Iterator[NDArray[np.int64]]:
    """The rows' numbers in batches of like length, the same at every call."""
    order = np.argsort(rows.lengths(), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _quiet() -> None:
    """transformers remarks on each call that a config says more of decoding than is used."""
    from transformers.utils import logging

    logging.set_verbosity_error()
