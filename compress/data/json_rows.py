"""Reads rows that are JSON objects: one per line (JSONL), or the items of one list, decoded one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from compress.core.errors import CompressError, shown
from compress.data import decoding
from compress.data.raw_row import RawRow

CHUNK_CHARACTERS = 1 << 16
NEAR_THE_END = 16
"""A value that breaks off further from the end of what was read is broken, and not merely cut by the reading."""


class _Twice(ValueError):  # noqa: N818 - never seen outside this file
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(f"{shown(next(name for name in names if names.count(name) > 1))} is in one object twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def json_lines(path: Path, encoding: str) -> Iterator[RawRow]:
    """An object for each line that is not empty."""
    for number, line, defect in decoding.lines(path, encoding):
        if not line.strip():
            continue
        place = f"line {number}"
        if defect:
            yield RawRow(place, defect=defect)
            continue
        try:
            yield _row(place, _DECODER.decode(line.strip()))
        except (ValueError, RecursionError) as error:
            yield RawRow(place, defect=_mistake(error))


def json_objects(path: Path, encoding: str) -> Iterator[RawRow]:
    """The objects of one JSON list, so that the list is never in memory as a whole; or those of lines after all.

    Raises:
        CompressError: the file is neither, or broken.
    """
    with decoding.opened(path, encoding) as file:
        start = file.read(CHUNK_CHARACTERS).lstrip()
        if start.startswith("["):
            yield from _items(path, file, start[1:])
            return
    if not start.startswith("{"):
        raise CompressError(f"{path} is not a JSON list of objects, nor one JSON object per line.")
    yield from json_lines(path, encoding)  # JSON lines under the name .json are common


def _items(path: Path, file: IO[str], text: str) -> Iterator[RawRow]:
    number = 0
    while True:
        text = text.lstrip().removeprefix(",").lstrip()
        if text.startswith("]"):
            if text[1:].strip() or file.read(CHUNK_CHARACTERS).strip():
                raise CompressError(
                    f"{path} continues after the end of its JSON list. Keep one list, or one object per line."
                )
            return
        try:
            value, end = _DECODER.raw_decode(text)
        except json.JSONDecodeError as error:
            is_cut = error.msg.startswith("Unterminated string") or error.pos + NEAR_THE_END >= len(text)
            if len(text) > decoding.LONGEST_LINE or not is_cut:
                raise _broken(path, number, error) from error
            more = file.read(max(CHUNK_CHARACTERS, len(text)))  # at least doubled: a long object costs no square
            if not more:
                raise _broken(path, number, error) from error
            text += more
            continue
        except (ValueError, RecursionError) as error:
            raise _broken(path, number, error) from error
        number += 1
        yield _row(f"row {number}", value)
        text = text[end:]


def _broken(path: Path, number: int, error: Exception) -> CompressError:
    return CompressError(f"{path} is broken JSON after row {number}: {_mistake(error).removeprefix('not JSON: ')}.")


def _mistake(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}"
    if isinstance(error, _Twice):
        return str(error)
    if isinstance(error, RecursionError):
        return "lists or objects that are nested too deeply"
    return "a number of too many digits"


def _row(place: str, value: Any) -> RawRow:
    return RawRow(place, value) if isinstance(value, dict) else RawRow(place, defect="not a JSON object")
