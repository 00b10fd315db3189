"""Settings: a validated class, made from what a user writes, with names guessed and lines of YAML in the errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from compress.errors import CompressError, guess, listing

Model = TypeVar("Model", bound=BaseModel)
Lines = Mapping[tuple[str, ...], int]
"""The line of each key of a YAML file, by the path of keys that leads to it."""


class Settings(BaseModel):
    """The base of all settings: validated, frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def build(model: type[Model], values: Mapping[str, Any], where: str, lines: Lines | None = None) -> Model:
    """The settings object for the values a user wrote.

    Args:
        where: what is named in an error: `step 'int8' of my.yaml`.
        lines: the line of each key, by its path within `values`.

    Raises:
        CompressError: a name is unknown (with a guess), missing, or a value does not fit.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise CompressError(_message(model, error, where, lines or {})) from error


def read_yaml(file: Path) -> tuple[dict[str, Any], Lines]:
    """A YAML mapping, loaded safely, with the line of each of its keys.

    Raises:
        CompressError: the file is missing, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CompressError(f"{file} does not exist. Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CompressError(f"{file} cannot be read ({error}).") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CompressError(f"{file} line {line} is not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise CompressError(f"{file} is not YAML: {error}.") from error
    if not isinstance(values, dict):
        raise CompressError(f"{file} is not a mapping. It starts with lines such as `model: runs/teacher`.")
    lines: dict[tuple[str, ...], int] = {}
    _note_lines(node, (), lines, file)
    return values, lines


def below(lines: Lines, *path: str) -> Lines:
    """The lines of the keys below a path, by their path from there."""
    return {key[len(path) :]: line for key, line in lines.items() if key[: len(path)] == path and len(key) > len(path)}


def _message(model: type[BaseModel], error: ValidationError, where: str, lines: Lines) -> str:
    first = error.errors(include_url=False)[0]
    path = tuple(str(part) for part in first["loc"])
    name = ".".join(path)
    line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
    place = f"{where} line {line}" if line else where
    if first["type"] == "extra_forbidden":
        known = model.model_fields
        return f"Unknown setting '{path[-1]}' in {place}.{guess(path[-1], known)} There are: {listing(known)}."
    if first["type"] == "missing":
        return f"The setting '{name}' is missing in {place}."
    reason = str(first["msg"]).removeprefix("Value error, ")
    subject = f"'{name}' is {first['input']!r} in {place}: " if path else f"In {place}: "
    return f"{subject}{reason}."


def _note_lines(node: yaml.Node | None, path: tuple[str, ...], lines: dict[tuple[str, ...], int], file: Path) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*path, str(key.value))
        if here in lines:
            raise CompressError(f"{file} line {key.start_mark.line + 1} has '{key.value}' a second time. Keep one.")
        lines[here] = key.start_mark.line + 1
        _note_lines(value, here, lines, file)
