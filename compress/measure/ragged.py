"""Stores rows of different lengths in a file: a worker's values for every token of a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save(to: str, **columns: list[NDArray[Any]]) -> None:
    """Write lists of arrays by name, one array per row; a row has the same length in all of them."""
    lengths = np.array([len(row) for row in next(iter(columns.values()))], np.int64)
    flat = {name: np.concatenate(rows) for name, rows in columns.items()}
    with Path(to).open("wb") as stream:
        np.savez(stream, lengths=lengths, **flat)  # type: ignore[arg-type]  # numpy's stub takes the keywords for its own option


def load(file: Path) -> dict[str, list[NDArray[Any]]]:
    """What `save` wrote."""
    with np.load(file, allow_pickle=False) as stored:
        ends = np.cumsum(stored["lengths"])[:-1]
        return {name: np.split(stored[name], ends) for name in stored.files if name != "lengths"}
