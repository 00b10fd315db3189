"""Chooses the runtime that opens an artifact: the one given by name, else the default of its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.errors import CompressError, listing
from compress.runtimes.runtime import Runtime

DEFAULTS: Mapping[str, str] = {"torch": "pytorch", "onnx": "onnx_runtime", "openvino": "openvino"}
"""The runtime of each format where none is asked for. A further runtime serves where it is named, and nowhere else."""


def find(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        CompressError: there is none, or its package is not installed here.
    """
    runtime: Runtime = catalogue.find("runtimes", name)
    if runtime.version() is None:
        raise CompressError(f"The runtime '{name}' needs a package: {runtime.how_to_install}")
    return runtime


def defaults() -> list[Runtime]:
    """The default runtimes that are installed here."""
    found: list[Runtime] = [catalogue.find("runtimes", name) for name in DEFAULTS.values()]
    return [one for one in found if one.version() is not None]


def default(artifact: Artifact) -> Runtime:
    """The default runtime of a format."""
    runtime: Runtime = catalogue.find("runtimes", DEFAULTS[artifact.format])
    return runtime


def runtime_for(artifact: Artifact, name: str | None = None) -> Runtime:
    """The runtime asked for by name, or the default one.

    Raises:
        CompressError: there is none of that name, its package is not installed, or it opens no artifacts of that format.
    """
    if name is None:
        return default(artifact)
    runtime = find(name)
    if artifact.format not in runtime.formats:
        raise CompressError(f"{artifact.folder}: {not_opened(artifact, [runtime])}")
    return runtime


def not_opened(artifact: Artifact, asked: Sequence[Runtime]) -> str:
    """Why none of these runtimes opens an artifact of that format, and what to do."""
    formats = [f"{one.name} opens {listing(sorted(one.formats))} artifacts" for one in asked]
    others = f"ask for {DEFAULTS[artifact.format]}"
    if artifact.format == "torch" and any("onnx" in one.formats for one in asked):
        others += ", or export it first (`compress export`)"
    return f"{', '.join(formats)}, and this one is {artifact.format}: {others}"
