"""The chance above which each label of a multi-label model is predicted: chosen on held-out rows, kept, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.tasks.kinds.laws import BINARY

THRESHOLDS = "thresholds"
"""The name, in an artifact's facts, of the chance above which each label is predicted, by the label's name."""


def shifted(scores: NDArray[Any], thresholds: Sequence[float] | None) -> NDArray[Any]:
    """Scores that are above 0 where a label's chance is above its threshold, [answers, labels]."""
    if thresholds is None:
        return scores
    chances = np.asarray(thresholds, dtype=np.float64)
    return scores - np.log(chances / (1 - chances))


def thresholds_of(facts: Mapping[str, Any], names: Sequence[str]) -> tuple[float, ...] | None:
    """The thresholds that an artifact's facts hold, in the order of its outputs; None where they hold none for all of them.

    Args:
        names: what the model calls its outputs.
    """
    kept = facts.get(THRESHOLDS)
    if not isinstance(kept, Mapping) or not all(isinstance(kept.get(name), float) for name in names):
        return None
    found = tuple(float(kept[name]) for name in names)
    return found if all(0 < one < 1 for one in found) else None


LEAST = 5
"""Rows with a label, and rows without it: with fewer nothing can be chosen, and the threshold is one half."""


def chosen(scores: NDArray[Any], labels: NDArray[Any], names: Sequence[str]) -> dict[str, Any]:
    """The threshold of each label with the best F1 on these rows: half-way between the two scores that it separates.

    Args:
        scores: [rows, labels].
        labels: 0 or 1, [rows, labels].
        names: of the labels.
    """
    chances = BINARY.probabilities(scores)
    found = {name: _best(chances[:, place], labels[:, place] > 0) for place, name in enumerate(names)}
    return {THRESHOLDS: found}


def _best(chances: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    if min(right.sum(), (~right).sum()) < LEAST:
        return 0.5
    order = np.argsort(-chances, kind="stable")
    sorted_chances, hits = chances[order], np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + right.sum())
    f1[:-1][sorted_chances[:-1] == sorted_chances[1:]] = 0  # equal chances cannot be parted
    best = int(f1.argmax())
    below = sorted_chances[best + 1] if best + 1 < len(hits) else 0.0
    return float(np.clip((sorted_chances[best] + below) / 2, 1e-6, 1 - 1e-6))
