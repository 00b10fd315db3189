"""What a model gives for all rows, computed once in batches of like length, and written to arrays on disk as it comes.

A teacher's outputs and the states of a frozen encoder are kept so. A long run can be stopped: it goes on behind the last part
that was written through.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import write_whole
from compress.core.disk import allocated, take_room
from compress.core.progress import bar

WRITE_SECONDS = 20.0
"""How often what was computed is written through, so that it need not be computed again."""
PARTS = "parts.json"
"""Beside arrays that are being written: how far they are, and the hash of each part."""


@dataclass
class Table:
    """An array on disk that has some lines for each row: one for each of its tokens or answers."""

    file: Path
    starts: np.ndarray
    """Where each row's lines begin, and the end of the last one's, [rows + 1]."""
    dtype: Any = np.float16
    values: Any = None
    """[lines, ...], memory-mapped; None until something is written."""

    def lines(self, places: Iterable[int]) -> np.ndarray:
        """The lines of some rows, one row's after the other's."""
        return np.concatenate([np.arange(self.starts[place], self.starts[place + 1]) for place in places])

    def write(self, places: Sequence[int], found: np.ndarray) -> None:
        """Put what was computed for some rows, [their lines, ...], in its place."""
        if self.values is None:
            self.values = allocated(self.file, self.dtype, (int(self.starts[-1]), *found.shape[1:]))
        self.values[self.lines(places)] = found


def write_outputs(
    model: Any,
    batches: Sequence[list[int]],
    batch_of: Callable[[list[int]], Mapping[str, Any]],
    ask: Callable[[Mapping[str, Any]], Mapping[str, np.ndarray]],
    tables: Mapping[str, Table],
    *,
    name: str,
    bf16: bool,
    resumes: Path | None = None,
) -> float:
    """Ask a model for the outputs of all rows, and write them.

    Args:
        model: is moved to the GPU, where there is one.
        batches: the places of each batch's rows.
        batch_of: makes a batch of them.
        ask: (the batch, on the model's device) -> what is written into each table, its rows' lines.
        name: for the bar of progress.
        bf16: whether under bf16 autocast.
        resumes: the folder of the tables, where a stopped run goes on.

    Returns:
        The seconds that it took, those of a stopped run's parts as well.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    parts = _resumed(resumes, tables, batches) if resumes else []
    done, before = (parts[-1]["batches"], parts[-1]["seconds"]) if parts else (0, 0.0)
    fresh: list[list[int]] = []
    began = written = time.perf_counter()

    def seconds() -> float:
        return round(float(before) + time.perf_counter() - began, 3)

    with (
        torch.inference_mode(),
        torch.autocast(device, torch.bfloat16, enabled=bf16),
        bar(name, sum(map(len, batches)), sum(map(len, batches[:done]))) as running,
    ):
        for number, places in enumerate(batches[done:], done + 1):
            found = ask({key: value.to(device) for key, value in batch_of(places).items()})
            for key, table in tables.items():
                table.write(places, found[key])
            fresh.append(places)
            running.advance(len(places))
            if resumes and time.perf_counter() - written > WRITE_SECONDS:
                _flush(tables)
                parts.append({"batches": number, "seconds": seconds(), "hash": _hash(tables, fresh)})
                write_whole(resumes / PARTS, json.dumps(parts))
                fresh, written = [], time.perf_counter()
    _flush(tables)
    if resumes:
        (resumes / PARTS).unlink(missing_ok=True)
    return seconds()


def _flush(tables: Mapping[str, Table]) -> None:
    for table in tables.values():
        if table.values is not None:
            table.values.flush()


def _resumed(folder: Path, tables: Mapping[str, Table], batches: Sequence[list[int]]) -> list[dict[str, Any]]:
    """Open the tables that a stopped run left; its first parts that are as they were written, none where it left none."""
    whole: list[dict[str, Any]] = []
    try:
        parts = json.loads((folder / PARTS).read_text(encoding="utf-8"))
        for table in tables.values():
            values = np.load(table.file, mmap_mode="r+", allow_pickle=False)
            if len(values) != table.starts[-1] or values.dtype != table.dtype:
                raise ValueError(f"{table.file} is another table")
            table.values = values
            take_room(table.file)  # a file that was cut short is as long again, but with a hole
        for part in parts:
            done = whole[-1]["batches"] if whole else 0
            if part["hash"] != _hash(tables, batches[done : part["batches"]]):
                break
            whole.append(part)
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        for table in tables.values():
            table.values = None
        return []
    return whole


def _hash(tables: Mapping[str, Table], batches: Sequence[list[int]]) -> str:
    """Of what the tables have of some batches."""
    found = hashlib.sha256()
    for places in batches:
        for name in sorted(tables):
            found.update(tables[name].values[tables[name].lines(places)].tobytes())
    return found.hexdigest()
