"""The columns of a split's file besides texts and labels: a language, a product, a region. Results are shown by them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from compress.core.errors import CompressError, guess, listing
from compress.data.files import columns as columns_of
from compress.data.files import rows as rows_of
from compress.data.rows import LeftOut, examples
from compress.data.sources import origin
from compress.data.splits import Split
from compress.tasks.task import Task

MOST = 20
"""Columns with more different values are not taken by themselves: they are numbers, dates or identifiers."""


def further_columns(
    task: Task, data: str | Path | None, split: Split, wanted: Sequence[str] | None = None
) -> dict[str, list[str]]:
    """The values of columns, in the order of the split's rows; an empty one where a row has none.

    Args:
        task: what the rows are read as.
        data: the folder of its data. Rows of the hub, and generated ones, have no further columns here.
        split: the rows as they were loaded.
        wanted: the columns; all that have 2 to 20 different values where None.

    Raises:
        CompressError: a wanted column is not there, or has more than 20 different values.
    """
    place = origin(task, data, split.name)
    if place.file is None or task.generation is not None:
        if wanted:
            raise CompressError(
                f"The rows of task '{task.name}' have no further columns, so nothing can be shown by {listing(wanted)}. "
                "Leave `slices` out."
            )
        return {}
    path, source = place.file
    there = [name for name in columns_of(path, source) if name not in place.columns.needed and "." not in name]
    for name in wanted or ():
        if name not in there:
            raise CompressError(
                f"{path} has no further column '{name}'.{guess(name, there)} There are: {listing(there)}."
            )
    names = tuple(wanted) if wanted is not None else tuple(there)
    if not names:
        return {}
    known: dict[tuple[str, str], deque[tuple[str, ...]]] = {}
    for raw in rows_of(path, source, (*place.columns.needed, *names)):
        for one in examples([raw], task, place.columns, split.name == "test", LeftOut()):
            values = tuple(_value(raw.cell(name)) for name in names)
            known.setdefault((one.row_hash, _key(one.label)), deque()).append(values)
    found: list[tuple[str, ...]] = []
    labels = split.rows["label"] if split.is_labelled else [None] * len(split.rows)
    for row_hash, label in zip(split.rows["row_hash"], labels, strict=True):
        # Rows that are alike come in the order of the file, as the split has them.
        same = known.get((row_hash, _key(label)))
        found.append(same.popleft() if same else ("",) * len(names))
    return dict(_kept(names, found, path, is_chosen=wanted is not None))


def _kept(
    names: Sequence[str], rows: Sequence[tuple[str, ...]], path: Path, *, is_chosen: bool
) -> Iterator[tuple[str, list[str]]]:
    for place, name in enumerate(names):
        values = [row[place] for row in rows]
        different = len({*values} - {""})
        if different > MOST and is_chosen:
            raise CompressError(
                f"Column '{name}' of {path} has {different:,} different values, and results are shown by at most {MOST}. "
                "Name a column of groups."
            )
        if is_chosen or 2 <= different <= MOST:
            yield name, values


def _value(cell: object) -> str:
    """A text, number or truth value; anything else is no group."""
    return str(cell).strip() if isinstance(cell, str | int | float | bool) else ""


def _key(label: object) -> str:
    """Equal for a label as it was read and as Arrow keeps it."""
    if isinstance(label, list | tuple):
        return str([float(one) for one in label])
    return str(float(label)) if isinstance(label, int | float) else str(label)
