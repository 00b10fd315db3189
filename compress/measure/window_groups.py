"""Which windows of a language model's texts are one example, so that examples are independent of one another.

Windows of one text resemble their neighbours: an interval over them, drawn as if they were independent, covers 36 to 48 %
instead of 95 %. So examples are documents; or, of a running text without documents of some length, a few long blocks of
consecutive windows (batch means: Schmeiser, Operations Research 30, 1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BLOCKS = 6
"""Of a running text: fewer and longer blocks depend on one another the least, and six are the fewest that are compared."""
DOCUMENTS = 10
"""From so many documents on, each of two windows or more on average, a running text's documents are its examples."""
WINDOWS = 1000
"""The fewest windows of a running text whose own score has an interval: below, neighbouring blocks resemble each other too, and
the interval would cover 82 to 92 % instead of 95 % (docs/statistics.md). Differences between two models suffer less."""


class Groups(NamedTuple):
    """The examples that windows belong to."""

    numbers: list[int]
    """The number of the example of each window."""
    note: str | None = None
    """What a reader must know of it."""
    has_interval: bool = True
    """Whether one model's own score over these examples has an interval; a difference between two always has."""


def groups(documents: Sequence[int], *, separate: bool) -> Groups:
    """The example that each window belongs to.

    Args:
        documents: the number of the document that each window begins in, in order.
        separate: whether documents are texts of their own, which no window crosses.
    """
    count, windows = len(set(documents)), len(documents)
    if separate:
        return Groups(list(documents))
    if count >= DOCUMENTS and windows >= 2 * count:
        return Groups(list(documents), f"the interval is over {count} documents")
    parts = np.array_split(np.arange(windows), min(BLOCKS, windows))
    found = [number for number, part in enumerate(parts) for _ in part]
    over = f"over {len(parts)} consecutive blocks of about {windows / len(parts):.0f} windows each"
    if windows < WINDOWS:
        return Groups(
            found,
            f"one running text of {windows} windows, too short for an interval; of a difference it is {over}",
            False,
        )
    return Groups(found, f"one running text: the interval is {over}")
