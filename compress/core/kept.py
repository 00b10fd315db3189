"""Keeps artifacts that a pipeline's changed settings would replace, by fingerprint, and restores them when the settings
are changed back.
"""

from __future__ import annotations

import dataclasses
from itertools import count
from pathlib import Path

from compress.core.artifact import Artifact, finished, is_main_process
from compress.core.destination import check_replaceable
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.core.work_folder import put_in_place

FOLDER = ".kept"
"""Inside a run's folder."""
LONG_SECONDS = 60.0
"""What took less is made again as fast as it is found."""


def place(out: Path, fingerprint: str) -> Path:
    """The place where an artifact of a run is kept when another one replaces it."""
    return out.parent / FOLDER / f"{out.name}-{fingerprint}"


def is_kept(out: Path, fingerprint: str) -> bool:
    """Whether the artifact with that fingerprint was at `out` before, and is kept."""
    try:
        return Artifact.open(place(out, fingerprint), verify=False).fingerprint() == fingerprint
    except CompressError:
        return False


def set_aside(out: Path) -> None:
    """Keep the finished artifact at `out` if it was trained, took long, or has files added by somebody.

    Raises:
        CompressError: it cannot be moved.
    """
    former = Artifact.open(out, verify=False)
    there = place(out, former.fingerprint())
    strange = former.unlisted()
    if not (_is_worth_keeping(former) or strange) or (not strange and _is_whole(there)):
        return
    try:
        there.parent.mkdir(exist_ok=True)
        if there.exists():  # damaged, or without the files of somebody else that are at `out`
            there.rename(next(one for n in count(2) if not (one := there.with_name(f"{there.name}-{n}")).exists()))
        out.rename(there)
    except OSError as error:
        raise CompressError(f"{out} cannot be kept as {there} ({error.strerror}). Move it yourself.") from error
    dataclasses.replace(former, folder=there).write_manifest()  # its paths are relative to its folder
    say(
        f"What was at {out} before is kept in {there}. It is restored when you change the settings back; delete it to save space."
    )


def put_back(out: Path, fingerprint: str) -> None:
    """Restore the artifact with that fingerprint to `out` if it is kept; the one there now is kept in turn.

    Raises:
        CompressError: something is at `out` that compress did not make, or a folder cannot be moved.
    """
    if not is_main_process() or not is_kept(out, fingerprint) or finished(out, fingerprint):
        return
    there = place(out, fingerprint)
    try:
        Artifact.open(there)
    except CompressError as error:
        say(f"{error} It is made again.")
        return
    if out.exists():
        check_replaceable(out, is_kept=True)
    put_in_place(there, out, set_aside)
    say(f"{out} was made before with these settings and kept: it is restored.")


def _is_whole(folder: Path) -> bool:
    try:
        Artifact.open(folder)
    except CompressError:
        return False
    return True


def _is_worth_keeping(artifact: Artifact) -> bool:
    if not artifact.steps:
        return False
    facts = artifact.steps[-1].facts
    seconds = facts.get("seconds", 0.0)
    return "training_steps" in facts or (isinstance(seconds, int | float) and seconds >= LONG_SECONDS)
