"""The one error users see: a line that says what was found, where, and what to do next."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

from compress.printable import message

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when nothing more can be written."""


LONGEST_NAME = 200
"""Characters that are compared when a name is guessed: the comparison takes their square."""


class CompressError(Exception):
    """A mistake or a condition that the user can mend; one line of at most 500 characters, exit code 1.

    Whatever the message quotes (a name, a value, another library's words) is folded and shortened to that here.
    """

    def __init__(self, text: object = "") -> None:
        super().__init__(message(str(text)))


class BudgetNotMet(CompressError):  # noqa: N818 - it is a verdict, and reads as one
    """The pipeline ran, but its result does not meet the budget; exit code 3."""


def guess(word: object, known: Iterable[object]) -> str:
    """`" Did you mean 'precision'?"` for the nearest known word, or an empty string.

    >>> guess("precison", ["mode", "precision"])
    " Did you mean 'precision'?"
    >>> guess("zzz", ["mode", "precision"])
    ''
    """
    names = {
        str(one).lower(): str(one) for one in known
    }  # a key of YAML may be a number; case is what is mistyped most
    near = difflib.get_close_matches(str(word)[:LONGEST_NAME].lower(), names, n=1, cutoff=0.6)
    return f" Did you mean '{names[near[0]]}'?" if near else ""


def listing(names: Iterable[object]) -> str:
    """The names in order, for the end of a message: `a, b, c`."""
    return ", ".join(sorted(str(one) for one in names))
