"""The chance above which each label of a multi-label model is predicted, chosen on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.data.collate import references
from compress.distillation.scores import scores_of
from compress.tasks.kinds.laws import BINARY
from compress.tasks.predictions import THRESHOLDS

LEAST = 5
"""Rows with a label, and rows without it: with fewer nothing can be chosen, and the threshold is one half."""


def fitted(model: Any, data: Any, its_tokenizer: Any) -> dict[str, Any]:
    """An artifact's facts of its thresholds; none where labels do not stand by themselves.

    Args:
        model: in evaluation mode.
        data: the `compress.training.data.TrainingData`, whose held-out rows are read.
    """
    if data.task.law is not BINARY:
        return {}
    return chosen(
        scores_of(model, data.holdout, its_tokenizer, data.task), references(data.holdout), data.task.label_names
    )


def chosen(scores: NDArray[Any], labels: NDArray[Any], names: Sequence[str]) -> dict[str, Any]:
    """The threshold of each label with the best F1 on these rows: half-way between the two scores that it parts.

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
