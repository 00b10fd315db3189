"""Matches patterns of layer names (`*.layer.0.*`); a pattern without a match is refused with the nearest names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from compress.core.errors import CompressError
from compress.core.printable import shortened

SHOWN = 3
"""Names in a message."""


def check(patterns: Iterable[str], names: Iterable[str], setting: str, what: str) -> None:
    """Raises a CompressError for the first pattern that matches none of the names.

    Args:
        names: of all that the patterns could keep from being changed.
        setting: for the message: `exclude`.
        what: the same for what would happen to them: `quantized`.
    """
    known = list(dict.fromkeys(name for name in names if name))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            if not known:
                raise CompressError(
                    f"{setting}: '{shortened(pattern, 80)}' matches nothing, since nothing in this model would be {what}."
                )
            shown = "; ".join(shortened(name, 80) for name in nearest(pattern, known))
            raise CompressError(
                f"{setting}: '{shortened(pattern, 80)}' matches nothing that would be {what}. Names are, for example, {shown}. "
                "`*` stands for any part of a name."
            )


def nearest(pattern: str, names: Iterable[str]) -> list[str]:
    """The names most similar to a pattern, by their most similar part.

    >>> nearest("*.atention.*", ["encoder.0.attention.query", "encoder.0.ffn", "lm_head"])[0]
    'encoder.0.attention.query'
    """
    words = [word for word in pattern.replace("*", " ").replace(".", " ").split() if word] or [pattern]

    def likeness(name: str) -> float:
        parts = [*name.split("."), name]
        return sum(max(difflib.SequenceMatcher(None, word, part).ratio() for part in parts) for word in words)

    return sorted(names, key=likeness, reverse=True)[:SHOWN]
