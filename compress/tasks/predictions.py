"""Turns a model's scores into predictions, per answer and per example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import NO_LABEL
from compress.tasks.kinds.thresholds import shifted
from compress.tasks.task import Task


def predictions(scores: NDArray[Any], task: Task, thresholds: Sequence[float] | None = None) -> NDArray[np.float64]:
    """What is predicted for each answer, see `compress.tasks.kinds.laws.Law.decide`.

    Args:
        scores: [answers, outputs].
        thresholds: of labels each by itself, the chance above which each is predicted; one half where there are none.
    """
    return task.law.decide(shifted(scores, thresholds) if task.is_multi_label else scores)


def one_class(predicted: NDArray[np.float64], references: Sequence[Any], task: Task) -> tuple[str, ...]:
    """A note where a model gives all answers the same class, though they have several.

    Args:
        predicted: class ids, [answers]; other predictions are passed over.
        references: the right ones, of each example or of each of its words.
    """
    if not task.law.chooses or predicted.ndim > 1:
        return ()
    given = np.unique(predicted)
    right = np.concatenate(references) if len(references) and np.ndim(references[0]) else references
    if len(given) > 1 or len({one for one in np.asarray(right).tolist() if one != NO_LABEL}) < 2:
        return ()
    many = "words" if task.of_kind.reads_words else "examples"
    return (f"it gives all {predicted.size:,} {many} one class, '{task.label_names[int(given[0])]}'",)


def by_row(values: NDArray[Any], starts: NDArray[np.int64] | None) -> Any:
    """What is known of each answer, [answers, ...], as a metric takes it: an array a row where rows have several answers.

    Args:
        starts: where each row's answers begin, and the end of the last one's, [rows + 1]; None where each row has one.
    """
    return values if starts is None else np.split(values, starts[1:-1])
