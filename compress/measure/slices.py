"""Which slice of the evaluation rows each example belongs to: by label, by length, and by further columns of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from compress.core.errors import CompressError
from compress.data.further_columns import further_columns
from compress.data.loading import Split
from compress.tasks.task import Task

LABEL, LENGTH = "label", "length"
BELONGS_TO_NONE = -1


def slices(
    task: Task, data: str | None, split: Split, references: Any, columns: Sequence[str] | None
) -> dict[str, dict[str, Any]]:
    """The names of slices, and which one each row is in: `{"length": {"names": ["1 to 7 words", ...], "rows": [0, 3, ...]}}`.

    A row that is in none has -1.

    Args:
        task: whose labels name slices, where each example has one class.
        data: the folder of its data.
        split: the rows.
        references: the labels as metrics take them; empty where they are hidden.
        columns: further columns of the data; every one with 2 to 20 different values where None.

    Raises:
        CompressError: a column that was named is not there, or has too many values.
    """
    if not task.of_kind.has_references:
        return {}  # what is scored are windows or documents, and not rows
    found = dict(_by_label_and_length(task, split, references))
    try:
        further = further_columns(task, data, split, columns)
    except CompressError:
        if columns:
            raise
        further = {}  # the rows are in a cache, and the file that they came from is gone
    of_label = found.get(LABEL, {}).get("rows")
    for name, values in further.items():
        names = sorted({*values} - {""})
        rows = [names.index(one) if one else BELONGS_TO_NONE for one in values]
        if columns is not None or of_label is None or not _is_same(rows, of_label):
            found[name if name not in found else f"column {name}"] = {"names": names, "rows": rows}
    return found


def _by_label_and_length(task: Task, split: Split, references: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if task.label_names and isinstance(references, np.ndarray) and references.ndim == 1:
        yield LABEL, {"names": list(task.label_names), "rows": [int(one) for one in references]}
    lengths = np.array([_words(row) for row in zip(*_texts(split), strict=True)])
    # Whole numbers of words: where many rows are equally long there are fewer than four slices.
    edges = sorted(
        {int(edge) for edge in np.quantile(lengths, [0.25, 0.5, 0.75], method="lower")} - {int(lengths.max())}
    )
    if edges:
        starts = [int(lengths.min()), *(edge + 1 for edge in edges)]
        ends = [*edges, int(lengths.max())]
        names = [
            f"{first:,} to {last:,} words" if first < last else f"{first:,} words"
            for first, last in zip(starts, ends, strict=True)
        ]
        yield LENGTH, {"names": names, "rows": [int(one) for one in np.searchsorted(edges, lengths)]}


def _texts(split: Split) -> list[Sequence[Any]]:
    return [split.rows[name][:] for name in ("text", "text_pair") if name in split.rows.column_names]


def _words(texts: Sequence[Any]) -> int:
    """Of all texts of a row; a text that is a list of words has as many."""
    return sum(len(one.split()) if isinstance(one, str) else len(one) for one in texts)


def _is_same(rows: Sequence[int], others: Sequence[int]) -> bool:
    """Whether two columns part the rows alike: one repeats the other in its own words."""
    pairs = set(zip(rows, others, strict=True))
    return len(pairs) == len(set(rows)) == len(set(others))
