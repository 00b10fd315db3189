"""Full disks: checked before a memory map is written, and reported in one line, whichever library raised the error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compress.core.errors import NO_SPACE, CompressError

SAID = ("No space left on device", "File too large", "Disk quota exceeded")
"""The system's words, which native libraries quote."""
CUT_SHORT = (
    *("unexpected pos", "file write failed", "PytorchStreamWriter failed"),  # torch.save
    " requested and ",  # np.save: "10 requested and 3 written"
    "Protobuf serialization failed",  # ONNX Runtime
)
"""What libraries say of a file that was not written whole, without saying why."""


class DiskFull(CompressError):  # noqa: N818 - it is a state of the machine, and reads as one
    """The disk is full."""


def why_full(error: BaseException | None) -> str | None:
    """The reason if an error, or its cause, means that the disk is full; else None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return str(error.strerror)
        text = str(error)
        said = next((one for one in SAID if one in text), None)
        if said or any(one in text for one in CUT_SHORT):
            return said or "the disk is probably full"
        error = error.__cause__ or error.__context__
    return None


def written(error: BaseException) -> str | None:
    """The file that could not be written, where the error says; of a copy it names both, the new one second."""
    return getattr(error, "filename2", None) or getattr(error, "filename", None)


@contextmanager
def full_disk_errors(where: Path) -> Iterator[None]:
    """Inside it a full disk raises an error of one line that names the file, or this place if the file is unknown.

    Raises:
        DiskFull: the disk is full, or a file may not grow as large.
    """
    try:
        yield
    except CompressError:
        raise
    except Exception as error:
        reason = why_full(error)
        if reason is None:
            raise
        file = written(error) or where
        raise DiskFull(
            f"{file} cannot be written ({reason}). Free some space; then the same command continues."
        ) from error


def allocated(file: Path, dtype: Any, shape: tuple[int, ...]) -> Any:
    """A new .npy file of zeros, memory-mapped for writing, whose disk space is allocated before anything is written.

    Without that a write into the map where the disk is full ends the process by SIGBUS.

    Raises:
        OSError: there is no room for it.
    """
    import numpy as np

    array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    take_room(file)
    return array


def take_room(file: Path) -> None:
    """Allocate all of a file's bytes on disk, also those never written; raises OSError without enough room."""
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, max(1, file.stat().st_size))
