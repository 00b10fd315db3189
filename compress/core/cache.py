"""The cache of results that steps and runs share: entries on disk, each named by a hash of everything that determines it.

An entry is a folder. Who lacks it makes it under its lock in a folder beside it, and renames that into place with the hashes of
its files: it is there whole or not at all, and processes side by side make it once. The hashes are compared whenever it is
opened, and an entry that is damaged is made again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.core.artifact import digest, hash_file, write_whole
from compress.core.disk import full_disk_errors
from compress.core.errors import CompressError
from compress.core.progress import say, warn

FORMAT = 1
MARK = "entry.json"
"""Inside an entry, written last: the hashes of its files, and its facts."""


@dataclass(frozen=True)
class Entry:
    """A complete entry."""

    folder: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The metadata given when it was made, as JSON values."""
    is_new: bool = field(default=False, compare=False)
    """Whether it was made just now."""


@dataclass(frozen=True)
class Making:
    """An entry that is being made."""

    folder: Path
    """Where its files are written."""
    facts: dict[str, Any] = field(default_factory=dict)


def entry(folder: Path, make: Callable[[Path], Mapping[str, Any] | None], *, resumes: bool = False) -> Entry:
    """The entry of that folder; it is made if it is missing or damaged.

    Args:
        folder: `<cache>/<kind>/<hash of all that decides it>`.
        make: writes the files into the folder that it is given; returns the facts.
        resumes: see `making`.

    Raises:
        CompressError: the cache cannot be written.
    """
    found = opened(folder)
    if found is not None:
        return found
    with locked(folder):
        found = opened(folder)  # another process may have made it meanwhile
        if found is None:
            with making(folder, resumes=resumes) as work:
                work.facts.update(make(work.folder) or {})
            found = Entry(folder, _plain(work.facts), is_new=True)
    return found


def opened(folder: Path) -> Entry | None:
    """The entry of that folder; None where it is not there, or its files are not as they were written."""
    try:
        told = json.loads((folder / MARK).read_text(encoding="utf-8"))
        files, facts = dict(told["files"]), dict(told["facts"])
        is_whole = told["hash"] == digest([FORMAT, files, facts])
        if is_whole and all(hash_file(folder / name) == value for name, value in files.items()):
            return Entry(folder, facts)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass
    return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While it is held, no other process or thread makes the entry (or entries in the folder). Waits for one that does.

    Raises:
        CompressError: the cache cannot be written.
    """
    file = folder.with_name(f"{folder.name}.lock")
    stream = None
    while stream is None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = file.open("w")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"Waiting for another process that is making {folder}.")
                fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            raise CompressError(
                f"The cache cannot be written ({error.strerror}: {file}). Free some space or choose another place."
            ) from error
        if not _is_open_at(stream.fileno(), file):  # who had the lock has removed the file: what was locked is no lock
            stream.close()
            stream = None
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        stream.close()


@contextmanager
def making(folder: Path, *, resumes: bool = False) -> Iterator[Making]:
    """Files written into `Making.folder` within it become the entry at its end; call it under the entry's lock.

    Args:
        resumes: an exception leaves the files where they are, and the next one who makes the entry finds them.

    Raises:
        CompressError: the disk is full.
    """
    work = Making(folder.with_name(f"{folder.name}.partial"))
    if folder.exists():
        warn(f"{folder} is damaged, so it is made again.")
    if not resumes:
        shutil.rmtree(work.folder, ignore_errors=True)
    try:
        with full_disk_errors(folder):
            work.folder.mkdir(parents=True, exist_ok=True)
            yield work
            seal(work.folder, work.facts)
    except BaseException:
        if not resumes:
            shutil.rmtree(work.folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    work.folder.rename(folder)


def seal(folder: Path, facts: Mapping[str, Any] | None = None, *, synced: bool = False) -> None:
    """Write the mark by which `opened` knows that a folder's files are as they are now.

    Args:
        synced: have the files on the disk before the mark is, so that it holds after a loss of power too.
    """
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MARK:
            files[file.relative_to(folder).as_posix()] = hash_file(file)
            if synced:
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
    plain = _plain(facts or {})
    write_whole(folder / MARK, json.dumps({"files": files, "facts": plain, "hash": digest([FORMAT, files, plain])}))


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they will be after reading."""
    return dict(json.loads(json.dumps(facts)))


def _is_open_at(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def default_cache(out: Path) -> Path:
    """The cache beside an artifact: `.compress-cache` in the folder that holds it."""
    return out.resolve().parent / ".compress-cache"
