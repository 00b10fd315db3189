"""The chance above which each label of a multi-label model is predicted, chosen on held-out rows."""

from __future__ import annotations

from typing import Any

from compress.data.collate import references
from compress.distillation.scores import scores_of
from compress.tasks.kinds.laws import BINARY
from compress.tasks.kinds.thresholds import chosen


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
