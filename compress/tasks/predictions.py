"""What a model's scores say: a class, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.tasks.task import Task


def predictions(logits: NDArray[np.float32], task: Task) -> NDArray[np.float64]:
    """One class id for each example, or one score for a regression, [examples]."""
    return task.law.decide(logits)


def one_class(predicted: NDArray[np.float64], references: Sequence[float], task: Task) -> tuple[str, ...]:
    """A note where a model gives all examples the same class, though they have several."""
    given = np.unique(predicted)
    if not task.law.chooses or len(given) > 1 or len(set(references)) < 2:
        return ()
    return (f"it gives all {predicted.size:,} examples one class, '{task.label_names[int(given[0])]}'",)


def by_row(values: NDArray[Any], starts: NDArray[np.int64] | None) -> Any:
    """What is known of each answer, [answers, ...], as a metric takes it: an array a row where rows have several answers.

    Args:
        starts: where each row's answers begin, and the end of the last one's, [rows + 1]; None where each row has one.
    """
    return values if starts is None else np.split(values, starts[1:-1])
