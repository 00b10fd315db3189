"""The error that users see: one line that says what was found, where, and what to do next."""

from __future__ import annotations

import difflib
import errno
import reprlib
from collections.abc import Iterable
from typing import Any

from compress.core.printable import message

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when nothing more can be written."""


class CompressError(Exception):
    """An error that the user can fix; one line of at most 500 characters, exit code 1.

    Whatever the message quotes (a name, a value, another library's words) is folded and shortened to that here.
    """

    def __init__(self, text: object = "") -> None:
        super().__init__(message(str(text)))


class BudgetNotMet(CompressError):  # noqa: N818 - it is a verdict, and reads as one
    """A pipeline or a technique ran, but its result does not meet the budget; exit code 3."""

    def __init__(self, text: object = "", result: Any = None) -> None:
        super().__init__(text)
        self.result = result
        """What was made: a pipeline's `compress.pipeline.Result`, or a technique's artifact."""


def guess(word: Any, known: Iterable[Any]) -> str:
    """`" Did you mean 'precision'?"` for the nearest known word, whatever its case, or an empty string.

    >>> guess("precison", ["mode", "precision"]), guess("SST2", ["sst2"])
    (" Did you mean 'precision'?", " Did you mean 'sst2'?")
    >>> guess("zzz", ["mode", "precision"]), guess(5, ["mode"])
    ('', '')
    """
    if not isinstance(word, str):
        return ""
    folded = {str(name).casefold(): str(name) for name in known}  # a key of YAML may be a number
    near = difflib.get_close_matches(word[:100].casefold(), folded, n=1, cutoff=0.6)
    return f" Did you mean '{folded[near[0]]}'?" if near else ""


def listing(names: Iterable[Any]) -> str:
    """The names in order, for the end of a message: `a, b, c`."""
    return ", ".join(sorted(str(one) for one in names))


def shown(value: Any, most: int = 60) -> str:
    """A user's value for a message: on one line, shortened in the middle.

    A nested value is looked into no deeper than three levels: one of nine YAML aliases within nine others, nine times over,
    would take hours to write out.

    >>> shown("one\\ntwo"), shown("x" * 100, most=12)
    ("'one\\\\ntwo'", "'xxxx...xxx'")
    """
    text = _SHORT.repr(value)
    return text if len(text) <= most else f"{text[: most - 7]}...{text[-4:]}"


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict = 3, 4, 4, 4
        self.maxstring = self.maxother = self.maxlong = 200

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python writes no more than 4,300 digits
            return f"a number of {x.bit_length()} bits"


_SHORT = _Short()
