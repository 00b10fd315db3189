"""An artifact is a folder that holds a model and the manifest of how it came to be; this file reads and writes it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.distributed import is_main_process as is_main_process
from compress.distributed import wait_until as wait_until
from compress.errors import CompressError

FORMAT = 1
MANIFEST = "manifest.json"
SCRATCH = ".scratch"
"""Inside a work folder: checkpoints and the like, gone when the artifact is finished."""
REPLACED = ".replaced"
"""Inside a work folder, from one rename to the next: the artifact that was at its place before."""
OF_WORK = (SCRATCH, REPLACED)


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

    def identity(self) -> dict[str, Any]:
        """The part of the step that decides its result, hence its fingerprint."""
        return {name: getattr(self, name) for name in ("technique", "settings", "inputs", "data")}


@dataclass(frozen=True)
class Artifact:
    """A model in a folder, with its whole lineage.

    `format` is `torch` (a Hugging Face checkpoint) or `onnx` (graphs, tokenizer and config). `parts` names the graphs
    by what they are for (`{"model": "model.onnx"}`), empty for torch.
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
    """`{"fingerprint", "folder"}` of each ancestor: the one at index k has the first k steps."""

    @staticmethod
    def open(folder: Path, *, verify: bool = True) -> Artifact:
        """Open a finished artifact.

        Args:
            folder: a folder with a `manifest.json`.
            verify: hash every file and compare with the manifest (about a second a gigabyte).

        Raises:
            CompressError: there is no manifest, it is of another format, or a file is missing or not as recorded.
        """
        manifest = folder / MANIFEST
        if not manifest.is_file():
            raise CompressError(_no_artifact(folder))
        try:
            raw = json.loads(manifest.read_text())
            if raw.pop("format_version") != FORMAT:
                raise CompressError(f"{manifest} was written in another format than {FORMAT}. Make the artifact again.")
            raw.pop("fingerprint")
            steps = tuple(Step(**step) for step in raw.pop("steps"))
            artifact = Artifact(folder=folder, steps=steps, ancestors=tuple(raw.pop("ancestors")), **raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CompressError(f"{manifest} is not a manifest ({error}). Make the artifact again.") from error
        if verify:
            artifact.check_files()
        return artifact

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether the folder holds a finished artifact; other programs write a `manifest.json` too, which is none of ours."""
        manifest = folder / MANIFEST
        try:
            raw = json.loads(manifest.read_bytes())
        except OSError:
            return False
        except (ValueError, RecursionError):
            return True  # a damaged one: opening it says so
        return not isinstance(raw, dict) or "format_version" in raw

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over the origin and all the steps' settings, inputs and data."""
        return digest({"format": FORMAT, "origin": self.origin["weights"], "steps": [s.identity() for s in self.steps]})

    def root(self) -> Mapping[str, str]:
        """`{"fingerprint", "folder"}` of the uncompressed model: the last one before the first step that compresses."""
        prepared = next((i for i, step in enumerate(self.steps) if step.compresses), len(self.steps))
        if prepared == len(self.steps):
            return {"fingerprint": self.fingerprint(), "folder": str(self.folder.resolve())}
        return self.ancestors[prepared]

    def after(self, step: Step, folder: Path, **changes: Any) -> Artifact:
        """This artifact with one more step, in another folder."""
        mine = {"fingerprint": self.fingerprint(), "folder": str(self.folder.resolve())}
        changes = {"files": {}, **changes}
        return replace(self, folder=folder, steps=(*self.steps, step), ancestors=(*self.ancestors, mine), **changes)

    def manifest(self) -> dict[str, Any]:
        """All that is written to `manifest.json`."""
        fields = {name: value for name, value in asdict(self).items() if name != "folder"}
        return {"format_version": FORMAT, "fingerprint": self.fingerprint(), **fields}

    def check_files(self) -> None:
        """Compare every file with its recorded hash.

        Raises:
            CompressError: a file is missing, truncated or changed.
        """
        for name, recorded in self.files.items():
            file = self.folder / name
            if not file.is_file():
                raise CompressError(f"{file} is missing, though {MANIFEST} lists it. Make the artifact again.")
            if hash_file(file) != recorded:
                raise CompressError(
                    f"{file} is corrupt: its hash is not the one in {MANIFEST}. Make the artifact again or restore it."
                )

    def unlisted(self) -> list[str]:
        """The files in its folder that the manifest does not list: somebody else put them there."""
        return [name for name in self._names() if name not in self.files]

    def save(self) -> Artifact:
        """Hash the folder's files and write the manifest, last of all; returns the artifact with its hashes."""
        saved = replace(self, files={name: hash_file(self.folder / name) for name in self._names()})
        write_whole(self.folder / MANIFEST, json.dumps(saved.manifest(), indent=1, allow_nan=False) + "\n")
        return saved

    def _names(self) -> list[str]:
        """The names of the folder's files, without the manifest and what belongs to the work folder."""
        files = (file.relative_to(self.folder) for file in self.folder.rglob("*") if file.is_file())
        return sorted(
            file.as_posix()
            for file in files
            if file.name != MANIFEST and not file.name.startswith(".") and file.parts[0] not in OF_WORK
        )


def hash_file(file: Path) -> str:
    """The SHA-256 of a file, read in blocks."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits over a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_whole(file: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def _no_artifact(folder: Path) -> str:
    if folder.with_name(folder.name + ".partial").exists():
        return f"{folder} is unfinished. Run the command that makes it again; it continues where it stopped."
    if not folder.exists():
        return f"{folder} does not exist. Make it, or check the path."
    return f"{folder} has no {MANIFEST}, so it is not an artifact. Bring a model in with `compress import`."
