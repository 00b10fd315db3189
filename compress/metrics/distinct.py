"""The share of distinct outputs: a model that has collapsed says the same of every input, whatever its ROUGE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from compress.metrics.metric import Undefined


@dataclass(frozen=True)
class Distinct:
    """How much the outputs of a model differ from one another."""

    share: float
    """Different texts among all outputs, above 0 to 1: 1 where all differ. White space around a text is not part of it."""
    most_common: str
    """The text that it gave most often; the first such."""
    most_common_share: float
    """The share of outputs that are this text."""
    empty_share: float
    """The share of outputs that are empty."""
    outputs: int


def distinct(outputs: Sequence[str]) -> Distinct:
    """Count the different outputs.

    It has no interval: a resample holds some outputs twice, so the bootstrap would call every model collapsed.

    Raises:
        Undefined: there are no outputs.
    """
    if not outputs:
        raise Undefined("There are no outputs, so no share of them is distinct.")
    counts = Counter(text.strip() for text in outputs)
    ((text, times),) = counts.most_common(1)
    total = len(outputs)
    return Distinct(len(counts) / total, text, times / total, counts[""] / total, total)
