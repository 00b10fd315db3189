"""Decodes the lines of a text file in any encoding, one line at a time.

A byte order mark at the beginning decides the encoding; else the task's `encoding`; else it is UTF-8.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, NamedTuple

from compress.core.errors import CompressError

LONGEST_LINE = 1 << 26
"""Bytes, or characters of an encoding that is read as a whole. A file without line ends is no table of texts."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OF_OTHER_THINGS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "unicode_escape", "raw_unicode_escape"}
"""Codecs of domain names and of Python's own source."""
UNDECODABLE = re.compile(r"not \S+ text")
"""How the defect of a line that cannot be decoded begins: `not UTF-8 text, byte 4`."""


class Line(NamedTuple):
    """A line with its line feed; where it has a defect, what cannot be decoded stands as U+FFFD."""

    number: int
    text: str
    defect: str


def is_encoding(name: str) -> bool:
    """Whether Python knows a text encoding of that name."""
    try:
        "a".encode(name)
        return codecs.lookup(name).name not in OF_OTHER_THINGS
    except (LookupError, ValueError):
        return False


def encoding(path: Path, named: str) -> str:
    """The encoding of a file: by its byte order mark, else the one that is named, else UTF-8.

    Raises:
        CompressError: it is UTF-16 by its look, and nothing says which.
    """
    with path.open("rb") as file:
        start = file.read(64)
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    if not named and len(start) >= 8:
        for name, zeros, others in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
            if not any(zeros) and all(others):
                raise CompressError(
                    f"{path} looks like UTF-16 without a byte order mark. Set `encoding: {name}` in the task."
                )
    return named or "utf-8"


def lines(path: Path, named: str = "") -> Iterator[Line]:
    """The lines, numbered from 1. Only a line feed ends one: texts hold other characters that `splitlines` would split at.

    Raises:
        CompressError: a line has no end, or the encoding is one that cannot go on after a mistake (UTF-16).
    """
    codec = encoding(path, named)
    yield from _by_bytes(path, codec) if keeps_line_feeds(codec) else _by_characters(path, codec)


@contextmanager
def opened(path: Path, named: str) -> Iterator[IO[str]]:
    """The file as text, for a reader of its own.

    Raises:
        CompressError: it is not of its encoding.
    """
    codec = encoding(path, named)
    try:
        with path.open(encoding=codec) as file:
            yield file
    except UnicodeError as error:
        raise _undecodable(path, codec, "") from error


def hint(codec: str) -> str:
    """The advice for text in an unexpected encoding."""
    other = "windows-1252" if "utf" in codec.lower() else "utf-8"
    return f"If the file is in another encoding, name it in the task, as `encoding: {other}`."


def keeps_line_feeds(codec: str) -> bool:
    """Whether a line feed is one byte that nothing else has a part in, so that lines can be split by bytes."""
    return "\n".encode(codec.removesuffix("-sig")) == b"\n" and "utf-7" not in codec.lower().replace("_", "-")


def _by_bytes(path: Path, codec: str) -> Iterator[Line]:
    with path.open("rb") as file:
        for number in count(1):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            _check_length(path, number, len(line))
            try:
                yield Line(number, line.decode(codec if number == 1 else codec.removesuffix("-sig")), "")
            except UnicodeError as error:
                at = f", byte {error.start + 1}" if isinstance(error, UnicodeDecodeError) else ""
                yield Line(number, line.decode(codec, "replace"), f"not {_name(codec)} text{at}")


def _by_characters(path: Path, codec: str) -> Iterator[Line]:
    number = 0
    try:
        with path.open(encoding=codec, newline="\n") as file:
            for number in count(1):
                line = file.readline(LONGEST_LINE + 1)
                if not line:
                    return
                _check_length(path, number, len(line))
                yield Line(number, line.removeprefix("\ufeff") if number == 1 else line, "")
    except UnicodeError as error:
        raise _undecodable(path, codec, f" from line {number} on") from error


def _check_length(path: Path, number: int, length: int) -> None:
    if length > LONGEST_LINE:
        raise CompressError(
            f"{path} line {number} is longer than {LONGEST_LINE >> 20} MB, too long for a row. Is it a file of texts?"
        )


def _undecodable(path: Path, codec: str, where: str) -> CompressError:
    return CompressError(f"{path} is not {_name(codec)} text{where}. {hint(codec)}")


def _name(codec: str) -> str:
    return codec.removesuffix("-sig").upper()
