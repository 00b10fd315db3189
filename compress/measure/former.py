"""Earlier measurements in a benchmark's folder: they are reused, refused, replaced if requested, or kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from compress.core.artifact import hash_file
from compress.core.destination import check_beside_models, check_path
from compress.core.errors import CompressError
from compress.core.measurement import FILE, Measurements, name_in
from compress.core.progress import say
from compress.measure.journal import FILE as UNFINISHED
from compress.measure.lost_examples import FILE as LOST

Existing = Literal["refuse", "replace", "keep"]
"""What becomes of other measurements in the folder: a pipeline keeps them."""
KEPT = ".kept"
OUTPUTS = "outputs"


def check_folder(out: Path) -> None:
    """Whether measurements can be written into a folder.

    Raises:
        CompressError: nothing can be made there, or it holds a file of that name which compress did not write.
    """
    check_path(out)
    if out.exists() and not out.is_dir():
        raise CompressError(f"{out} is a file, and measurements go into a folder. Choose another place with -o.")
    check_beside_models(out, out)
    file = out / FILE
    if not file.exists() and not (out / UNFINISHED).exists() and (out / LOST).exists():
        raise CompressError(
            f"{out / LOST} was not written by compress, which writes a file of that name. Choose another folder with -o."
        )
    if not file.exists() and not (out / UNFINISHED).exists() and any(out.glob(f"{OUTPUTS}/*")):
        raise CompressError(
            f"{out / OUTPUTS} was not written by compress, which writes a folder of that name. Choose another folder with -o."
        )
    if file.exists() and not _is_measurements(file):
        raise CompressError(
            f"{file} was not written by compress, so it is not replaced. Choose another folder with -o."
        )


def reusable(out: Path, plan: str, existing: Existing) -> Measurements | None:
    """The measurements in the folder where they are of the same plan; None where they are to be made.

    Args:
        plan: see `Measurements.plan`.
        existing: `replace` measures again in any case.

    Raises:
        CompressError: there are others, which nobody asked to replace.
    """
    file = out / FILE
    if existing == "replace" or not file.is_file():
        return None
    try:
        found = Measurements.open(file)
    except CompressError as error:
        if existing == "keep":
            return None
        raise CompressError(f"{error} Choose another folder with -o, or replace it with --force.") from error
    if found.plan == plan:
        if found.unmeasured():
            return None  # what could not be run may be able to now
        say(f"{out} holds the measurements of the same models, suite and machine already: reused.")
        return found
    if existing == "keep":
        return None
    raise CompressError(
        f"{out} holds other measurements, of {len(found.artifacts)} models ({found.created or 'no date'}). "
        "Choose another folder with -o, or replace them with --force."
    )


def set_aside(out: Path, plan: str) -> None:
    """Keep other measurements that new ones of a pipeline take the place of, beside its kept artifacts."""
    file = out / FILE
    if not file.is_file():
        return
    try:
        if Measurements.open(file).plan == plan:  # the same once more, since a model could not be run
            return
    except CompressError:
        pass  # of another version: kept, too
    there = out.absolute().parent / KEPT / f"{out.name}-{hash_file(file)[:16]}"
    try:
        there.mkdir(parents=True, exist_ok=True)
        for name in (OUTPUTS, LOST, FILE):
            if (out / name).exists():
                (out / name).rename(there / name)
    except OSError as error:
        raise CompressError(f"{out} cannot be kept as {there} ({error.strerror}). Move it yourself.") from error
    say(f"The measurements that were in {out} before are kept in {there}.")


def output_file(out: Path, name: str) -> Path:
    """The file of an artifact's generated texts, beside the measurements."""
    return out / OUTPUTS / f"{name.replace('/', '_')}.jsonl"


def remove_outputs(out: Path) -> None:
    """Remove what the artifacts of the measurements in the folder wrote: they would look like the new ones."""
    try:
        found = Measurements.open(out / FILE)
    except CompressError:
        return
    (out / LOST).unlink(missing_ok=True)
    runtimes = {str(one.condition["runtime"]) for one in found.measurements if "runtime" in one.condition}
    for one in found.artifacts:
        for name in (one.name, *(name_in(one.name, runtime) for runtime in runtimes)):
            output_file(out, name).unlink(missing_ok=True)


def _is_measurements(file: Path) -> bool:
    try:
        raw = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and {"format", "measurements"} <= set(raw)
