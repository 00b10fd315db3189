"""The settings of a task's text files: separator, quoting, encoding."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from compress.core.settings import Settings
from compress.data import decoding


def _separator(value: str) -> str:
    if len(value) != 1 or value in '"\r\n\0':
        raise ValueError('Write one character, as ";" or "\\t"')
    return value


def _encoding(value: str) -> str:
    if not decoding.is_encoding(value):
        raise ValueError("Name an encoding that Python knows, as utf-8, utf-16, windows-1252 or gb18030")
    return value


class FileSettings(Settings):
    """The settings of a task's text files; None if the file or its format decides."""

    separator: Annotated[str, AfterValidator(_separator)] | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    quoting: Literal["csv", "none"] | None = None
