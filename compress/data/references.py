"""A calibration set of a generative task as batches that a model learns from: sources, and the references it is to write."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.data import calibration
from compress.data.collate import collate_causal, collate_pairs
from compress.data.tokenized import generative_tokens
from compress.tasks.task import DescribedTask

BATCH = 8


def batches(
    name: str, described: DescribedTask, its_tokenizer: Any, config: Any, *, most: int | None = None
) -> list[dict[str, Any]]:
    """The rows of a set as padded batches of like length, the longest first.

    Args:
        name: of the calibration set; the rows are drawn as for classifiers, and cut where training cuts them. Of language
            modelling, its `max_length` is what a block has.
        config: of the model.
        most: rows at most; None for all of the set.

    Returns:
        `input_ids`, `attention_mask` and `labels` each, [batch, tokens]; labels are -100 where none counts.

    Raises:
        CompressError: the set does not exist, or the model is not one for the task.
    """
    from compress.data import max_lengths as fitting

    chosen = calibration.drawn(name, described)
    rows, _ = generative_tokens(
        chosen, fitting.fitted(described.task, config), its_tokenizer, config, calibration.find(name).max_length
    )
    order = np.argsort([-len(ids) for ids in rows["input_ids"]], kind="stable")
    if most is not None and len(order) > most:  # of all lengths
        order = order[np.linspace(0, len(order) - 1, most).astype(int)]
    collate = collate_pairs if config.is_encoder_decoder else collate_causal
    return [
        collate([rows[int(place)] for place in order[start : start + BATCH]], its_tokenizer, {})
        for start in range(0, len(order), BATCH)
    ]
