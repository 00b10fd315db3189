"""The inputs of a report: files of measurements, and manifests of artifacts that were not measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.core.artifact import MANIFEST
from compress.core.errors import CompressError
from compress.core.measurement import CONFIRMATION, FILE, Measurements


@dataclass(frozen=True)
class Unmeasured:
    """An artifact without measurements."""

    folder: Path
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """All results."""

    runs: tuple[tuple[Path, Measurements], ...]
    """The files of measurements, newest first."""
    unmeasured: tuple[Unmeasured, ...]


def find(sources: Sequence[Path]) -> Sources:
    """Read every `measurements.json` and every artifact's manifest in the folders, however deep, and the files named.

    Folders whose names begin with a dot or end in `.partial` are left out: what lies there is not finished.

    Raises:
        CompressError: a source does not exist, nothing was measured, or a file cannot be read.
    """
    # Named as the user named them, each once however many sources hold it.
    files = list({file.resolve(): file for source in sources for file in _files(source)}.values())
    runs = [(file, Measurements.open(file)) for file in files if file.name != MANIFEST]
    if not runs:
        names = ", ".join(str(source) for source in sources) or "no source"
        raise CompressError(
            f"There are no measurements in {names}. Make some with `compress benchmark ARTIFACT -o FOLDER`."
        )
    runs.sort(key=lambda run: run[1].created, reverse=True)
    measured = {artifact.fingerprint for _, run in runs for artifact in run.artifacts}
    manifests = [(file.parent, _manifest(file)) for file in files if file.name == MANIFEST]
    unmeasured = [Unmeasured(*one) for one in manifests if one[1].get("fingerprint") not in measured]
    return Sources(tuple(runs), tuple(unmeasured))


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    elif source.is_dir():
        for file in sorted(source.rglob("*.json")):
            folders = file.relative_to(source).parts[:-1]
            unfinished = any(name.startswith(".") or name.endswith(".partial") for name in folders)
            # It is shown beside the run that it confirms.
            confirms = file.parent.name == CONFIRMATION and (file.parent.parent / FILE).is_file()
            if file.name in {FILE, MANIFEST} and not unfinished and not confirms:
                yield file
    else:
        raise CompressError(f"{source} does not exist. Name a folder of runs, or a {FILE}.")


def _manifest(file: Path) -> dict[str, Any]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CompressError(f"{file} is not a manifest ({error}). Make the artifact again.") from error
    return raw if isinstance(raw, dict) else {}
