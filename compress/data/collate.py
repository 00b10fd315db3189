"""Makes batches: an order that depends only on seed and epoch, rows of similar length together, padded tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.core.labels import ANSWERED, LABELS, NO_LABEL
from compress.data.word_pieces import WORD_IDS, word_starts
from compress.tasks.kinds import Kind

PAD_TO = 8
"""Lengths are padded to multiples of this, so that oneDNN does not build a kernel for every new length."""


@dataclass(frozen=True)
class ByToken:
    """Numbers or vectors of each token of each row, one row's after the other's."""

    values: np.ndarray
    """[tokens of all rows, width], or [tokens of all rows]."""
    starts: np.ndarray
    """Where each row's tokens begin, and the end of the last one's, [rows + 1]."""
    of_labels: bool = False
    """Whether the tokens are those that the model predicts and that count, not those it reads."""

    def padded(self, places: list[int], mask: np.ndarray) -> np.ndarray:
        """The rows' values as a batch, [batch, tokens, width]; 0 where `mask` [batch, tokens] is."""
        found = np.zeros((*mask.shape, *self.values.shape[1:]), self.values.dtype)
        found[mask] = np.concatenate([self.values[self.starts[place] : self.starts[place + 1]] for place in places])
        return found


Extra = np.ndarray | ByToken
"""What else there is of each row, beside what the model reads: [rows, ...], or values by token."""

Collate = Callable[[list[Mapping[str, Any]], Any, Mapping[str, Extra]], dict[str, Any]]
"""(rows, tokenizer, extras) -> a padded batch of tensors."""


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


def answer_starts(rows: Any) -> np.ndarray:
    """Where the answers of each tokenized row begin among all answers, and the end of the last one's, [rows + 1]."""
    if WORD_IDS not in rows.column_names:
        return np.arange(len(rows) + 1)
    counts = (int(word_starts(one).sum()) for batch in rows.iter(1000) for one in batch[WORD_IDS])
    return np.concatenate([[0], np.cumsum(np.fromiter(counts, np.int64, len(rows)))])


def starts_of(rows: Any) -> np.ndarray | None:
    """`answer_starts` of rows with several answers each; None of rows with one."""
    return answer_starts(rows) if WORD_IDS in rows.column_names else None


