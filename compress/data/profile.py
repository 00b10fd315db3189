"""Looks at a file of rows: its format, separator, encoding and columns, what each column holds, and duplicates."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from compress.core.errors import CompressError
from compress.data import decoding, files
from compress.data.quotes import quoting
from compress.data.raw_row import RawRow
from compress.tasks.kinds.guess import Column
from compress.tasks.task import Source

SEPARATORS = (",", ";", "\t", "|")
LOOKED_AT = 200
"""Lines in which the separator is looked for."""
VALUES = 100
"""The most different values of a column that are counted one by one."""
FALLBACK = "windows-1252"
"""What text that is not UTF-8 most often is."""


@dataclass(frozen=True)
class Profile:
    """What a file holds."""

    path: Path
    source: Source
    """Its format, separator, encoding and quoting."""
    columns: tuple[Column, ...]
    rows: int
    """Rows that can be read; lines of a text file."""
    defects: int
    """Rows that cannot be read."""

    def texts(self, names: Sequence[str], most: int | None = None) -> Iterator[tuple[str, ...]]:
        """The cells of these columns, of each row that can be read."""
        good = (row for row in self.read() if not row.defect)
        for row in islice(good, most):
            yield tuple(_spelled(row.cell(name)) for name in names)

    def read(self) -> Iterator[RawRow]:
        """All rows."""
        return files.rows(self.path, self.source)


def profile(path: Path, *, of_words: bool = False, is_text: bool | None = None) -> Profile:
    """Read a file once and say what it holds.

    Args:
        of_words: its rows are lists of words (CoNLL), where its name may mean that or a table.
        is_text: it is running text; None: a `.txt` file without a table in it is.

    Raises:
        CompressError: the file is not there, empty, or of no format that is read.
    """
    if not path.is_file():
        raise CompressError(f"There is no file {path}. Check the path.")
    source = _source(path, of_words, is_text)
    names = files.columns(path, source)
    values: dict[str, Counter[str]] = {name: Counter() for name in names}
    seen: dict[str, set[int]] = {name: set() for name in names}
    filled: Counter[str] = Counter()
    words: Counter[str] = Counter()
    shapes: dict[str, set[str]] = {name: set() for name in names}
    rows = defects = 0
    for row in files.rows(path, source):
        if row.defect:
            defects += 1
            continue
        rows += 1
        for name in names:
            cell = row.cell(name)
            if cell is None or cell == "" or isinstance(cell, dict):
                continue
            filled[name] += 1
            items = cell if isinstance(cell, list | tuple) else [cell]
            shapes[name].add("list" if items is cell else "number" if _is_number(cell) else "text")
            words[name] += len(items) if items is cell else len(str(cell).split())
            seen[name].update(hash(str(item)) for item in items)
            if len(values[name]) <= VALUES:
                values[name].update(str(item).strip() for item in items)
    if not rows:
        raise CompressError(f"{path} has no rows that can be read. {files.first_defect(path, source)}".strip())
    columns = tuple(
        Column(
            name=name,
            holds=_holds(shapes[name]),
            filled=filled[name],
            distinct=len(seen[name]),
            words=words[name] / filled[name],
            counts=dict(values[name]) if len(values[name]) <= VALUES else {},
        )
        for name in names
        if filled[name]
    )
    return Profile(path, source, columns, rows, defects)


def _holds(shapes: set[str]) -> Literal["text", "number", "list"]:
    return "list" if shapes == {"list"} else "number" if shapes == {"number"} else "text"


def _source(path: Path, of_words: bool, is_text: bool | None) -> Source:
    suffix = path.suffix.lower()
    encoding = _encoding(path) if suffix != ".parquet" else ""
    if (of_words and suffix in files.OF_WORDS) or (suffix not in files.FORMATS and suffix in files.OF_WORDS):
        return Source(path.name, files.OF_WORDS[suffix], encoding=encoding)
    separator = _separator(path, encoding) if files.FORMATS.get(suffix) in ("csv", "tsv") else ""
    if suffix == ".txt" and is_text is not False and separator != "\t":
        return Source(path.name, files.TEXT, text=(files.TEXT,), encoding=encoding)
    if suffix not in files.FORMATS:
        raise CompressError(f"{path}: files that end in '{suffix}' are not read. Use one of {' '.join(files.FORMATS)}.")
    name = files.FORMATS[suffix]
    usual = {"csv": ",", "tsv": "\t"}.get(name, "")
    source = Source(path.name, name, separator="" if separator == usual else separator, encoding=encoding)
    return replace(source, quoting=quoting(path, source, of_known_layout=False)) if name == "tsv" else source


def _encoding(path: Path) -> str:
    """Empty for UTF-8 and for a byte order mark."""
    name = decoding.encoding(path, "")
    if name != "utf-8" or not any(line.defect for line in decoding.lines(path)):
        return ""
    return FALLBACK


def _separator(path: Path, encoding: str) -> str:
    """The separator that gives the most columns in every line; empty where none gives two."""
    lines = [line.text for line in islice(decoding.lines(path, encoding), LOOKED_AT)]
    best, most = "", 1
    for separator in SEPARATORS:
        try:
            counts = Counter(len(cells) for cells in csv.reader(lines, delimiter=separator) if cells)
        except csv.Error:
            continue
        (columns, times), *_ = counts.most_common(1) or [(1, 0)]
        first = next(csv.reader(lines[:1], delimiter=separator), [])
        if len(first) == columns > most and times >= 0.9 * sum(counts.values()):
            best, most = separator, columns
    return best


def _is_number(cell: Any) -> bool:
    if isinstance(cell, bool):
        return False
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _spelled(cell: Any) -> str:
    return " ".join(map(str, cell)) if isinstance(cell, list | tuple) else "" if cell is None else str(cell)
