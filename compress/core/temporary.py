"""Temporary folders that are always removed: while a step runs they are in its work folder, which its next run cleans."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from compress.core.distributed import is_main_process

PREFIX = "temporary-"
_place: ContextVar[Path | None] = ContextVar("place", default=None)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Make temporary folders inside this one, which goes when the step is finished; those of a killed run are removed.

    A process that is killed cannot clean up after itself, and what lies in the system's own folder, nobody would.
    """
    if is_main_process():  # the others of a launch use the same folder
        for left in folder.glob(f"{PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
    before = _place.set(folder)
    try:
        yield
    finally:
        _place.reset(before)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder that is gone afterwards."""
    place = _place.get()
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as folder:
        yield Path(folder)
