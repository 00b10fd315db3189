"""An artifact is a folder with a model and the manifest of how it was made; this file reads and writes it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.core import manifest
from compress.core.distributed import is_main_process as is_main_process
from compress.core.distributed import wait_until as wait_until
from compress.core.errors import CompressError
from compress.core.manifest import FORMAT
from compress.core.manifest import MANIFEST as MANIFEST
from compress.core.model_files import openable

RESULTS = 2
"""Increased when a bug fix changes what a technique gives: what an older version made stays as it is, and is made again
where it is asked for by a new one."""
SCRATCH = ".scratch"
"""Inside a work folder: checkpoints and the like, gone when the artifact is finished."""
REPLACED = ".replaced"
"""Inside a work folder, from one rename to the next: the artifact that was at its place before."""
MARK = ".fingerprint"
"""Inside a work folder: the fingerprint of what is being made there; empty while an older run's files are removed."""
LOCK = ".lock"
OF_WORK = (SCRATCH, REPLACED, MARK, LOCK, f".{MANIFEST}.partial")
OF_THE_SYSTEM = (".DS_Store",)
"""What macOS leaves in any folder that somebody has looked into."""


@dataclass(frozen=True)
class Step:
    """One technique applied once."""

    technique: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Other artifacts that took part, by role (`teacher`), as fingerprints."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The identity of the data read: task, files' hashes, splits, rows, calibration set."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What came out: layers kept, loss, seconds, parity, learning curves. Not part of the fingerprint."""
    versions: Mapping[str, str] = field(default_factory=dict)
    compresses: bool = True
    """False for steps that make the model which is then compressed (import, finetune)."""
    results: int = 1
    """`RESULTS` when it was applied; manifests that do not say so are of the first version."""

    def identity(self) -> dict[str, Any]:
        """The part of the step that decides its result, hence its fingerprint."""
        names = ("technique", "settings", "inputs", "data", *(["results"] if self.results > 1 else []))
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Artifact:
    """A model in a folder, with its whole lineage.

    `format` is `torch` (a Hugging Face checkpoint), or `onnx` or `openvino` (graphs, tokenizer and config). `parts` names the
    graphs by what they are for (`{"model": "model.onnx"}`), empty for torch.
    """

    folder: Path
    origin: Mapping[str, Any]
    """Where the first ancestor came from: `name`, `weights` (a hash over its files)."""
    task: Mapping[str, Any] | None
    """The description of its task and data, as `compress.tasks` reads it; None while it has none."""
    format: str = "torch"
    parts: Mapping[str, str] = field(default_factory=dict)
    precision: str = "fp32"
    steps: tuple[Step, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Widths, masks, the quantization scheme, session options: what a loader or a reader needs."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> SHA-256 of every file of a finished artifact."""
    ancestors: tuple[Mapping[str, str], ...] = ()
    """`{"fingerprint", "folder"}` of each ancestor: the one at index k has the first k steps. What `resolve_model` found
    by a name has that as its `model`; in the manifest a folder is relative to the artifact's own."""

    @staticmethod
    def open(folder: Path, *, verify: bool = True) -> Artifact:
        """Open a finished artifact.

        Args:
            folder: a folder with a `manifest.json`.
            verify: hash every file and compare with the manifest (about a second a gigabyte).

        Raises:
            CompressError: there is no manifest, it is of another format, it names files outside the folder, or a file is
                missing or not as recorded.
        """
        if not (folder / MANIFEST).is_file():
            raise CompressError(_no_artifact(folder))
        raw = manifest.read(folder)
        raw.pop("fingerprint")
        try:
            steps = tuple(Step(**step) for step in raw.pop("steps"))
            artifact = Artifact(folder=folder, steps=steps, ancestors=tuple(raw.pop("ancestors")), **raw)
        except TypeError as error:
            raise CompressError(f"{folder / MANIFEST} is not a manifest ({error}). Make the artifact again.") from error
        if verify:
            artifact.check_files()
        return artifact

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether the folder holds a finished artifact; other programs write a `manifest.json` too."""
        try:
            raw = json.loads((folder / MANIFEST).read_bytes())
        except (PermissionError, ValueError, RecursionError):
            return True  # opening it says what is wrong with it
        except OSError:
            return False
        return not isinstance(raw, dict) or "format_version" in raw

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def fingerprint(self) -> str:
        """A hash of the origin and all steps' settings, inputs and data, in sixteen hexadecimal digits."""
        return digest({"format": FORMAT, "origin": self.origin["weights"], "steps": [s.identity() for s in self.steps]})

    def root(self) -> Mapping[str, str]:
        """The uncompressed model's entry, as in `ancestors`: the last model before the first compressing step."""
        prepared = next((i for i, step in enumerate(self.steps) if step.compresses), len(self.steps))
        return self._as_ancestor() if prepared == len(self.steps) else self.ancestors[prepared]

    def after(self, step: Step, folder: Path, **changes: Any) -> Artifact:
        """This artifact with one more step, in another folder."""
        changes = {"files": {}, "ancestors": (*self.ancestors, self._as_ancestor()), **changes}
        return replace(self, folder=folder, steps=(*self.steps, step), **changes)

    def manifest(self) -> dict[str, Any]:
        """The content of `manifest.json`."""
        fields = {name: value for name, value in asdict(self).items() if name != "folder"}
        own = {"format_version": FORMAT, "fingerprint": self.fingerprint()}
        return manifest.written({**own, **fields}, self.folder)

    def check_files(self) -> None:
        """Compare every file with its recorded hash.

        Raises:
            CompressError: a file is missing, truncated or changed, or one that may be opened with them is not recorded.
        """
        for name, recorded in self.files.items():
            file = self.folder / name
            if not file.is_file():
                raise CompressError(f"{file} is missing, though {MANIFEST} lists it. Make the artifact again.")
            try:
                found = hash_file(file)
            except OSError as error:
                raise CompressError(f"{file} cannot be read ({error.strerror}).") from error
            if found != recorded:
                raise CompressError(
                    f"{file} is corrupt: its hash is not the one in {MANIFEST}. Make the artifact again or restore it."
                )
        added = [file for file in openable(self.folder) if file.relative_to(self.folder).as_posix() not in self.files]
        if self.files and added:
            raise CompressError(
                f"{added[0]} is not in {MANIFEST}, and might be opened instead of the recorded files. Remove it from the folder."
            )

    def unlisted(self) -> list[str]:
        """Files in its folder that are not in the manifest, hidden files and links included: somebody else added them."""
        found = [one for one in self.folder.rglob("*") if one.is_symlink() or not one.is_dir()]
        names = [one.relative_to(self.folder) for one in found if one.name not in OF_THE_SYSTEM]
        ours = {*self.files, MANIFEST}
        return sorted(one.as_posix() for one in names if one.parts[0] not in OF_WORK and one.as_posix() not in ours)

    def save(self) -> Artifact:
        """Hash the folder's files and write the manifest, last of all; returns the artifact with its hashes."""
        saved = replace(self, files={name: hash_file(self.folder / name) for name in self._names()})
        saved.write_manifest()
        return saved

    def write_manifest(self) -> None:
        """Write the manifest, completely or not at all."""
        write_whole(self.folder / MANIFEST, json.dumps(self.manifest(), indent=1, allow_nan=False) + "\n")

    def _as_ancestor(self) -> dict[str, str]:
        mine = {"fingerprint": self.fingerprint(), "folder": str(self.folder.resolve())}
        return {**mine, "model": self.origin["model"]} if not self.steps and "model" in self.origin else mine

    def _names(self) -> list[str]:
        """The names of the folder's files, without the manifest and what belongs to the work folder."""
        files = (file.relative_to(self.folder) for file in self.folder.rglob("*") if file.is_file())
        return sorted(
            file.as_posix()
            for file in files
            if file.name != MANIFEST and not file.name.startswith(".") and file.parts[0] not in OF_WORK
        )


