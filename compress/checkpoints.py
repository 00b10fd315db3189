"""The checkpoints of a training run: which of them are whole, and what is said when one cannot be written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compress.artifact import is_main_process
from compress.errors import NO_SPACE, CompressError


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; those that were cut short are removed, so that they are not taken for whole ones."""
    whole = whole_checkpoints(folder)
    if is_main_process():
        for checkpoint in set(folder.glob("checkpoint-*")) - set(whole):
            shutil.rmtree(checkpoint, ignore_errors=True)
    return whole[0] if whole else None


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that were written whole, the newest first. With several processes each writes a random state."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda one: int(one.name.rsplit("-", 1)[1]), reverse=True)
    return [one for one in found if (one / "trainer_state.json").is_file() and any(one.glob("rng_state*.pth"))]


@contextmanager
def disk_errors(checkpoints: Path) -> Iterator[None]:
    """A checkpoint that cannot be written ends in one line: its writers wrap the system's error in kinds of their own.

    Raises:
        CompressError: the disk is full, or a file may not grow as large.
    """
    try:
        yield
    except Exception as error:
        text = str(error)
        full = isinstance(error, OSError) and error.errno in NO_SPACE
        if full or "No space left" in text or "File too large" in text or "file write failed" in text:
            reason = text.split("\n", 1)[0]
            raise CompressError(
                f"A checkpoint cannot be written to {checkpoints} ({reason}). Free some space."
            ) from error
        raise
