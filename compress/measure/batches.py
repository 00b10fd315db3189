"""The inputs of every worker: the whole evaluation split for quality, and the same batches for all timings."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.runtimes.rows import Rows

REAL = "real"
DISTINCT = 4
"""How many different batches a fixed length takes turns with, so that no cache holds a single one."""


@dataclass(frozen=True)
class Condition:
    """The condition of a timing: batch size and length."""

    batch: int
    """Examples at once, 1 or more."""
    length: int | str
    """Tokens in each, or `real`: examples of the evaluation split, padded to the longest of their batch."""
    calls: int
    """Timed calls in each round. At real lengths it is also how many different batches there are."""

    @property
    def key(self) -> str:
        """Its short name: `1xreal`, `32x64`."""
        return f"{self.batch}x{self.length}"


@dataclass(frozen=True)
class Inputs:
    """Encoded examples, and the batches of each condition by its key."""

    rows: Rows
    batches: Mapping[str, Sequence[Mapping[str, NDArray[np.int64]]]]
    numbers: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """At real lengths: the number of the first example of each batch, to compare a timed output with."""
    notes: tuple[str, ...] = ()
    """What a reader must know of the rows."""
    scored: Mapping[str, Rows] = field(default_factory=dict)
    """For a generator: `labels`, the tokens whose probability it is asked for, and `texts`, what it reads before each,
    where these are not `rows`."""


def prepare(rows: Rows, conditions: Sequence[Condition], *, seed: int, notes: tuple[str, ...] = ()) -> Inputs:
    """The batches of each condition, the same at every call with the same rows and seed.

    Args:
        rows: the encoded evaluation split, at least one example.
        conditions: what is to be timed.
        seed: for the choice of examples at real lengths.
        notes: what a reader must know of the rows.
    """
    batches, numbers = {}, {}
    for condition in conditions:
        if condition.length == REAL:
            chosen = np.random.default_rng(seed).permutation(len(rows))
            chosen = np.resize(chosen, (condition.calls, condition.batch))  # small splits are gone through again
            batches[condition.key] = [rows.batch(line) for line in chosen]
            numbers[condition.key] = [int(line[0]) for line in chosen]
        else:
            starts = [turn * len(rows) // DISTINCT for turn in range(DISTINCT)]
            batches[condition.key] = [rows.filled(condition.batch, int(condition.length), start) for start in starts]
    return Inputs(rows, batches, numbers, notes)


def save(inputs: Inputs, file: Path) -> None:
    """Write them as arrays that a worker reads with numpy alone."""
    together = {"rows": inputs.rows, **inputs.scored}
    flat = {f"{name}/{key}": value for name, rows in together.items() for key, value in rows.arrays().items()}
    for key, batches in inputs.batches.items():
        for position, feeds in enumerate(batches):
            flat |= {f"batch/{key}/{position}/{name}": value for name, value in feeds.items()}
    with file.open("wb") as stream:
        np.savez(stream, **flat)  # type: ignore[arg-type]  # numpy's stub takes the keywords for its own option


class Unnamed:
    """A file for `save` that has no name in any folder, so that it is gone with the last process that has it open."""

    def __init__(self) -> None:
        self._stream = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this

    @property
    def descriptor(self) -> int:
        """The file descriptor that a reading process must inherit."""
        return self._stream.fileno()

    @property
    def path(self) -> Path:
        """Its path, here and in a process that inherited it."""
        return Path(f"/dev/fd/{self.descriptor}")

    def close(self) -> None:
        """Let go of it."""
        self._stream.close()


def open_rows(file: Path, *names: str) -> Rows:
    """The rows that `save` wrote under the first of these names that there is; by default the evaluation split."""
    with np.load(file) as stored:
        name = next(one for one in names or ("rows",) if f"{one}/lengths" in stored.files)
        prefix = f"{name}/"
        return Rows.from_arrays(
            {key.removeprefix(prefix): stored[key] for key in stored.files if key.startswith(prefix)}
        )


def open_batches(file: Path, key: str) -> list[dict[str, NDArray[np.int64]]]:
    """The batches of one condition that `save` wrote, in order."""
    found: dict[int, dict[str, Any]] = {}
    with np.load(file) as stored:
        for name in stored.files:
            if name.startswith(f"batch/{key}/"):
                _, _, position, column = name.split("/", 3)
                found.setdefault(int(position), {})[column] = stored[name]
    return [found[position] for position in sorted(found)]
