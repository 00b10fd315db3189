"""Reads the rows of a data file one by one, each with its position: TSV, CSV, JSONL, JSON, Parquet, CoNLL, text lines.

Memory does not grow with the file. A row that is not one (wrong number of columns, not an object) comes as a row with a defect,
so that the caller can count such rows and name their lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from compress.core.errors import CompressError
from compress.data import conll, decoding, json_rows, parquet_rows, tables
from compress.data.raw_row import ABSENT, LISTED, RawRow, column_names, within
from compress.data.tables import EMPTY_LINE
from compress.tasks.task import Source

__all__ = [
    "EMPTY_LINE",
    "FORMATS",
    "OF_WORDS",
    "TEXT",
    "RawRow",
    "column_names",
    "columns",
    "first_defect",
    "format_of",
    "holds",
    "rows",
]

FORMATS = {
    ".tsv": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
OF_WORDS = {
    **dict.fromkeys((*conll.ENDINGS, ".txt", ".tsv"), "conll"),
    **{ending: name for ending, name in FORMATS.items() if name in ("jsonl", "json", "parquet")},
}
"""The formats of files whose rows are lists of words."""
TEXT = "text"
"""What the one column of a file of the format `text` is called."""
LOOKED_AT = 100
"""Rows of JSON objects whose fields are taken for the file's columns: not each row has every field."""


def format_of(path: Path, source: Source) -> str:
    """`tsv`, `csv`, `jsonl`, `json` or `parquet` by the source or the file's name; `conll` and `text` by the source alone."""
    found = source.format or FORMATS.get(path.suffix.lower(), "")
    if not found:
        raise CompressError(
            f"{path}: the format of '{path.suffix}' files is not known. Use one of {' '.join(FORMATS)}."
        )
    return found


def columns(path: Path, source: Source) -> tuple[str, ...]:
    """The names of the file's columns; of the first rows', where rows are JSON objects. Empty for an empty file.

    The fields of a column that is an object itself are columns as well: `translation.en`. No more than 200 are named.
    """
    with _readable(path):
        match format_of(path, source):
            case "parquet":
                return parquet_rows.parquet_columns(path)
            case "text":
                return (TEXT,)
            case "conll":
                return conll.conll_columns(path, source)
            case "tsv" | "csv" as name:
                _, cells, defect = next(tables.table_lines(path, name, source), (1, [], ""))
                if defect:
                    raise CompressError(f"{path} line 1 is {defect}. {decoding.hint(source.encoding or 'utf-8')}")
                if source.columns is None:
                    return tuple(cells)
                return source.columns if tables.fits(len(cells), len(source.columns), source) else ()
            case _:
                names = dict.fromkeys(name for row in _first_rows(path, source) for name in column_names(row.cells))
                return tuple(names)[:LISTED]
    return ()


def holds(path: Path, source: Source, name: str) -> bool:
    """Whether the file has that column, or such a field within one."""
    with _readable(path):
        match format_of(path, source):
            case "parquet":
                return parquet_rows.parquet_holds(path, name)
            case "json" | "jsonl":
                return any(within(row.cells, name) is not ABSENT for row in _first_rows(path, source))
            case _:
                return name in columns(path, source)
    return False


def first_defect(path: Path, source: Source) -> str:
    """`line 1 is not JSON: ...` of the first row that cannot be read; empty where the first row can."""
    row = next(rows(path, source), None)
    if row is None or not row.defect:
        return ""
    return f"{row.place} is {row.defect}" if row.defect.startswith("not ") else f"{row.place}: {row.defect}"


def rows(path: Path, source: Source, wanted: Sequence[str] = ()) -> Iterator[RawRow]:
    """The file's rows in order.

    Args:
        wanted: the columns that will be looked at; others may be left out.

    Raises:
        CompressError: the file as a whole cannot be read.
    """
    with _readable(path):
        match format_of(path, source):
            case "parquet":
                yield from parquet_rows.parquet_rows(path, wanted)
            case "text":
                yield from _text_lines(path, source)
            case "conll":
                yield from conll.conll_rows(path, source)
            case "tsv" | "csv" as name:
                yield from tables.table_rows(path, name, source)
            case "jsonl":
                yield from json_rows.json_lines(path, source.encoding)
            case _:
                yield from json_rows.json_objects(path, source.encoding)


def _first_rows(path: Path, source: Source) -> Iterator[RawRow]:
    return islice((row for row in rows(path, source) if not row.defect), LOOKED_AT)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CompressError(f"{path} cannot be read ({error.strerror or error}).") from error


def _text_lines(path: Path, source: Source) -> Iterator[RawRow]:
    """Each line with its line feed: joined, they are the text. A carriage return before it is left out."""
    for number, line, defect in decoding.lines(path, source.encoding):
        yield RawRow(f"line {number}", {} if defect else {TEXT: line.replace("\r\n", "\n")}, defect)
