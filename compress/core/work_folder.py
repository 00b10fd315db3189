"""An artifact is made in a work folder beside its destination and renamed when complete, so that a kill at any moment
loses nothing.

`<out>.partial` holds the mark of what is being made there, its checkpoints and, for the moment between two renames, the
artifact that is replaced. Whenever a run is killed, the same command continues from what it finds there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compress.core.artifact import LOCK, MARK, REPLACED, SCRATCH, Artifact, is_main_process, wait_until
from compress.core.errors import CompressError

SUFFIX = ".partial"


def unfinished(out: Path) -> Path:
    """The work folder of an artifact."""
    return out.with_name(out.name + SUFFIX)


def marked(partial: Path) -> str | None:
    """The fingerprint of what is being made in a work folder, None where it is none."""
    try:
        return (partial / MARK).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def check_made_by_compress(partial: Path) -> None:
    """Raises a CompressError where something else than a work folder is in its place: nothing of it may be touched."""
    if not os.path.lexists(partial):
        return
    if partial.is_dir() and not partial.is_symlink():
        names = {one.name for one in partial.iterdir()}
        if MARK in names or names <= {LOCK}:  # an empty one was killed before it had its mark
            return
    raise CompressError(
        f"{partial} already exists and was not made by compress, which needs that name for unfinished work. "
        "Move it, or choose another folder with -o."
    )


@contextmanager
def work_folder(out: Path, fingerprint: str) -> Iterator[Path]:
    """`<out>.partial/`, with the checkpoints of an earlier, interrupted run when that one had the same fingerprint.

    Leaving the block by an exception keeps the folder, so that the same command continues from it.

    Raises:
        CompressError: another process is writing the same artifact, the folder cannot be made, or it is not ours.
    """
    partial = unfinished(out)
    if not is_main_process():
        wait_until(
            # With a manifest it is finished, and the first process only has to rename it.
            lambda: (marked(partial) == fingerprint and not Artifact.is_one(partial)) or _has(out, fingerprint),
            f"the first process to make {partial}",
        )
        yield partial
        return
    with _locked(partial):
        # Killed while this clears the folder, a later run must not take what is left for whole checkpoints.
        is_known = marked(partial) == fingerprint
        if not is_known:
            (partial / MARK).write_text("")
            _remove(partial / SCRATCH)
        # Written again from the checkpoints: among them may be a file that was cut short.
        for leftover in partial.iterdir():
            if leftover.name not in (MARK, LOCK, SCRATCH):
                _remove(leftover)
        (partial / SCRATCH).mkdir(exist_ok=True)
        if not is_known:
            (partial / MARK).write_text(fingerprint)
        yield partial


Aside = Callable[[Path], None]
"""Moves what is to be replaced to where it is kept, or leaves it to be removed."""


def finish(artifact: Artifact, out: Path, aside: Aside | None = None) -> Artifact:
    """Write the manifest into the work folder and rename it into place whole.

    An artifact that was at `out` before is replaced; its folder is removed after the new one stands, unless `aside` moved it.

    Raises:
        CompressError: the files cannot be written or renamed.
    """
    partial = artifact.folder
    if not is_main_process():
        wanted = artifact.fingerprint()
        wait_until(lambda: _has(out, wanted), f"the first process to finish {out}")
        return Artifact.open(out, verify=False)
    umask = os.umask(0)
    os.umask(umask)
    for file in partial.rglob("*"):
        # safetensors writes files that only their owner may read, and an artifact is made to be served
        if file.is_file() and SCRATCH not in file.relative_to(partial).parts:
            file.chmod(0o666 & ~umask)
    artifact.save()  # before the checkpoints go: a full disk must not cost the training
    _put_in_place(partial, out, aside)
    return Artifact.open(out, verify=False)


def settle(out: Path, *, replace: bool, aside: Aside | None = None) -> None:
    """Bring to its end what a kill interrupted after the manifest was written: renaming into place, and tidying up.

    Args:
        replace: whether an artifact at `out` may be replaced by a finished one that was not yet renamed.
        aside: as of `finish`.

    Raises:
        CompressError: another process is writing the artifact, or a file cannot be renamed.
    """
    if not is_main_process():
        return
    if marked(out) and _is_whole(out, verify=False):
        _tidy(out)
    partial = unfinished(out)
    if not marked(partial) or not (replace or not os.path.lexists(out)):
        return
    with _locked(partial):
        if _is_whole(partial):
            _put_in_place(partial, out, aside)
        elif Artifact.is_one(partial / REPLACED) and not os.path.lexists(out):
            (partial / REPLACED).rename(out)


def discard(partial: Path) -> None:
    """Remove a work folder that turned out not to be needed."""
    if is_main_process():
        _remove(partial)


def _has(out: Path, fingerprint: str) -> bool:
    try:
        return Artifact.open(out, verify=False).fingerprint() == fingerprint
    except CompressError:
        return False


def _is_whole(folder: Path, *, verify: bool = True) -> bool:
    """Whether the work is complete: manifest and all files."""
    try:
        return Artifact.open(folder, verify=verify).fingerprint() == marked(folder)
    except CompressError:
        return False


def put_in_place(folder: Path, out: Path, aside: Aside | None = None) -> None:
    """Rename a finished artifact's folder to `out`, replacing any artifact there; if killed in between, `settle` completes it.

    Raises:
        CompressError: it cannot be renamed.
    """
    (folder / MARK).write_text(Artifact.open(folder, verify=False).fingerprint())
    _put_in_place(folder, out, aside)


def _put_in_place(partial: Path, out: Path, aside: Aside | None) -> None:
    try:
        _remove(partial / SCRATCH)
        if os.path.lexists(out) and aside is not None:
            aside(out)
        if os.path.lexists(out):
            _remove(partial / REPLACED)
            out.rename(partial / REPLACED)
        partial.rename(out)
    except OSError as error:
        raise CompressError(
            f"{partial} is finished but cannot be renamed to {out} ({error.strerror}). Remove the cause, and run the "
            "same command again."
        ) from error
    _tidy(out)


def _tidy(out: Path) -> None:
    """Remove what a finished artifact has of its work folder; the mark last, since it says that the rest is to be removed."""
    for name in (REPLACED, SCRATCH, LOCK, MARK):
        _remove(out / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _locked(partial: Path) -> Iterator[None]:
    """Hold the work folder's lock.

    Raises:
        CompressError: another process holds it, or the folder cannot be made or is not ours.
    """
    check_made_by_compress(partial)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = (partial / LOCK).open("w")
    except OSError as error:
        raise CompressError(f"{partial} cannot be made ({error.strerror}). Choose another place with -o.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have finished, and renamed its folder with this very lock, since it was opened.
            is_there = os.path.samestat(os.fstat(lock.fileno()), (partial / LOCK).stat())
        except (BlockingIOError, FileNotFoundError):
            is_there = False
        if not is_there:
            raise CompressError(f"{partial} is being written by another process. Wait for it, or stop it.")
        yield
