"""Rows of a data file, one after another, each with the place where it stands: TSV, CSV, JSONL, JSON, Parquet, lines of text.

Memory does not grow with the file. A row that is not one (wrong number of columns, not an object) comes as a row with a defect,
so that the caller can count such rows and name their lines.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.errors import CompressError
from compress.tasks.task import Source

FORMATS = {
    ".tsv": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
CHUNK_CHARACTERS = 1 << 16
CELL_CHARACTERS = 1 << 24
"""The most that one cell of a CSV file may hold. Python's own limit of 131,072 is less than some articles have."""
TEXT = "text"
"""What the one column of a file of the format `text` is called."""
EMPTY_LINE = "an empty line"
"""The defect of a line without anything between others."""


@dataclass(frozen=True)
class RawRow:
    """One row as it stands in its file: its cells by column name, or the defect that kept them from being read."""

    place: str
    cells: Mapping[str, Any] = field(default_factory=dict)
    defect: str = ""


def format_of(path: Path, source: Source) -> str:
    """`tsv`, `csv`, `jsonl`, `json` or `parquet` by the source or the file's name; `text` by the source alone."""
    found = source.format or FORMATS.get(path.suffix.lower(), "")
    if not found:
        raise CompressError(
            f"{path}: the format of '{path.suffix}' files is not known. Use one of {' '.join(FORMATS)}."
        )
    return found


def columns(path: Path, source: Source) -> tuple[str, ...]:
    """The names of the file's columns; of the first row's, where rows are JSON objects. Empty for an empty file.

    The fields of a column that is an object itself are columns as well: `translation.en`.
    """
    with _readable(path):
        match format_of(path, source):
            case "parquet":
                return _parquet_columns(path)
            case "text":
                return (TEXT,)
            case "tsv" | "csv" as name:
                cells = next((cells for _, cells, _ in _table(path, name)), [])
                if source.columns is None:
                    return tuple(cells)
                return source.columns if _fits(len(cells), len(source.columns), source) else ()
            case _:
                return tuple(next((row for row in rows(path, source) if not row.defect), RawRow("")).cells)
    return ()


def rows(path: Path, source: Source) -> Iterator[RawRow]:
    """The file's rows in order. CompressError where the file as a whole cannot be read."""
    with _readable(path):
        match format_of(path, source):
            case "parquet":
                yield from _parquet_rows(path)
            case "text":
                yield from _text_lines(path)
            case "tsv" | "csv" as name:
                yield from _table_rows(_table(path, name), source)
            case "jsonl":
                yield from _json_lines(path)
            case _:
                yield from _json_objects(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise CompressError(f"{path} is not UTF-8 text ({error.reason}). Convert it, with `iconv` say.") from error
    except (csv.Error, OSError) as error:
        raise CompressError(f"{path} cannot be read ({error}).") from error


def _fits(count: int, expected: int, source: Source) -> bool:
    return count == expected or (source.may_have_more_columns and count > expected)


def _table(path: Path, name: str) -> Iterator[tuple[int, list[str], str]]:
    """Line number, cells and defect of each line; the last line of a row, where a quoted cell spans several."""
    return _quoted(path) if name == "csv" else _tab_separated(path)


def _quoted(path: Path) -> Iterator[tuple[int, list[str], str]]:
    csv.field_size_limit(max(csv.field_size_limit(), CELL_CHARACTERS))
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for cells in reader:
            yield reader.line_num, cells, ""


def _tab_separated(path: Path) -> Iterator[tuple[int, list[str], str]]:
    """Cells between tabs, nothing else: in GLUE's files a quote is text. Only a line feed ends a line, since texts hold
    other characters that Python's `splitlines` would split at."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield number, [], f"not UTF-8 text, byte {error.start + 1}"
                continue
            text = text.removesuffix("\n").rstrip("\r")
            yield number, text.split("\t") if text else [], ""


def _table_rows(lines: Iterable[tuple[int, list[str], str]], source: Source) -> Iterator[RawRow]:
    names = source.columns
    empty_lines: list[int] = []
    for number, cells, defect in lines:
        if not cells and not defect:
            empty_lines.append(number)  # harmless at the end of a file, a row gone missing before it
            continue
        yield from (RawRow(f"line {empty}", defect=EMPTY_LINE) for empty in empty_lines)
        empty_lines = []
        if names is None:
            names = tuple(cells)
            continue
        count, expected = len(cells), len(names)
        if not defect and not _fits(count, expected, source):
            defect = f"{count} column{'s' * (count != 1)} where {expected} are expected"
        yield RawRow(f"line {number}", dict(zip(names, cells, strict=False)), defect)


def _json_lines(path: Path) -> Iterator[RawRow]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                yield RawRow(f"line {number}", defect=f"not JSON: {error.msg}")
                continue
            yield _object(f"line {number}", value)


def _json_objects(path: Path) -> Iterator[RawRow]:
    """The objects of one JSON list, decoded one at a time, so that the list is never in memory as a whole."""
    decoder, number = json.JSONDecoder(), 0
    with path.open(encoding="utf-8-sig") as file:
        text = file.read(CHUNK_CHARACTERS).lstrip()
        if not text.startswith("["):
            if text.startswith("{"):
                yield from _json_lines(path)  # JSON lines under the name .json are common
                return
            raise CompressError(f"{path} is not a JSON list of objects, nor one JSON object per line.")
        text = text[1:]
        while True:
            text = text.lstrip().removeprefix(",").lstrip()
            if text.startswith("]"):
                return
            try:
                value, end = decoder.raw_decode(text)
            except json.JSONDecodeError as error:
                more = file.read(max(CHUNK_CHARACTERS, len(text)))  # at least doubled: a long object costs no square
                if not more:
                    raise CompressError(f"{path} is broken JSON after row {number}: {error.msg}.") from error
                text += more
                continue
            number += 1
            yield _object(f"row {number}", value)
            text = text[end:]


def _object(place: str, value: Any) -> RawRow:
    return RawRow(place, flat(value)) if isinstance(value, dict) else RawRow(place, defect="not a JSON object")


def flat(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cells, and the fields of those that are objects: translations often come as `{"translation": {"en": ...}}`."""
    inner = {
        f"{name}.{field}": value
        for name, cell in cells.items()
        if isinstance(cell, dict)
        for field, value in cell.items()
    }
    return {**cells, **inner} if inner else cells


def _text_lines(path: Path) -> Iterator[RawRow]:
    """Each line with its line feed: joined, they are the text. A carriage return before it is left out."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield RawRow(f"line {number}", defect=f"not UTF-8 text, byte {error.start + 1}")
                continue
            yield RawRow(f"line {number}", {TEXT: text.replace("\r\n", "\n")})


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    number = 0
    for batch in _parquet(path).iter_batches(batch_size=1000):
        for cells in batch.to_pylist():
            number += 1
            yield RawRow(f"row {number}", flat(cells))


def _parquet_columns(path: Path) -> tuple[str, ...]:
    from pyarrow.types import is_struct

    schema = _parquet(path).schema_arrow
    inner = (f"{column.name}.{field.name}" for column in schema if is_struct(column.type) for field in column.type)
    return (*schema.names, *inner)


def _parquet(path: Path) -> Any:
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (ArrowInvalid, OSError) as error:
        raise CompressError(f"{path} is not a Parquet file ({error}).") from error
