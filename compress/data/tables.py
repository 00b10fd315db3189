"""Reads tables in text files: cells separated by commas with optional quotes (CSV), or by tabs (TSV)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from compress.data import decoding
from compress.data.raw_row import RawRow
from compress.tasks.task import Source

CELL_CHARACTERS = 1 << 24
"""The most that one cell may hold. Python's own limit of 131,072 is less than some articles have."""
EMPTY_LINE = "an empty line"
"""The defect of a line without anything between others."""
SEPARATORS = {"csv": ",", "tsv": "\t"}
LONE_RETURN = re.compile(r"(?<=\r)(?!\n)")

TableLine = tuple[int, list[str], str]
"""Line number (the last one's, where a quoted cell spans several), cells, defect."""


def table_rows(path: Path, name: str, source: Source) -> Iterator[RawRow]:
    """The rows of a `csv` or a `tsv` file, without its header."""
    names = source.columns
    empty_lines: list[int] = []
    for number, cells, defect in table_lines(path, name, source):
        if not cells and not defect:
            empty_lines.append(number)  # harmless at the end of a file, a row gone missing before it
            continue
        yield from (RawRow(f"line {empty}", defect=EMPTY_LINE) for empty in empty_lines)
        empty_lines = []
        if names is None:
            names = tuple(cells)
            continue
        count, expected = len(cells), len(names)
        if not defect and not fits(count, expected, source):
            defect = f"{count} column{'s' * (count != 1)} where {expected} are expected"
        yield RawRow(f"line {number}", dict(zip(names, cells, strict=False)), defect)


def fits(count: int, expected: int, source: Source) -> bool:
    """Whether a row may have so many cells."""
    return count == expected or (source.may_have_more_columns and count > expected)


def table_lines(path: Path, name: str, source: Source) -> Iterator[TableLine]:
    """The header, where there is one, and the rows."""
    separator = source.separator or SEPARATORS[name]
    encloses = source.quoting == "csv" if source.quoting else name == "csv"
    lines = decoding.lines(path, source.encoding)
    return _quoted(lines, separator) if encloses else _split(lines, separator)


def _split(lines: Iterable[decoding.Line], separator: str) -> Iterator[TableLine]:
    """Cells between separators, nothing else: in GLUE's files a quote is text."""
    for number, line, defect in lines:
        text = line.removesuffix("\n").rstrip("\r")
        yield number, text.split(separator) if text else [], defect


def _quoted(lines: Iterable[decoding.Line], separator: str) -> Iterator[TableLine]:
    csv.field_size_limit(max(csv.field_size_limit(), CELL_CHARACTERS))
    defects: list[str] = []  # of the lines that make the row at hand

    def pieces() -> Iterator[str]:
        for _, line, defect in lines:
            if defect:
                defects.append(defect)
            yield from LONE_RETURN.split(line) if "\r" in line[:-2] else (line,)

    # Strict, since else a quote that is never closed makes one cell of all rows that follow, without a word.
    reader = csv.reader(pieces(), delimiter=separator, strict=True)
    while True:
        first = reader.line_num + 1
        defects.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield first, [], _mistake(str(error), first, reader.line_num)
            continue
        yield reader.line_num, cells, defects[0] if defects else ""


def _mistake(reason: str, first: int, last: int) -> str:
    until = f"; read on to line {last}" if last > first else ""
    if "end of data" in reason:
        return f"its quote is never closed{until}"
    if "field limit" in reason:
        return f"a cell of more than {CELL_CHARACTERS:,} characters, or a quote that is not closed{until}"
    return f"a quote within a cell that is not doubled{until}"
