"""Checks paths that users give: impossible ones are refused before they are looked up."""

from __future__ import annotations

from pathlib import Path

from compress.core.errors import CompressError, shown

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes of a file's name and of a whole path, on Linux and macOS at most."""


def named(text: str | Path) -> Path:
    """The path that a user gave, with `~` expanded.

    Raises:
        CompressError: it is empty, has a NUL character, or is longer than a file system allows.
    """
    path = Path(text)
    if not str(text).strip():
        raise CompressError("A path is empty. Name a file or a folder; '.' is the current one.")
    if "\0" in str(text):
        raise CompressError(f"{shown(str(text))} has a NUL character, so it is not a path. Check the spelling.")
    size = len(str(path).encode(errors="surrogateescape"))
    longest = max((len(part.encode(errors="surrogateescape")) for part in path.parts), default=0)
    if size > LONGEST_PATH or longest > LONGEST_NAME:
        what = f"{longest} bytes in one name" if longest > LONGEST_NAME else f"{size} bytes"
        raise CompressError(f"The path {shown(str(text))} is too long: {what}. Check the spelling, or move it.")
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path
