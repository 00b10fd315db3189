"""`manifest.json`: read with every field checked, and written without a path of this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from compress.core.errors import CompressError

FORMAT = 1
MANIFEST = "manifest.json"
WORDS = {str: "a text", dict: "a mapping", list: "a list", bool: "true or false", int: "a whole number"}
FIELDS: Mapping[str, type] = {
    "fingerprint": str,
    "origin": dict,
    "format": str,
    "parts": dict,
    "precision": str,
    "steps": list,
    "facts": dict,
    "files": dict,
    "ancestors": list,
}
STEP: Mapping[str, type] = {
    "technique": str,
    "settings": dict,
    "inputs": dict,
    "data": dict,
    "facts": dict,
    "versions": dict,
    "compresses": bool,
    "results": int,
}


def read(folder: Path) -> dict[str, Any]:
    """The manifest in a folder, with absolute paths: `data` of the task, `folder` of each ancestor.

    Raises:
        CompressError: there is none that can be read, a field is of another type than it should be, or it names a file
            outside its folder.
    """
    file = folder / MANIFEST
    try:
        raw = json.loads(file.read_bytes())
        if not isinstance(raw, dict):
            raise ValueError(f"it holds {type(raw).__name__}, not a mapping")
        if raw.pop("format_version") != FORMAT:
            raise CompressError(f"{file} was written in another format than {FORMAT}. Make the artifact again.")
        _check(raw)
    except OSError as error:
        raise CompressError(f"{file} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise CompressError(f"{file} is not a manifest ({str(error)[:200]}). Make the artifact again.") from error
    except KeyError as error:
        raise CompressError(f"{file} is not a manifest ({error} is missing). Make the artifact again.") from error
    for name in (*raw["files"], *raw.get("parts", {}).values()):
        _check_inside(folder, name)
    here = folder.resolve()
    return _with_paths(raw, lambda path: os.path.normpath(here / path))


def written(fields: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The fields with their paths relative to the folder, so that a whole project can be moved; of what has a name on the
    hub, the name alone stands."""
    here = folder.resolve()
    raw = _with_paths(fields, lambda path: Path(os.path.relpath(os.path.realpath(path), here)).as_posix())
    ancestors = [
        {key: value for key, value in one.items() if key != "folder" or "model" not in one} for one in raw["ancestors"]
    ]
    return {**raw, "ancestors": ancestors}


def _with_paths(raw: Mapping[str, Any], turned: Callable[[str], str]) -> dict[str, Any]:
    task: Any = raw.get("task")
    data = task.get("data") if task else None
    if isinstance(data, str):
        task = {**task, "data": turned(data)}
    elif isinstance(data, Mapping):
        task = {**task, "data": {key: turned(str(value)) for key, value in data.items()}}
    ancestors = [
        {key: turned(value) if key == "folder" else value for key, value in one.items()}
        for one in raw.get("ancestors", ())
    ]
    return {**raw, "task": task, "ancestors": ancestors}


def _check(raw: Mapping[str, Any]) -> None:
    """Raises ValueError for a field of another type, KeyError for one that is missing."""
    for name in ("fingerprint", "origin", "steps", "files"):
        raw[name]
    _check_types(raw, FIELDS, "")
    task = raw.get("task")
    if task is not None and (not isinstance(task, dict) or not isinstance(task.get("name"), str)):
        raise ValueError("'task' is not a mapping with a name")
    for name in ("name", "weights"):
        if not isinstance(raw["origin"][name], str):
            raise ValueError(f"the origin's '{name}' is not a text")
    for name in ("files", "parts"):
        if not all(isinstance(one, str) for one in raw.get(name, {}).values()):
            raise ValueError(f"'{name}' holds something that is not a text")
    for step in raw["steps"]:
        if not isinstance(step, dict):
            raise ValueError("a step is not a mapping")
        _check_types(step, STEP, "a step's ")
    ancestors = raw.get("ancestors", [])
    if len(ancestors) != len(raw["steps"]):
        raise ValueError(f"there are {len(ancestors)} ancestors of {len(raw['steps'])} steps")
    for one in ancestors:
        if not isinstance(one, dict) or not all(isinstance(value, str) for value in one.values()):
            raise ValueError("an ancestor is not a mapping of texts")
        if "fingerprint" not in one or not {"folder", "model"} & set(one):
            raise ValueError("an ancestor has no fingerprint or no folder")
    if raw.get("format", "torch") not in ("torch", "onnx", "openvino"):
        raise ValueError("'format' is not torch, onnx or openvino")
    if not raw["files"]:
        raise ValueError("it lists no files")


def _check_types(raw: Mapping[str, Any], kinds: Mapping[str, type], whose: str) -> None:
    for name, kind in kinds.items():
        if name in raw and (not isinstance(raw[name], kind) or (kind is int and isinstance(raw[name], bool))):
            raise ValueError(f"{whose}'{name}' is not {WORDS[kind]}")


def _check_inside(folder: Path, name: str) -> None:
    """Raises a CompressError for a file that is not in the folder: a manifest must not choose which other files are read."""
    path = PurePosixPath(name)
    is_outside = path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name or "\\" in name
    if not is_outside:
        try:
            is_outside = not (folder / name).resolve().is_relative_to(folder.resolve())
            (folder / name).stat()
        except FileNotFoundError:
            pass
        except (
            OSError,
            RuntimeError,
            ValueError,
        ):  # no name of a file: too long, links that lead round, half a surrogate
            is_outside = True
    if is_outside:
        raise CompressError(
            f"{folder / MANIFEST} names a file outside its folder ({name[:100]!r}), so the artifact is not opened."
        )
