"""Which rows make a batch: an order that depends on seed and epoch alone, rows of like length together, padded tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

PAD_TO = 8
"""Lengths are padded to multiples of this, so that oneDNN does not build a kernel for every new length."""


@dataclass(frozen=True)
class ByToken:
    """Vectors of each token of each row, one row's after the other's."""

    values: np.ndarray
    """[tokens of all rows, width]."""
    starts: np.ndarray
    """Where each row's tokens begin, and the end of the last one's, [rows + 1]."""

    def padded(self, places: list[int], mask: np.ndarray) -> np.ndarray:
        """The rows' vectors as a batch, [batch, tokens, width]; 0 where `mask` [batch, tokens] is."""
        found = np.zeros((*mask.shape, self.values.shape[1]), self.values.dtype)
        found[mask] = np.concatenate([self.values[self.starts[place] : self.starts[place + 1]] for place in places])
        return found


Extra = np.ndarray | ByToken
"""What else there is of each row, beside what the model reads: [rows, ...], or vectors by token."""


def epoch_order(lengths: np.ndarray, batch: int, seed: int, epoch: int) -> np.ndarray:
    """The rows' order in one epoch: shuffled, then sorted by length within runs of fifty batches.

    It depends on nothing but its arguments, so a resumed run sees the same order.

    Args:
        lengths: tokens of each row, [rows].
        batch: rows in a step.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(lengths))
    runs = [order[start : start + 50 * batch] for start in range(0, len(order), 50 * batch)]
    batches = []
    for run in runs:
        by_length = run[np.argsort(-lengths[run], kind="stable")]
        batches += [by_length[start : start + batch] for start in range(0, len(by_length), batch)]
    whole = [one for one in batches if len(one) == batch]
    rest = [one for one in batches if len(one) < batch]
    generator.shuffle(whole)
    return np.concatenate([*whole, *rest])


def row_lengths(rows: Any) -> np.ndarray:
    """The tokens of each tokenized row, [rows]."""
    return np.fromiter((len(ids) for batch in rows.iter(1000) for ids in batch["input_ids"]), np.int64, len(rows))


def collate(features: list[Mapping[str, Any]], its_tokenizer: Any, extras: Mapping[str, Extra]) -> dict[str, Any]:
    """A padded batch of tensors from rows; each extra is looked up by the row's place."""
    import torch

    names = [name for name in its_tokenizer.model_input_names if name in features[0]]
    inputs = [{name: feature[name] for name in names} for feature in features]
    batch: dict[str, Any] = dict(its_tokenizer.pad(inputs, return_tensors="pt", pad_to_multiple_of=PAD_TO))
    labels = [feature["label"] for feature in features]
    batch["labels"] = torch.tensor(labels, dtype=torch.long if isinstance(labels[0], int) else torch.float32)
    if extras and "place" in features[0]:
        places = [feature["place"] for feature in features]
        for name, values in extras.items():
            if isinstance(values, ByToken):
                found = values.padded(places, batch["attention_mask"].bool().numpy())
            else:
                found = np.asarray(values[places])
            batch[name] = torch.from_numpy(found)
    return batch


def by_length(rows: Any, its_tokenizer: Any, size: int) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Tokenized rows as padded batches without labels, the longest first: (the rows' places, the model's inputs)."""
    order = np.argsort(-row_lengths(rows), kind="stable")
    for start in range(0, len(order), size):
        places = order[start : start + size].tolist()
        batch = collate([rows[place] for place in places], its_tokenizer, {})
        batch.pop("labels")
        yield places, batch
