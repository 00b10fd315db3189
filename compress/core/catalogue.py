"""Finds techniques, tasks, metrics and runtimes by their files' names."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError, guess, listing

MARKS = {"techniques": "TECHNIQUE", "tasks": "TASK", "metrics": "METRIC", "runtimes": "RUNTIME"}
"""The kinds, and the constant that makes a file in `compress/<kind>/` one of them."""


@cache
def names(kind: str) -> tuple[str, ...]:
    """The names of a kind, in order.

    They are read from the files' text: nothing is imported, so a listing costs no torch. A trailing underscore, which
    keeps a file's name from being a Python keyword, is not part of the name.
    """
    mark = re.compile(rf"^{MARKS[kind]}\b.*=", re.MULTILINE)
    files = _folder(kind).glob("*.py")
    return tuple(sorted(_name(file) for file in files if mark.search(file.read_text(encoding="utf-8"))))


def find(kind: str, name: str) -> Any:
    """The constant (`TECHNIQUE`, `TASK`, ...) of the file with that name.

    Raises:
        CompressError: there is none; lists those there are, and a guess.
    """
    if name not in names(kind):
        one = kind.removesuffix("s")
        raise CompressError(f"Unknown {one} '{name}'.{guess(name, names(kind))} There are: {listing(names(kind))}.")
    return getattr(importlib.import_module(f"compress.{kind}.{_file(kind, name).stem}"), MARKS[kind])


@cache
def summary(kind: str, name: str) -> str:
    """The first line of the file's docstring, read without importing it."""
    module = ast.parse(_file(kind, name).read_text(encoding="utf-8"))
    return (ast.get_docstring(module) or "").split("\n", 1)[0]


def _file(kind: str, name: str) -> Path:
    candidates = [_folder(kind) / f"{name}{mark}.py" for mark in ("", "_")]
    return next(file for file in candidates if file.is_file())


def _folder(kind: str) -> Path:
    return Path(__file__).parents[1] / kind


def _name(file: Path) -> str:
    return file.stem.removesuffix("_")
