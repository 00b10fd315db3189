"""A classifier's scores of all answers of tokenized rows, computed in batches sorted by length."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from compress.core.labels import ANSWERED, TARGETS
from compress.data.collate import answer_starts, by_length

BATCH = 64


def scores_of(model: Any, rows: Any, its_tokenizer: Any, task: Any) -> np.ndarray:
    """The scores, [answers, outputs], in fp32, one row's answers after the other's; the model is in evaluation mode already."""
    device = next(model.parameters()).device
    starts = answer_starts(rows)
    found = np.zeros((int(starts[-1]), task.num_labels), np.float32)
    with torch.inference_mode():
        for places, batch in by_length(rows, its_tokenizer, BATCH):
            inputs = {name: value.to(device) for name, value in batch.items() if name not in TARGETS}
            logits = model(**inputs).logits.float().cpu()
            found[answer_places(places, starts)] = flat(logits, batch).numpy()
    return found


def flat(logits: Any, batch: Any) -> Any:
    """A batch's answers one after another: [batch, outputs] as it is, [batch, tokens, outputs] -> [answers, outputs]."""
    return logits[batch[ANSWERED].bool().to(logits.device)] if ANSWERED in batch else logits


def answer_places(rows: list[int], starts: np.ndarray) -> np.ndarray:
    """Where the answers of these rows stand among all answers."""
    return np.concatenate([np.arange(starts[row], starts[row + 1]) for row in rows])
