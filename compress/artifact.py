"""An artifact is a folder that holds a model and the manifest of how it came to be; this file reads and writes it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.distributed import is_main_process as is_main_process
from compress.distributed import wait_until as wait_until
from compress.errors import CompressError

FORMAT = 1
MANIFEST = "manifest.json"
MARK = ".fingerprint"
"""Inside a work folder: the fingerprint of what is being made there."""
SCRATCH = ".scratch"
"""Inside a work folder: checkpoints and the like, gone when the artifact is finished."""


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
        """Whether the folder holds a finished artifact."""
        return (folder / MANIFEST).is_file()

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

    def save(self) -> Artifact:
        """Hash the folder's files and write the manifest, last of all; returns the artifact with its hashes."""
        names = sorted(
            str(file.relative_to(self.folder))
            for file in self.folder.rglob("*")
            if file.is_file() and file.name != MANIFEST and SCRATCH not in file.parts and not file.name.startswith(".")
        )
        saved = replace(self, files={name: hash_file(self.folder / name) for name in names})
        write_whole(self.folder / MANIFEST, json.dumps(saved.manifest(), indent=1, allow_nan=False) + "\n")
        return saved


@contextmanager
def work_folder(out: Path, fingerprint: str) -> Iterator[Path]:
    """`<out>.partial/`, kept from an earlier, interrupted run when that one had the same fingerprint.

    Leaving the block by an exception keeps the folder, so that the same command goes on from there.

    Raises:
        CompressError: another process is writing the same artifact, or the folder cannot be made.
    """
    partial = out.with_name(out.name + ".partial")
    if not is_main_process():
        wait_until(
            lambda: _marked(partial) == fingerprint or Artifact.is_one(out), f"the first process to make {partial}"
        )
        yield partial
        return
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompressError(f"{partial} cannot be made ({error.strerror}). Choose another place with -o.") from error
    with (partial / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CompressError(f"{partial} is being written by another process. Wait for it, or stop it.") from error
        if _marked(partial) != fingerprint:
            for leftover in partial.iterdir():
                if leftover.name != ".lock":
                    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            (partial / SCRATCH).mkdir()
            (partial / MARK).write_text(fingerprint)
        yield partial


def finish(artifact: Artifact, out: Path) -> Artifact:
    """Write the manifest into the work folder and rename it into place whole.

    An artifact that was at `out` before is replaced; its folder is removed after the new one stands.
    """
    partial = artifact.folder
    if not is_main_process():
        wanted = artifact.fingerprint()
        wait_until(
            lambda: Artifact.is_one(out) and Artifact.open(out, verify=False).fingerprint() == wanted,
            f"the first process to finish {out}",
        )
        return Artifact.open(out, verify=False)
    artifact.save()  # before the checkpoints go: a full disk must not cost the training
    shutil.rmtree(partial / SCRATCH, ignore_errors=True)
    umask = os.umask(0)
    os.umask(umask)
    for file in partial.rglob("*"):
        if (
            file.is_file()
        ):  # safetensors writes files that only their owner may read, and an artifact is made to be served
            file.chmod(0o666 & ~umask)
    former = out.with_name(out.name + ".replaced.partial")
    shutil.rmtree(former, ignore_errors=True)
    if out.exists():
        out.rename(former)
    partial.rename(out)
    for mark in (MARK, ".lock"):
        (out / mark).unlink(missing_ok=True)
    shutil.rmtree(former, ignore_errors=True)
    return Artifact.open(out, verify=False)


def _marked(partial: Path) -> str | None:
    try:
        return (partial / MARK).read_text()
    except OSError:
        return None


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
