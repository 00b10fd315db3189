"""Which windows of a language model's texts are one example, so that examples are independent of one another.

Windows of one text resemble their neighbours: an interval over them, drawn as if they were independent, covers 36 to 48 %
instead of 95 %. So examples are documents; or, of a running text without documents of some length, a few long blocks of
consecutive windows (batch means: Schmeiser, Operations Research 30, 1982).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCKS = 6
"""Of a running text: fewer and longer blocks depend on one another the least, and six are the fewest that are compared."""
DOCUMENTS = 10
"""From so many documents on, each of two windows or more on average, a running text's documents are its examples."""


def groups(documents: Sequence[int], *, separate: bool) -> tuple[list[int], str | None]:
    """The number of the example that each window belongs to, and what a reader must know of it.

    Args:
        documents: the number of the document that each window begins in, in order.
        separate: whether documents are texts of their own, which no window crosses.
    """
    count = len(set(documents))
    if separate:
        return list(documents), None
    if count >= DOCUMENTS and len(documents) >= 2 * count:
        return list(documents), f"the interval is over {count} documents"
    parts = np.array_split(np.arange(len(documents)), min(BLOCKS, len(documents)))
    found = [number for number, part in enumerate(parts) for _ in part]
    long = f"about {len(documents) / len(parts):.0f} windows"
    return found, f"one running text: the interval is over {len(parts)} consecutive blocks of {long} each"
