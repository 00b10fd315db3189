"""Detects whether quotes in a TSV file enclose cells, as pandas and spreadsheets write them, or are text, as in GLUE.

Who encloses cells encloses each one that has a quote in it, and doubles that quote. So a file in which all cells with quotes are
enclosed, and some hold doubled ones, or whose header is enclosed, was written so; one with a single quote elsewhere was not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from compress.core.errors import CompressError
from compress.core.progress import warn
from compress.data import decoding
from compress.tasks.task import Source

ENOUGH_LINES = 10_000
"""So many lines are looked at where the answer only decides about a warning."""
LONGEST = 1 << 20
"""The most characters of an enclosed cell that is taken to go on over the end of a line."""
INNER = re.compile(r'"((?:[^"]|"")*)"')


@dataclass(frozen=True)
class Quotes:
    """What is found of them: the first line of each kind, 0 where there is none."""

    doubled: int = 0
    """A cell that is enclosed and holds doubled quotes: hardly ever text."""
    enclosed: int = 0
    """A cell that is enclosed: perhaps a sentence in direct speech."""
    bare: int = 0
    """A quote that encloses no cell: always text."""
    header: bool = False
    """Whether cells of the first line are enclosed."""

    @property
    def enclose(self) -> bool:
        """Whether all of them enclose cells, beyond doubt."""
        return not self.bare and (bool(self.doubled) or self.header)


def quoting(path: Path, source: Source, *, of_known_layout: bool) -> str:
    """The quoting of a TSV file: `csv` if its quotes enclose cells, else `none`.

    Args:
        of_known_layout: the file has the layout of a known task, whose quotes are text in any case; where they look
            otherwise, a warning says so.

    Raises:
        CompressError: some quotes surely enclose cells, and others surely do not.
    """
    stat = path.stat()
    seen = (str(path), stat.st_size, stat.st_mtime_ns)
    most = ENOUGH_LINES if of_known_layout else None
    found = _found(seen, source.separator or "\t", source.encoding, most, has_header=source.columns is None)
    if of_known_layout:
        if found.enclose:
            warn(
                f"{path} line {found.doubled or 1}: quotes seem to enclose cells, but in the files of this task they are text. "
                "If another program wrote this file, set `quoting: csv` in the task."
            )
        return "none"
    if found.doubled and found.bare:
        raise CompressError(
            f"{path}: in line {found.doubled} quotes enclose a cell, with doubled ones in it; in line {found.bare} one is "
            "text. Say which it is in the task: `quoting: csv` or `quoting: none`."
        )
    if found.enclosed and not (found.bare or found.enclose):
        warn(
            f"{path} line {found.enclosed}: the quotes around a cell are read as text. If they only enclose cells, "
            "set `quoting: csv` in the task; if they are text, `quoting: none`."
        )
    return "csv" if found.enclose else "none"


@lru_cache(maxsize=64)
def _found(file: tuple[str, int, int], separator: str, encoding: str, most: int | None, *, has_header: bool) -> Quotes:
    path = Path(file[0])
    with path.open("rb") as stream:
        if not any(b'"' in chunk for chunk in iter(lambda: stream.read(1 << 20), b"")):
            return Quotes()
    return find(islice(decoding.lines(path, encoding), most), separator, has_header=has_header)


def find(lines: Iterable[decoding.Line], separator: str, *, has_header: bool = True) -> Quotes:
    """The kinds of quotes in lines."""
    end = re.escape(separator)
    cell = rf'(?:"(?:[^"]|"")*"|[^"{end}\r\n]*)'
    enclosed, begun = re.compile(rf"{cell}(?:{end}{cell})*\r?\n?"), re.compile(rf'(?:{cell}{end})*"(?:[^"]|"")*')
    first = {"doubled": 0, "enclosed": 0, "bare": 0}
    header = False
    for number, row in _rows(lines, begun):
        kind = "bare"
        if enclosed.fullmatch(row):
            kind = "doubled" if any('""' in inner for inner in INNER.findall(row)) else "enclosed"
        first[kind] = first[kind] or number
        header = header or (has_header and number == 1 and kind != "bare")
        if first["doubled"] and first["bare"]:
            break
    return Quotes(first["doubled"], first["enclosed"], first["bare"], header)


def _rows(lines: Iterable[decoding.Line], begun: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Those with quotes: a line, or several where a cell is enclosed that goes on over line ends."""
    row: list[str] = []
    first = quotes = length = 0
    for number, line, _ in lines:
        if not row and '"' not in line:
            continue
        first = first if row else number
        row.append(line)
        quotes, length = quotes + line.count('"'), length + len(line)
        goes_on = quotes % 2 and length < LONGEST and (len(row) > 1 or begun.fullmatch(line))
        if not goes_on:
            yield first, "".join(row)
            row, quotes, length = [], 0, 0
    if row:
        yield first, "".join(row)
