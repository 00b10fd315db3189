"""A row of a file: its cells by name, or the defect that prevented reading them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEPTH = 6
"""No deeper are the fields of objects listed as columns; they are found at any depth."""
LISTED = 200
"""No more columns are listed."""
ABSENT: Any = object()


@dataclass(frozen=True)
class RawRow:
    """One row of a data file."""

    place: str
    cells: Mapping[str, Any] = field(default_factory=dict)
    defect: str = ""
    lines: Sequence[int] = ()
    """The line of each word, where a row is a sentence of several lines."""

    def cell(self, name: str) -> Any:
        """The cell of that name, also within objects and lists (see `within`); None where there is none."""
        value = within(self.cells, name)
        return None if value is ABSENT else value


def within(cells: Any, name: str) -> Any:
    """The value of a name: a cell, or a field of an object or an item of a list in it; `ABSENT` without one.

    >>> row = {"review": {"body": {"text": "fine"}, "tags": ["a", "b"]}, "a.b": 1}
    >>> within(row, "review.body.text"), within(row, "review.tags.1"), within(row, "a.b")
    ('fine', 'b', 1)
    """
    if isinstance(cells, Mapping):
        if name in cells:
            return cells[name]
        for at in (at for at, letter in enumerate(name) if letter == "."):
            if name[:at] in cells and (found := within(cells[name[:at]], name[at + 1 :])) is not ABSENT:
                return found
        return ABSENT
    if isinstance(cells, Sequence) and not isinstance(cells, str | bytes):
        first, dot, rest = name.partition(".")
        if not (first.isascii() and first.isdigit()) or len(first) > 9 or int(first) >= len(cells):
            return ABSENT
        return within(cells[int(first)], rest) if dot else cells[int(first)]
    return ABSENT


def column_names(cells: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of cells, and those of the fields of objects within them: `translation`, `translation.en`."""
    names = list(cells)
    for name, cell in cells.items():
        names.extend(f"{name}.{inner}" for inner in _fields(cell, DEPTH))
    return tuple(names[:LISTED])


def _fields(cell: Any, depth: int) -> Iterator[str]:
    if isinstance(cell, dict) and depth:
        for name, inner in cell.items():
            yield name
            yield from (f"{name}.{deeper}" for deeper in _fields(inner, depth - 1))
