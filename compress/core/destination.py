"""Checks where an artifact may be written, before any work starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from compress.core.artifact import MANIFEST, Artifact
from compress.core.errors import CompressError
from compress.core.work_folder import SUFFIX, check_made_by_compress, unfinished

LONGEST_NAME = 255 - len(SUFFIX)
"""Bytes of a folder's name: file systems hold 255, and the work folder's name is longer."""


def check_path(out: Path) -> None:
    """Check that the system can write a file or folder there, as far as this is known beforehand.

    Raises:
        CompressError: the path is too long or no path at all, a dangling link, or a place where nothing can be made.
    """
    short = _short(out)
    if "\0" in str(out):
        raise CompressError(f"{short} holds a zero byte, so it is not a path. Choose another place with -o.")
    try:
        out.lstat()
        is_there = True
    except FileNotFoundError:
        is_there = False
    except OSError as error:
        raise CompressError(f"{short} cannot be written ({error.strerror}). Choose another place with -o.") from error
    if is_there and out.is_symlink() and not out.exists():
        raise CompressError(f"{short} is a link to something that does not exist. Choose another place with -o.")
    parent = out.absolute().parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise CompressError(f"{short} cannot be made: {_short(parent)} is not a folder. Choose another place with -o.")
    if not is_there and not os.access(parent, os.W_OK | os.X_OK):
        raise CompressError(
            f"{short} cannot be made: {_short(parent)} may not be written to. Choose another place with -o."
        )


def check_name(name: str) -> str | None:
    """The reason why a name cannot be that of an artifact's folder; None if it can."""
    if any(not letter.isprintable() for letter in name):
        return "it holds a control character"
    if len(os.fsencode(name)) > LONGEST_NAME:
        return f"it has more than {LONGEST_NAME} bytes"
    if name.casefold().endswith(SUFFIX):
        return f"names that end in {SUFFIX} are those of unfinished work"
    return None


def check(out: Path, sources: Mapping[str, Artifact], read: Iterable[str] = ()) -> None:
    """Whether an artifact may be made at `out`.

    Args:
        sources: the artifacts that it is made from, by what they are called in a message (`the model`, `teacher`).
        read: whatever else is read: files and folders, of data above all.

    Raises:
        CompressError: nothing can be made there, or it would destroy, or be inside, something that is read.
    """
    check_path(out)
    if not out.name:  # the current folder, or the root: there before us
        raise CompressError(f"-o {out} is a folder that exists already ({out.absolute()}). Name a new one with -o.")
    reason = check_name(out.absolute().name)
    if reason is not None:
        raise CompressError(f"{_short(out)} cannot be the folder of an artifact: {reason}. Choose another with -o.")
    there = out.resolve()
    for what, artifact in sources.items():
        folder = artifact.folder.resolve()
        if there == folder:
            raise CompressError(f"-o {out} is {what} itself, which would be destroyed. Choose another folder with -o.")
        if there in folder.parents and Artifact.is_one(out):
            raise CompressError(f"{what} ({folder}) is inside -o {out}. Choose another folder with -o.")
        if folder in there.parents:
            raise CompressError(f"-o {out} is inside the folder of {what} ({folder}). Choose a folder outside it.")
        for ancestor in artifact.ancestors:
            if "folder" in ancestor and there == Path(ancestor["folder"]).resolve():
                raise CompressError(
                    f"-o {out} is what {what} was made from, and results are compared with it. "
                    "Choose another folder with -o."
                )
    check_beside_models(out, out.absolute().parent)
    for path in read:
        found = Path(path).resolve()
        if there == found or (there in found.parents and Artifact.is_one(out)):
            raise CompressError(f"-o {out} holds {path}, which is read. Choose another folder with -o.")
    if os.path.lexists(out) and not out.is_dir():
        raise CompressError(f"{out} is a file, not a folder. Choose another place with -o.")
    check_made_by_compress(unfinished(out))


def check_beside_models(out: Path, folder: Path) -> None:
    """Check that a folder is not a model's: files written into one become part of the model, or are deleted when it is replaced.

    Args:
        out: what is to be written, for the message.
        folder: where it would be.

    Raises:
        CompressError: the folder is, or is inside, that of an artifact or a model.
    """
    for one in (folder, *folder.absolute().parents):
        if _is_artifact(one) or ((one / "config.json").is_file() and any(one.glob("*.safetensors"))):
            raise CompressError(f"{_short(out)} would be inside a model's folder ({one}). Choose a place outside it.")


def _is_artifact(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).is_file() and bool(Artifact.open(folder, verify=False))
    except (CompressError, OSError):
        return False


def check_replaceable(out: Path, *, is_kept: bool = False) -> None:
    """Whether everything at `out` was made by compress, so that it can be made again.

    Args:
        is_kept: what is replaced is kept elsewhere, with whatever files of somebody else it holds.

    Raises:
        CompressError: it is no artifact, is a link, or holds files of somebody else.
    """
    if not Artifact.is_one(out):
        raise CompressError(f"{out} already exists and was not made by compress. Choose another folder with -o.")
    if out.is_symlink():
        raise CompressError(
            f"{out} is a link, which is not replaced. Give the folder that it leads to ({out.resolve()})."
        )
    try:
        strange = Artifact.open(out, verify=False).unlisted()
    except CompressError as error:
        raise CompressError(f"{out} is not replaced: {error} Move it, or choose another folder with -o.") from error
    if strange and not is_kept:
        raise CompressError(
            f"{out} cannot be replaced: {strange[0]} in it was not made by compress. Move it, or choose another folder."
        )


def _short(path: Path) -> str:
    """A path as a message holds it: control characters escaped, and cut where it has thousands of letters."""
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(path))
    return text if len(text) <= 200 else f"{text[:100]}...{text[-40:]}"
