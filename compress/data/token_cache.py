"""Caches token ids in memory-mapped Arrow files, named by a hash of everything that determines them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.data.splits import ROWS, arrow_rows, default_cache

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 1000
VERSION = 1
IDS = "ids"
"""A column of one list of token ids a row; other columns are of a type that `datasets` names."""

Batches = Callable[[dict[str, int]], Iterator[Mapping[str, Sequence[Any]]]]
"""Gives the rows batch by batch, as columns, and counts what it finds in the dictionary."""


def kept(
    decided_by: Sequence[Any], columns: Mapping[str, str], batches: Batches, cache: Path | None
) -> tuple[Dataset, dict[str, int]]:
    """The rows that `batches` gives, made once for all that decides them, and its counts.

    Args:
        decided_by: what the rows depend on, as JSON values.
        columns: name -> `ids` or a type's name.
        batches: makes the rows.
        cache: the folder to keep them in, `default_cache()` when None.

    Raises:
        CompressError: there are no rows, or they cannot be kept.
    """
    key = hashlib.sha256(json.dumps([VERSION, *decided_by], sort_keys=True).encode()).hexdigest()[:32]
    found = entry(
        (cache or default_cache()) / "generation" / key, lambda folder: _write(folder / ROWS, columns, batches)
    )
    return arrow_rows(found.folder / ROWS, key), dict(found.facts)


def _write(path: Path, columns: Mapping[str, str], batches: Batches) -> dict[str, int]:
    from datasets import Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    types = {name: List(Value("int32")) if kind == IDS else Value(kind) for name, kind in columns.items()}
    counts: dict[str, int] = {}
    rows = 0
    writer = ArrowWriter(features=Features(types), path=str(path), writer_batch_size=BATCH)
    try:
        for batch in batches(counts):
            found = {name: batch[name] for name in columns}
            if len(found[next(iter(columns))]):
                writer.write_batch(found)
                rows += len(found[next(iter(columns))])
        if not rows:
            raise CompressError("There are no rows to tokenize.")
        writer.finalize()
    finally:
        writer.close()
    return counts
