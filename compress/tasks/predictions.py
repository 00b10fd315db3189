"""What is noted of a model's predictions, and predictions by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import NO_LABEL
from compress.tasks.task import Task


def one_class(predicted: Any, references: Sequence[Any], task: Task) -> tuple[str, ...]:
    """A note where a model gives all answers the same class, though they have several.

    Args:
        predicted: class ids, [answers], or an array of them an example; other predictions are passed over.
        references: the right ones, of each example or of each of its words.
    """
    if not task.law.chooses or not task.label_names:
        return ()
    answers = predicted if isinstance(predicted, np.ndarray) else np.concatenate(predicted)
    if answers.ndim > 1:
        return ()
    answers = answers[answers != NO_LABEL]
    given = np.unique(answers)
    right = np.concatenate(references) if len(references) and np.ndim(references[0]) else references
    if len(given) > 1 or len({one for one in np.asarray(right).tolist() if one != NO_LABEL}) < 2:
        return ()
    many = "words" if task.of_kind.reads_words else "examples"
    return (f"it gives all {answers.size:,} {many} one class, '{task.label_names[int(given[0])]}'",)


def by_row(values: NDArray[Any], starts: NDArray[np.int64] | None) -> Any:
    """What is known of each answer, [answers, ...], as a metric takes it: an array a row where rows have several answers.

    Args:
        starts: where each row's answers begin, and the end of the last one's, [rows + 1]; None where each row has one.
    """
    return values if starts is None else np.split(values, starts[1:-1])


def labels_of(rows: Any, task: Task) -> Any:
    """The labels of loaded rows as metrics take them: numbers [examples], sets [examples, labels], an array [words] an example,
    or what else there is of each.

    Args:
        rows: with the column `label`.
    """
    found = rows["label"][:]
    if task.reads_words:
        return [np.asarray(one, np.int64) for one in found]
    return found if len(found) and isinstance(found[0], str) else np.asarray(found)
