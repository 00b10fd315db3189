"""What a model's scores say: a class, or a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compress.tasks.task import Task


def predictions(logits: NDArray[np.float32], task: Task) -> NDArray[np.float64]:
    """One class id for each example, or one score for a regression, [examples]."""
    if task.kind == "regression":
        return logits[:, 0].astype(np.float64)
    return logits.argmax(axis=1).astype(np.float64)


def one_class(predicted: NDArray[np.float64], references: Sequence[float], task: Task) -> tuple[str, ...]:
    """A note where a model gives all examples the same class, though they have several."""
    given = np.unique(predicted)
    if task.kind != "classification" or len(given) > 1 or len(set(references)) < 2:
        return ()
    return (f"it gives all {predicted.size:,} examples one class, '{task.label_names[int(given[0])]}'",)
