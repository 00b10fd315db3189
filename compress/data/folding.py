"""Texts without case, space and punctuation: what is equal then is one text to a reader, and near enough to a model."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable


class _Plain(dict[int, str | None]):
    """What becomes of a character, by its code: nothing of punctuation, spaces and control characters."""

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
