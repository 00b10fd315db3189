"""Reads CoNLL files: one word per line with its tags in columns, and an empty line after each sentence.

Columns lie between tabs, or between blanks in a line without a tab. `-DOCSTART-` lines part documents and comments begin with
`#`; neither is a word. A first comment `# global.columns = ID FORM ... ` (CoNLL-U Plus) names the columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.data import decoding
from compress.data.raw_row import RawRow
from compress.tasks.task import Source

ENDINGS = (".conll", ".conllu", ".bio", ".iob", ".iob2")
"""How the names of such files end; `.txt` and `.tsv` files may be of this format too."""
WORDS, TAGS = "tokens", "tags"
"""What the first and the last column are called, beside their numbers."""
LONGEST = 100_000
"""Words. No sentence has so many: the file has no empty lines."""
DOCUMENT = "-DOCSTART-"
NAMES = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
TAG = re.compile(r"O|[BIESLU]-.+")
BLANKS = re.compile(r"[ \t]+")  # not all white space: words hold no-break spaces


@dataclass
class _Sentence:
    cells: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    defect: str = ""
    defect_line: int = 0


def conll_columns(path: Path, source: Source) -> tuple[str, ...]:
    """The names of the columns: their numbers from 1, what the file calls them, `tokens` (the first) and `tags` (the last)."""
    first = next(islice((row for row in conll_rows(path, source) if not row.defect), 1), None)
    return tuple(first.cells) if first is not None else ()


def conll_rows(path: Path, source: Source) -> Iterator[RawRow]:
    """The sentences, each column a list with an item a word.

    Raises:
        CompressError: the file has no empty lines between its sentences.
    """
    names: tuple[str, ...] = ()
    width = 0
    sentence = _Sentence()
    for number, line, defect in decoding.lines(path, source.encoding):
        text = line.strip(" \t\r\n")
        if not text or text.startswith(DOCUMENT):
            yield from _row(sentence, names, width)
            sentence = _Sentence()
            continue
        cells = _cells(text, line, source.separator)
        if text.startswith("#") and not _is_word(cells, line, width):
            if found := NAMES.match(text):
                names = tuple(found.group(1).split())
            continue
        width = width or len(cells)
        if not defect and len(cells) != width:
            defect = f"{len(cells)} column{'s' * (len(cells) != 1)} where {width} are expected"
        if defect and not sentence.defect:
            sentence.defect, sentence.defect_line = defect, number
        sentence.cells.append(cells)
        sentence.lines.append(number)
        if len(sentence.lines) > LONGEST:
            raise CompressError(
                f"{path} has no empty line after line {sentence.lines[0]} for {LONGEST:,} words. Put one after each sentence."
            )
    yield from _row(sentence, names, width)


def _cells(text: str, line: str, separator: str) -> list[str]:
    if separator:
        return [cell.strip(" \t") for cell in line.strip("\r\n").split(separator)]
    return [cell.strip(" ") for cell in text.split("\t")] if "\t" in text else BLANKS.split(text)


def _is_word(cells: list[str], line: str, width: int) -> bool:
    """Whether a line that begins with `#` is a word with its tag, as `#nowplaying O`, and no comment."""
    has_width = len(cells) == width if width else len(cells) > 1
    return has_width and ("\t" in line.strip() or TAG.fullmatch(cells[-1]) is not None)


def _row(sentence: _Sentence, names: tuple[str, ...], width: int) -> Iterator[RawRow]:
    if sentence.defect:
        yield RawRow(f"line {sentence.defect_line}", defect=sentence.defect)
    elif sentence.lines:
        columns: list[Any] = [list(column) for column in zip(*sentence.cells, strict=True)]
        cells = {str(number): column for number, column in enumerate(columns, start=1)}
        cells |= dict(zip(names, columns, strict=False)) | {WORDS: columns[0]}
        if width > 1:
            cells[TAGS] = columns[-1]
        yield RawRow(f"line {sentence.lines[0]}", cells, lines=sentence.lines)
