"""Normalizes texts without case, space and punctuation, to find near duplicates."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable


class _Plain(dict[int, str | None]):
    """Maps characters by code; punctuation, spaces and control characters are removed."""

    def __missing__(self, code: int) -> str | None:
        letter = chr(code)
        goes = letter in string.punctuation or unicodedata.category(letter)[0] in "PZC"
        self[code] = None if goes else letter
        return self[code]


_PLAIN = _Plain()


def folded(texts: Iterable[str]) -> str:
    """The texts of a row as one; a text that is nothing but punctuation stays as it is.

    >>> folded(["Don't  stop!", "..."]) == folded(["do n't stop .", "..."])
    True
    """
    return "\x1f".join(text.casefold().translate(_PLAIN) or text for text in texts)