def finished(out: Path, fingerprint: str) -> bool:
    """Whether `out` holds the finished artifact with that fingerprint."""
    if not Artifact.is_one(out):
        return False
    try:
        return Artifact.open(out, verify=False).fingerprint() == fingerprint
    except CompressError:
        return False


def hash_file(file: Path) -> str:
    """The SHA-256 of a file, read in blocks."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hashes(files: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each file, by its name."""
    return {file.name: hash_file(file) for file in files}


def digest(value: Any) -> str:
    """A hash of a JSON value in sixteen hexadecimal digits, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_whole(file: Path, text: str) -> None:
    """Write a file completely or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _no_artifact(folder: Path) -> str:
    if folder.name and folder.with_name(f"{folder.name}.partial").exists():
        return f"{folder} is unfinished. Run its command again; it continues where it stopped."
    if not folder.exists():
        return f"{folder} does not exist. Make it, or check the path."
    if not folder.is_dir():
        return f"{folder} is a file. Give the folder that holds the model."
    if any(folder.glob("*.onnx")) or any(folder.glob("onnx/*.onnx")):
        return (
            f"{folder} holds ONNX graphs that compress did not make (there is no {MANIFEST}). "
            "Give the torch model that they were exported from."
        )
    return f"{folder} has no {MANIFEST}, so it is not an artifact. Import a model with `compress import`."
