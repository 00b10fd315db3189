"""From a model's scores to predictions, by answer and by example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import NO_LABEL
from compress.tasks.task import Task

THRESHOLDS = "thresholds"
"""The name, in an artifact's facts, of the chance above which each label is predicted, by the label's name."""


def predictions(scores: NDArray[Any], task: Task, thresholds: Sequence[float] | None = None) -> NDArray[np.float64]:
    """What is predicted for each answer, see `compress.tasks.kinds.laws.Law.decide`.

    Args:
        scores: [answers, outputs].
        thresholds: of labels each by itself, the chance above which each is predicted; one half where there are none.
    """
    return task.law.decide(shifted(scores, thresholds) if task.is_multi_label else scores)


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
    many = "words" if task.of_kind.by_token else "examples"
    return (f"it gives all {predicted.size:,} {many} one class, '{task.label_names[int(given[0])]}'",)


def by_row(values: NDArray[Any], starts: NDArray[np.int64] | None) -> Any:
    """What is known of each answer, [answers, ...], as a metric takes it: an array a row where rows have several answers.

    Args:
        starts: where each row's answers begin, and the end of the last one's, [rows + 1]; None where each row has one.
    """
    return values if starts is None else np.split(values, starts[1:-1])


def by_word(
    values: NDArray[Any], words: Sequence[NDArray[np.int64]], lengths: Sequence[int]
) -> list[NDArray[np.int64]]:
    """The prediction of each word of each sentence; `NO_LABEL` for a word that the model did not read.

    Args:
        values: of each answer, [answers].
        words: which word each answer of a sentence is of, [answers] a sentence.
        lengths: the words of each sentence.
    """
    ends = np.cumsum([len(one) for one in words])
    found = []
    for answers, places, length in zip(np.split(values, ends[:-1]), words, lengths, strict=True):
        row = np.full(length, NO_LABEL, np.int64)
        row[places] = answers
        found.append(row)
    return found
