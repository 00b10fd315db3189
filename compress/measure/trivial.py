"""The scores of trivial baselines on the evaluation split: predictions without a model, which every model must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.data import loading
from compress.data.loading import Split
from compress.measure import quality
from compress.metrics.metric import Metric
from compress.tasks import predictions
from compress.tasks.kinds.trivial import Known
from compress.tasks.task import Task


def measured(
    task: Task, data: str | None, split: Split, references: Any, metrics: Sequence[Metric]
) -> list[Measurement]:
    """Every metric of each trivial baseline that the task's kind has; nothing where labels are hidden.

    A baseline learns from the training rows. Where these cannot be read it learns from the evaluation rows themselves, which
    makes it stronger, and a note says so.

    Args:
        task: whose kind is asked for its baselines.
        data: the folder of its data.
        split: the rows to be predicted.
        references: their labels, as metrics take them.
        metrics: those of this split.

    Returns:
        measurements whose `artifact` is the baseline's name, and whose first note says what it predicts.
    """
    ones = task.of_kind.trivial.get(task.kind, ())
    if not ones or not metrics or not split.is_labelled:
        return []
    examples: Mapping[str, Sequence[Any]] = {
        name: split.rows[name][:] for name in ("text", "text_pair") if name in split.rows.column_names
    }
    labels, texts, learned_from = _to_learn_from(task, data, split) if any(one.learns for one in ones) else ((), (), "")
    is_dialogue = task.generation is not None and task.generation.is_dialogue
    known = Known(examples, labels, texts, is_dialogue=is_dialogue)
    found = []
    for one in ones:
        notes = (one.words, *([learned_from] if one.learns else []))
        condition = {"split": split.name}
        found += quality.quality(one.name, one.predict(known), references, metrics, condition, notes)
    return found


def _to_learn_from(task: Task, data: str | None, evaluation: Split) -> tuple[Any, Sequence[Any], str]:
    """Labels, texts, and a note on where they come from."""
    try:
        training = loading.load(task, data, "train")
        if training.is_labelled:
            told = f"learned from the labels of the {len(training.rows):,} training rows"
            return predictions.labels_of(training.rows, task), training.rows["text"], told
        reason = "the training rows have no labels"
    except CompressError:
        reason = "the training rows cannot be read"
    told = f"learned from the labels of the evaluation rows themselves, since {reason}"
    return predictions.labels_of(evaluation.rows, task), evaluation.rows["text"], told
