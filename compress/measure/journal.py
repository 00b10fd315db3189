"""Records finished measurements at once, so that a killed benchmark continues with the same command.

A file in the folder of the measurements, a line of JSON for each thing measured; the first line says what is measured.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from compress.core.disk import full_disk_errors
from compress.core.errors import CompressError

FILE = ".measurements.unfinished.jsonl"


class Journal:
    """The notes of one benchmark: what was measured before it was interrupted, and where the rest is noted."""

    def __init__(self, file: Path, stream: BinaryIO, known: dict[str, Any]) -> None:
        self._file, self._stream, self._known = file, stream, known

    def recall(self, name: str) -> Any | None:
        """The entry recorded under a name, None without one."""
        return self._known.get(name)

    def note(self, name: str, value: Any) -> None:
        """Note a JSON value under a name.

        Raises:
            CompressError: the disk is full.
        """
        with full_disk_errors(self._file):
            _append(self._stream, [name, value])

    def remove(self) -> None:
        """All is measured and saved."""
        self._file.unlink(missing_ok=True)


@contextmanager
def journal(folder: Path, plan: str) -> Iterator[Journal]:
    """The journal in a folder, empty unless what was interrupted there had the same plan.

    Args:
        plan: a hash over all that decides what is measured, and on what machine.

    Raises:
        CompressError: another process is measuring into the folder, or it cannot be written.
    """
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = file.open("a+b", buffering=0)
    except OSError as error:
        raise CompressError(f"{folder} cannot be written ({error.strerror}). Choose another place with -o.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(stream.fileno()), file.stat())
        except (BlockingIOError, FileNotFoundError):
            is_there = False  # taken, or just finished and removed, by another process
        if not is_there:
            raise CompressError(f"Another process is measuring into {folder}. Wait for it, or choose another folder.")
        with full_disk_errors(file):
            known = _read(stream, plan)
        yield Journal(file, stream, known)


def _read(stream: BinaryIO, plan: str) -> dict[str, Any]:
    """The notes in a file for this plan. What is not whole, or of another plan, is cut off."""
    stream.seek(0)
    known: dict[str, Any] = {}
    whole = 0
    for line in stream.read().split(b"\n")[:-1]:
        try:
            name, value = json.loads(line)
        except (ValueError, TypeError):
            break
        if whole == 0 and [name, value] != ["plan", plan]:
            break
        known[name] = value
        whole += len(line) + 1
    stream.truncate(whole)
    if whole == 0:
        _append(stream, ["plan", plan])
    return known


def _append(stream: BinaryIO, value: Any) -> None:
    line = memoryview(json.dumps(value, separators=(",", ":")).encode() + b"\n")
    while line:  # unbuffered: a write may take a part
        line = line[stream.write(line) :]
