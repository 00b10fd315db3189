"""The one error users see: a line that says what was found, where, and what to do next."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when nothing more can be written."""


class CompressError(Exception):
    """A mistake or a condition that the user can mend; shown as one line, exit code 1."""


class BudgetNotMet(CompressError):  # noqa: N818 - it is a verdict, and reads as one
    """The pipeline ran, but its result does not meet the budget; exit code 3."""


def guess(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'precision'?"` for the nearest known word, or an empty string.

    >>> guess("precison", ["mode", "precision"])
    " Did you mean 'precision'?"
    >>> guess("zzz", ["mode", "precision"])
    ''
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def listing(names: Iterable[str]) -> str:
    """The names in order, for the end of a message: `a, b, c`."""
    return ", ".join(sorted(names))
