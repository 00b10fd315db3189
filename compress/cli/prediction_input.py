"""Reads the texts for `compress predict` from a file or standard input, line by line as they come.

A line is a text; for a model of pairs it is two texts with a tab between them. Files may be TSV, CSV, JSON lines or CoNLL.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, cast

from compress.core.errors import CompressError
from compress.data import conll
from compress.data.conll import WORDS, conll_rows
from compress.data.raw_row import ABSENT, RawRow, within
from compress.runtimes.predict import BATCH, Text, check_text
from compress.tasks.task import Source

Format = Literal["text", "tsv", "csv", "jsonl", "conll"]
ENDINGS: dict[str, Format] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    **dict.fromkeys(conll.ENDINGS, "conll"),
}
OTHERS = (*(".json", ".parquet", ".arrow", ".xlsx", ".xls", ".docx", ".pdf"), *(".gz", ".zip", ".bz2", ".xz", ".zst"))
"""Endings of files whose lines are no texts."""
CHUNK = 1 << 16
SEPARATORS = ";\t|,"
"""Other separators of column names, which are reported."""
SECOND = ("text_pair", "pair", "text2")
"""What the column of a second text may be called, beside the name that the task gives it."""


@dataclass(frozen=True)
class Line:
    """A line of the input; `text` is None where it has none, and no answer."""

    number: int
    text: Text | None


@dataclass(frozen=True)
class Layout:
    """How lines become texts."""

    name: str
    """Of the file, for messages."""
    format: Format
    is_pair: bool | None
    """Whether the model reads two texts; None if unknown, then the first line decides."""
    columns: Sequence[str] = ()
    """The task's names of the texts."""
    separator: str = ""
    """Of a table's cells, as the task says; empty: a comma in CSV, a tab else."""
    encoding: str = "utf-8"

    def names(self) -> list[tuple[str, ...]]:
        """The names by which each text's column is known."""
        first, second = [*self.columns, "", ""][:2]
        return [(first, "text"), (second, *SECOND)]


def format_of(file: Path) -> Format:
    """By the ending of its name; plain text where it says nothing.

    Raises:
        CompressError: files of that ending hold no lines of text.
    """
    if file.suffix.lower() in OTHERS:
        raise CompressError(
            f"{file}: '{file.suffix}' files are not supported. Use .txt (one text per line), .tsv, .csv or .jsonl; "
            "for another extension set --format."
        )
    return ENDINGS.get(file.suffix.lower(), "text")


def sentences(file: Path, layout: Layout) -> Iterator[list[Line]]:
    """The sentences of a CoNLL file, each as one text with a blank between words, in groups of 32 at most.

    Raises:
        CompressError: the file is damaged; it names the line.
    """
    source = Source(file.name, "conll", separator=layout.separator, encoding=layout.encoding)
    found = (_sentence(row, layout) for row in conll_rows(file, source))
    while some := list(islice(found, BATCH)):
        yield some


def _sentence(row: RawRow, layout: Layout) -> Line:
    if row.defect:
        raise CompressError(f"{layout.name} {row.place}: {row.defect}.")
    column = next((name for name in layout.columns if name in row.cells), WORDS)
    return _line(row.lines[0], " ".join(row.cells[column]), layout)


def read(stream: IO[bytes], layout: Layout) -> Iterator[list[Line]]:
    """The lines in groups of 32 at most, each as soon as it is there: at a pipe an answer does not wait for the next line.

    Raises:
        CompressError: a line is not UTF-8, is no JSON, or has more or fewer texts than the model reads; it names the line.
    """
    if layout.format == "csv":
        lines = (line for group in _decoded(stream, layout) for line in group)
        records = _tabular(_records(lines, layout), layout)
        while some := list(islice(records, BATCH)):
            yield some
        return
    if layout.format == "text" and not layout.is_pair:
        for group in _decoded(stream, layout):
            yield [_line(number, text, layout) for number, text in group]
    elif layout.format == "jsonl":
        for group in _decoded(stream, layout):
            yield [_line(number, _from_json(number, text, layout), layout) for number, text in group]
    else:
        table = _Table(layout)
        tab = (layout.separator if layout.format == "tsv" else "") or "\t"
        for group in _decoded(stream, layout):
            cells = [(number, text.split(tab) if text.strip() else []) for number, text in group]
            if some := list(table.lines(cells)):
                yield some


def _decoded(stream: IO[bytes], layout: Layout) -> Iterator[list[tuple[int, str]]]:
    """Numbered lines without their ends (`\\n` or `\\r\\n`), in groups as they arrive."""
    begun: list[bytes] = []  # of a line whose end has not come yet
    number = 0
    while chunk := cast(BufferedIOBase, stream).read1(CHUNK):
        begun.append(chunk)
        if b"\n" not in chunk:
            continue
        *whole, rest = b"".join(begun).split(b"\n")
        begun = [rest]
        for start in range(0, len(whole), BATCH):
            group = []
            for raw in whole[start : start + BATCH]:
                number += 1
                try:
                    group.append((number, _text(raw, number, layout)))
                except CompressError:
                    if group:
                        yield group
                    raise
            yield group
    if rest := b"".join(begun):
        yield [(number + 1, _text(rest, number + 1, layout))]


