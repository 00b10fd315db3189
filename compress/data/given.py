"""The task given to a command or a pipeline: a name, a file or a mapping, with absolute paths of its data.

Paths in a file are relative to that file; those that are typed, to the current folder. An artifact remembers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.core import settings
from compress.core.errors import CompressError, shown
from compress.core.paths import named
from compress.data.sources import is_file, is_folder, split_by_name

FILES = (".yaml", ".yml", ".json")
"""What ends the name of a file that describes a task."""


def described(task: Any, beside: Path, *, is_final: bool = True) -> dict[str, Any]:
    """The description of what stands under `task:` or after `--task`: a name, a file that describes one, or a mapping.

    Args:
        beside: the folder from which paths go.
        is_final: False where what it says of data may be changed yet: then no message says that the data is elsewhere.

    Raises:
        CompressError: it is none of these, a path is none, the file cannot be read, or its data lies in the current folder
            and not beside it.
    """
    if isinstance(task, str) and task.endswith(FILES):
        return _read(_at(beside, task), is_final)
    if isinstance(task, str):
        return {"name": task}
    if not isinstance(task, Mapping):
        raise CompressError(
            f"A task is a name, a file or a mapping, not {shown(task)}. Write `task: {{name: sst2, data: FOLDER}}`."
        )
    return _absolute(task, beside, is_final)


def given(
    name: str | Path | Mapping[str, Any] | None,
    data: str | Path | Mapping[str, Any] | None,
    rows: int | None,
    own: Mapping[str, Any] | None,
    split: str,
    *,
    allow_overlap: bool = False,
) -> Any:
    """The description that a command's options, or a Python function's parameters, make of a model's own task.

    Args:
        name: of a task, a file that describes one, or a description; None for the model's own.
        data: a folder; a file, which is the split that its name tells, else the command's; or a file for each split.
        rows: the most rows of that split.
        own: the model's task.
        split: what the command reads: `train`, or `evaluation` where it measures.
        allow_overlap: go on although many of the evaluation rows stand in the training rows.

    Raises:
        CompressError: see `described`; or there is no task.
    """
    if allow_overlap:
        found = given(name, data, rows, own, split)
        return found and {**found, "allow_overlap": True}
    name = str(name) if isinstance(name, Path) else name
    if name is None and data is None and rows is None:
        return own
    if name is None:
        if own is None:
            option = "--data" if data is not None else "--rows"
            raise CompressError(f"{option} needs --task: the model has no task of its own.")
        description = dict(own)
    elif own is not None and own.get("name") == name:
        description = dict(own)
    else:
        description = described(name, Path(), is_final=data is None)
        if own is not None and own.get("labels_from") and own.get("name") == description.get("name"):
            # Tags found in the training rows: those of other rows may be fewer.
            description = {key: own[key] for key in ("labels", "labels_from")} | description
    if data is not None:
        description = _absolute({**description, "data": data}, Path(), True)
    file = description.get("data")
    if isinstance(file, str) and is_file(Path(file)):
        description["data"] = {split_by_name(Path(file)) or split: file}
    if rows is not None:
        limit = description.get("limit")
        description["limit"] = {**(limit if isinstance(limit, Mapping) else {}), split: rows}
    return description


def _read(file: Path, is_final: bool) -> dict[str, Any]:
    values, _ = settings.read_yaml(file)
    if "task" not in values or "name" in values:
        return _absolute(values, file.parent, is_final)
    others = [key for key in values if key != "task"]
    if others and "steps" not in values:  # a pipeline's task is meant, where there are steps
        raise CompressError(f"{file} has {shown(others[0])} beside `task:`. Write all that a task has below `task:`.")
    inner = values["task"]
    if isinstance(inner, str) and inner.endswith(FILES):
        raise CompressError(f"{file} names the file {shown(inner)} under `task:`. Give that file.")
    return described(inner, file.parent, is_final=is_final)


def _absolute(description: Mapping[str, Any], beside: Path, is_final: bool) -> dict[str, Any]:
    data = description.get("data")
    if isinstance(data, str | Path):
        return {**description, "data": _place(str(data), beside, is_final)}
    if isinstance(data, Mapping):
        places = {
            split: _place(str(file), beside, is_final) if isinstance(file, str | Path) else file
            for split, file in data.items()
        }
        return {**description, "data": places}
    return dict(description)


def _place(data: str, beside: Path, is_final: bool) -> str:
    place, here = _at(beside, data), _at(Path(), data)
    if is_final and not _exists(place) and _exists(here):
        raise CompressError(
            f"The data {shown(data)} is looked for beside the file that names it, in {beside}, where it is not; it is in the "
            "current folder. Write its path as seen from that file, or give it with --data or --set task.data=PATH."
        )
    return str(place)


def _at(folder: Path, name: str) -> Path:
    return (folder / named(name)).resolve()


def _exists(path: Path) -> bool:
    return is_file(path) or is_folder(path)