def references(rows: Any) -> np.ndarray:
    """The label of each answer of tokenized rows, one row's after the other's: [answers], or [answers, labels]."""
    if WORD_IDS not in rows.column_names:
        return np.asarray(rows["label"])
    found = [
        np.asarray(labels)[word_starts(words)]
        for batch in rows.iter(1000)
        for labels, words in zip(batch[LABELS], batch[WORD_IDS], strict=True)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def step_lengths(rows: Any) -> np.ndarray:
    """The cost of each tokenized row in a step, [rows]: its tokens, and those of its target."""
    found = row_lengths(rows)
    if "labels" in rows.column_names and WORD_IDS not in rows.column_names:
        counts = (np.size(ids) for batch in rows.iter(1000) for ids in batch["labels"])
        found += np.fromiter(counts, np.int64, len(rows))
    return found


def collate(features: list[Mapping[str, Any]], its_tokenizer: Any, extras: Mapping[str, Extra]) -> dict[str, Any]:
    """A padded batch of tensors from rows; each extra is looked up by the row's place.

    Returns:
        What the model reads, each [batch, tokens], and `labels`: [batch], [batch, labels] of 0.0 and 1.0 (multi-label), or
        [batch, tokens] with -100 where no word begins and where padding is; then `answered` [batch, tokens] is true where a word
        begins, tagged or not. An extra by token that is of labels has a value for each of these.
    """
    import torch

    batch = padded_inputs(features, its_tokenizer)
    if WORD_IDS in features[0]:
        side, width = its_tokenizer.padding_side, batch["input_ids"].shape[1]
        unknown = [[NO_LABEL] * len(feature["input_ids"]) for feature in features]
        known = [feature.get(LABELS, none) for feature, none in zip(features, unknown, strict=True)]
        starts = [word_starts(feature[WORD_IDS]).tolist() for feature in features]
        batch[LABELS] = _padded(known, NO_LABEL, side, width)
        batch[ANSWERED] = _padded(starts, 0, side, width).bool()
        return batch | _extras(features, extras, batch["attention_mask"], batch[ANSWERED])
    labels = [feature["label"] for feature in features]
    batch["labels"] = torch.tensor(labels, dtype=torch.long if isinstance(labels[0], int) else torch.float32)
    return batch | _extras(features, extras, batch["attention_mask"])


def padded_inputs(features: list[Mapping[str, Any]], its_tokenizer: Any) -> dict[str, Any]:
    """A model's padded inputs from rows: tensors [batch, tokens] by name."""
    names = [name for name in its_tokenizer.model_input_names if name in features[0]]
    inputs = [{name: feature[name] for name in names} for feature in features]
    width = _width([feature["input_ids"] for feature in features], its_tokenizer)
    return dict(its_tokenizer.pad(inputs, return_tensors="pt", padding="max_length", max_length=width))


def collate_of(kind: Kind) -> Collate:
    """The collate function of kinds that do not generate."""
    own = kind.collate
    if own is None:
        return collate

    def made(features: list[Mapping[str, Any]], its_tokenizer: Any, extras: Mapping[str, Extra]) -> dict[str, Any]:
        batch = own(features, its_tokenizer)
        return batch | _extras(features, extras, batch["attention_mask"], batch.get(ANSWERED))

    return made


def collate_pairs(features: list[Mapping[str, Any]], its_tokenizer: Any, extras: Mapping[str, Extra]) -> dict[str, Any]:
    """A padded batch for an encoder-decoder, see `compress.data.seq2seq_pairs.Pairs`.

    Returns:
        `input_ids` and `attention_mask` [batch, source tokens], and `labels` [batch, target tokens], -100 where they are
        padding, unless the rows have none. The model itself makes the decoder's input from the labels.
    """
    batch = _inputs([feature["input_ids"] for feature in features], its_tokenizer, "right")
    if "labels" in features[0]:
        labels = [feature["labels"] for feature in features]
        batch["labels"] = _padded(labels, NO_LABEL, "right", _width(labels, its_tokenizer))
    counted = batch["labels"] != NO_LABEL if "labels" in batch else None
    return batch | _extras(features, extras, batch["attention_mask"], counted)


def collate_causal(
    features: list[Mapping[str, Any]], its_tokenizer: Any, extras: Mapping[str, Extra]
) -> dict[str, Any]:
    """A padded batch for a decoder to learn from: pairs, or blocks or windows of text.

    Padded on the right, whatever the tokenizer does: so a row's positions are those it has alone.

    Returns:
        `input_ids`, `attention_mask` and `labels`, each [batch, tokens]. A row without labels (a block) is its own label;
        the model itself shifts labels by one.
    """
    ids = [feature["input_ids"] for feature in features]
    labels = [feature.get("labels", feature["input_ids"]) for feature in features]
    batch = {
        **_inputs(ids, its_tokenizer, "right"),
        "labels": _padded(labels, NO_LABEL, "right", _width(labels, its_tokenizer)),
    }
    counted = batch["labels"] != NO_LABEL
    counted[:, 0] = False  # nothing stands before it
    return batch | _extras(features, extras, batch["attention_mask"], counted)


def collate_prompts(features: list[Mapping[str, Any]], its_tokenizer: Any) -> dict[str, Any]:
    """A decoder's prompts, padded on the left, so that generated tokens follow directly.

    Returns:
        `input_ids` and `attention_mask` [batch, tokens of the longest prompt].
    """
    return _inputs([feature["input_ids"][: feature["prompt"]] for feature in features], its_tokenizer, "left")


def _inputs(ids: list[Sequence[int]], its_tokenizer: Any, side: str) -> dict[str, Any]:
    """Padded ids and their mask. Many decoders have no token for padding; masked, any other will do."""
    candidates = (its_tokenizer.pad_token_id, its_tokenizer.eos_token_id, 0)
    padding = next(one for one in candidates if one is not None)
    mask = [[1] * len(row) for row in ids]
    width = _width(ids, its_tokenizer)
    return {"input_ids": _padded(ids, padding, side, width), "attention_mask": _padded(mask, 0, side, width)}


def _width(rows: Sequence[Sequence[int]], its_tokenizer: Any) -> int:
    """The length of the longest row, rounded up, but not beyond what the model has positions for."""
    longest = max(len(row) for row in rows)
    rounded = -(-longest // PAD_TO) * PAD_TO
    return max(longest, min(rounded, getattr(its_tokenizer, "model_max_length", rounded)))


def _padded(rows: Sequence[Sequence[int]], value: int, side: str, width: int) -> Any:
    """A tensor [rows, width]."""
    import torch

    found = np.full((len(rows), width), value, np.int64)
    for line, row in zip(found, rows, strict=True):
        line[slice(0, len(row)) if side == "right" else slice(width - len(row), width)] = row
    return torch.from_numpy(found)


def _extras(
    features: list[Mapping[str, Any]], extras: Mapping[str, Extra], mask: Any, counted: Any = None
) -> dict[str, Any]:
    """Extra values of each row, by its index.

    Args:
        mask: where tokens are read, [batch, tokens].
        counted: where labels are predicted, [batch, label tokens].
    """
    import torch

    found: dict[str, Any] = {}
    if extras and "place" in features[0]:
        places = [feature["place"] for feature in features]
        for name, values in extras.items():
            if isinstance(values, ByToken):
                real = counted if values.of_labels else mask.bool()
                found[name] = torch.from_numpy(values.padded(places, real.numpy()))
            else:
                found[name] = torch.from_numpy(np.asarray(values[places]))
    return found


def batches_by_length(lengths: np.ndarray, size: int) -> list[list[int]]:
    """The places of all rows, so many a batch, the longest first.

    Args:
        lengths: of each row, [rows].
    """
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + size].tolist() for start in range(0, len(order), size)]
