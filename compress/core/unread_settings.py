"""Refuses settings that were given but would have no effect.

A technique says when each of its settings is read. Only what a user gave is looked at, on the command line or in YAML: defaults
decide nothing, and a preset's choices are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from compress.core.errors import CompressError
from compress.core.settings import Settings


@dataclass(frozen=True)
class ReadWhen:
    """When some settings are read."""

    names: tuple[str, ...]
    test: Callable[[Any], bool]
    """(settings) -> whether they are."""
    words: str
    """The same in words, after "it is used only": `with mode static`."""


def refuse_unread(settings: Settings, table: Iterable[ReadWhen]) -> None:
    """Raises a CompressError for the first setting that was given and that nothing would read."""
    given = settings.model_fields_set - settings.set_by_preset
    for rule in table:
        for name in rule.names:
            if name in given and not rule.test(settings):
                raise CompressError(f"'{name}' has no effect here: it is used only {rule.words}. Leave it out.")
