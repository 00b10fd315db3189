"""What a model keeps that is chosen on held-out rows, such as the thresholds of a multi-label model."""

from __future__ import annotations

from typing import Any

from compress.data.collate import references
from compress.training.judging import inference_of


def fitted(model: Any, data: Any, its_tokenizer: Any) -> dict[str, Any]:
    """An artifact's facts of what was chosen, see `compress.tasks.kinds.kind.Kind.fitted`; none where its task chooses nothing.

    Args:
        model: in evaluation mode.
        data: the `compress.training.data.TrainingData`, whose held-out rows are read.
    """
    choose = data.task.of_kind.fitted.get(data.task.law)
    if choose is None:
        return {}
    said = inference_of(model, data.holdout, data.holdout_texts, its_tokenizer, data.task)
    return dict(choose(said, references(data.holdout)))