def _text(raw: bytes, number: int, layout: Layout) -> str:
    raw = raw.removesuffix(b"\r")
    has_mark = number == 1 and raw.startswith(codecs.BOM_UTF8)
    codec = "utf-8-sig" if has_mark else layout.encoding
    where = f"Line {number} of {layout.name}"
    if number == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CompressError(f"{where} is UTF-16. Convert the file first: `iconv -f UTF-16 -t UTF-8`.")
    if b"\0" in raw:
        raise CompressError(
            f"{where} has null bytes: it is UTF-16, or not text. Convert it first, for example with `iconv -f UTF-16LE -t UTF-8`."
        )
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        name = layout.encoding.upper()
        other = "WINDOWS-1252" if name == "UTF-8" else "CODE"
        raise CompressError(
            f"{where} is not {name}: byte {raw[error.start]:#04x} at position {error.start + 1}. Convert it first, for example "
            f"with `iconv -f {other} -t UTF-8`."
        ) from error


def _line(number: int, text: Text | None, layout: Layout) -> Line:
    parts = (text,) if isinstance(text, str) else text or ("",)
    if not all(part.strip() for part in parts):
        return Line(number, None)
    assert text is not None
    try:
        check_text(text)
    except CompressError as error:
        raise CompressError(f"{layout.name} line {number}: {error}") from error
    return Line(number, text)


def _from_json(number: int, text: str, layout: Layout) -> Text | None:
    if not text.strip():
        return None
    where = f"{layout.name} line {number}"
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:120]
        raise CompressError(f"{where} is not JSON ({reason}). Each line is an object with a `text`.") from error
    found: list[str] = []
    for names in layout.names():
        cells = row if isinstance(row, dict) else {}
        key = next((name for name in names if name and within(cells, name) is not ABSENT), None)
        if key is None:
            continue
        text = within(cells, key)
        if isinstance(text, list) and all(isinstance(word, str) for word in text):
            text = " ".join(text)  # the words of a sentence
        if not isinstance(text, str):
            raise CompressError(f"{where}: `{key}` is not text. Put it in quotes.")
        found.append(text)
    return _counted(found, where, layout, "an object with `text`" + (" and `text_pair`" if layout.is_pair else ""))


def _counted(found: Sequence[str], where: str, layout: Layout, wanted: str) -> Text:
    """One text or two, as the model reads."""
    most = 2 if layout.is_pair is None else 1 + layout.is_pair
    if not 1 <= len(found) <= most or (layout.is_pair and len(found) < 2):
        count = ("no text", "one text", "two texts")[len(found)] if len(found) < 3 else f"{len(found)} columns"
        reads = "two texts" if layout.is_pair else "one text" if layout.is_pair is False else "one text or two"
        raise CompressError(f"{where} has {count}, but the model reads {reads}. Give {wanted} on each line.")
    return found[0] if len(found) == 1 else (found[0], found[1])


def _records(lines: Iterable[tuple[int, str]], layout: Layout) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{text}\n" for _, text in lines), delimiter=layout.separator or ",", strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise CompressError(f"{layout.name} line {reader.line_num} is not CSV ({error}). Check its quotes.") from error


def _tabular(records: Iterable[tuple[int, list[str]]], layout: Layout) -> Iterator[Line]:
    return _Table(layout).lines(records)


class _Table:
    """Rows of cells as texts. A first row that holds the columns' names says where the texts are, and is not answered."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.places: list[int] | None = None
        self.begun = False

    def lines(self, records: Iterable[tuple[int, list[str]]]) -> Iterator[Line]:
        for number, cells in records:
            if not self.begun and cells:
                self.begun = True
                self.places = self._header(cells)
                if self.places is not None:
                    continue
            yield _line(number, self._texts(number, cells), self.layout)

    def _header(self, cells: list[str]) -> list[int] | None:
        known = [
            next((place for place, cell in enumerate(cells) if cell.strip() in names and cell.strip()), None)
            for names in self.layout.names()
        ]
        places = [place for place in known if place is not None]
        self._check_separator(cells, is_known=bool(places))
        if self.layout.is_pair is False:
            places = places[:1] if known[0] is not None else []
        return places if places and (len(places) == 2 or not self.layout.is_pair) else None

    def _check_separator(self, cells: list[str], *, is_known: bool) -> None:
        """A header between other separators would be answered as a text, and so would each row with all its cells."""
        if len(cells) != 1 or is_known:
            return
        known = {name for names in self.layout.names() for name in names if name}
        for separator in SEPARATORS:
            names = [name.strip().strip('"') for name in cells[0].split(separator)]
            if len(names) > 1 and known & set(names) and all(one in known or one.isidentifier() for one in names):
                shown_as = "\\t" if separator == "\t" else separator
                raise CompressError(
                    f"{self.layout.name} has columns separated by '{shown_as}': set `separator: \"{shown_as}\"` in the model's "
                    "task, or convert the file to CSV or TSV."
                )

    def _texts(self, number: int, cells: list[str]) -> Text | None:
        if not cells:
            return None
        where = f"{self.layout.name} line {number}"
        wanted = "a text, a tab and a second text" if self.layout.format != "csv" else "two columns"
        if self.places is not None:
            if len(cells) <= max(self.places):
                raise CompressError(
                    f"{where} has {len(cells)} columns, fewer than the first line names. Check its quotes."
                )
            cells = [cells[place] for place in self.places]
        return _counted(cells, where, self.layout, wanted if self.layout.is_pair is not False else "one column")


def blank_lines(numbers: Sequence[int]) -> str:
    """The message about lines without a text."""
    shown = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
    one = len(numbers) == 1
    return f"{'Line' if one else 'Lines'} {shown} {'has' if one else 'have'} no text, so no prediction ({len(numbers)} in all)."


def shown(text: Any) -> str:
    """A text, or two, on one line."""
    parts = (text,) if isinstance(text, str) else text
    return "  |  ".join(" ".join(part.split()) for part in parts)
