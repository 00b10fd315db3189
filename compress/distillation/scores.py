"""A classifier's scores of all answers of tokenized rows, computed in batches sorted by length."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from compress.data.collate import answer_starts, batches_by_length, collate, row_lengths
from compress.models.forward import answers

BATCH = 64


def scores_of(model: Any, rows: Any, its_tokenizer: Any, task: Any) -> np.ndarray:
    """The scores, [answers, outputs], in fp32, one row's answers after the other's; the model is in evaluation mode already."""
    device = next(model.parameters()).device
    starts = answer_starts(rows)
    found = np.zeros((int(starts[-1]), task.num_labels), np.float32)
    with torch.inference_mode():
        for places in batches_by_length(row_lengths(rows), BATCH):
            batch = collate([rows[place] for place in places], its_tokenizer, {})
            values = answers(model, {name: value.to(device) for name, value in batch.items()}).values
            lines = np.concatenate([np.arange(starts[place], starts[place + 1]) for place in places])
            found[lines] = values.float().cpu().numpy()
    return found
