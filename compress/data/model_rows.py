"""Rows of a task as a model reads them: what calibration, comparisons of models and predictions give it, cut to what it reads.

A row is name -> [length]: of a generative model `input_ids` alone, what it reads before it generates (a decoder's prompt, or what
an encoder reads); with labels, what it learns from. Training reads the same rows from disk: see `compress.data.tokenized`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import ANSWERED, LABELS, NO_LABEL
from compress.data.max_lengths import fitted
from compress.data.seq2seq_pairs import for_decoder, for_encoder_decoder
from compress.data.text_blocks import scored_windows
from compress.data.tokenized import generative_tokens
from compress.data.tokens import tokenize
from compress.data.word_pieces import WORD_IDS, word_starts
from compress.models.reading_length import cut_at, longest_input, positions
from compress.tasks.task import Task

TOKENS = 256
"""How much of a running text is read at once where nothing else is said."""

Row = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ModelRows:
    """Rows as a model reads them."""

    rows: list[Row]
    cut: int = 0
    """How many were longer than the model or the task lets them be, and were cut."""


def model_rows(
    rows: Any, task: Task, its_tokenizer: Any, config: Any, *, length: int | None = None, labels: bool = False
) -> ModelRows:
    """Rows as a model reads them.

    Args:
        rows: of `compress.data.loading.load`.
        config: of the model: tells how much it reads, and of a generative one whether it has an encoder.
        length: the most tokens of a row. A source and a reference are as long as the task lets them be; a source may be cut at
            fewer. Of language modelling it is what a window of text has, each half in common with the one before; and with
            `labels` what a block has.
        labels: whether `labels` are there as well: [], [labels] or [length] as the task is. Of a generative task the row is then
            what it learns from: a decoder's prompt goes on with the reference.

    Raises:
        CompressError: a greatest length leaves no room for text, there is nothing to read, or the model is not one for the task.
    """
    if not task.is_generative:
        most = cut_at(TOKENS if length is None else length, its_tokenizer, config)
        found = tokenize(rows, its_tokenizer, most, encode=task.of_kind.encode)
        return ModelRows(
            [{**model_inputs(row, its_tokenizer), **(targets(row) if labels else {})} for row in found.rows],
            found.truncated,
        )
    if labels:
        read, _ = generative_tokens(rows, fitted(task, config), its_tokenizer, config, length or TOKENS)
        names = [name for name in ("input_ids", LABELS) if name in read.column_names]
        return ModelRows([{name: np.asarray(row[name], np.int64) for name in names} for row in read])
    return _prompts(rows, fitted(task, config), its_tokenizer, config, length)


def _prompts(rows: Any, task: Task, its_tokenizer: Any, config: Any, length: int | None) -> ModelRows:
    if not task.of_kind.has_references:
        size = max(min(length or TOKENS, positions(config) or TOKENS), 2)
        windows = scored_windows(rows, task, its_tokenizer, size, max(size // 2, 1)).rows
        return _of_ids(windows["input_ids"])
    rows = rows.remove_columns([name for name in ("label",) if name in rows.column_names])
    if config.is_encoder_decoder:
        start = config.decoder_start_token_id
        pairs = for_encoder_decoder(rows, task, its_tokenizer, config.model_type, start)
    else:
        pairs = for_decoder(rows, task, its_tokenizer)
    return _of_ids([ids if length is None else ids[:length] for ids in pairs.rows["input_ids"]], pairs.sources.cut_rows)


def prompts_of(
    texts: Sequence[str], task: Task | None, its_tokenizer: Any, config: Any, *, length: int | None = None
) -> ModelRows:
    """What a generative model reads of texts at hand: as the task's sources, or as they are where there is no task or it has
    none."""
    if task is None or not task.of_kind.has_references:
        most = min((one for one in (length, longest_input(its_tokenizer, config)) if one), default=None)
        whole = its_tokenizer(list(texts), verbose=False)["input_ids"]
        cut = [place for place, ids in enumerate(whole) if most is not None and len(ids) > most]
        for place in cut:
            whole[place] = its_tokenizer(texts[place], truncation=True, max_length=most)["input_ids"]
        return _of_ids(whole, len(cut))
    from datasets import Dataset

    numbers = [str(number) for number in range(len(texts))]
    rows = Dataset.from_dict({"text": list(texts), "row_hash": numbers})
    return _prompts(rows, fitted(task, config), its_tokenizer, config, None)


def _of_ids(rows: Sequence[Sequence[int]], cut: int = 0) -> ModelRows:
    return ModelRows([{"input_ids": np.asarray(ids, np.int64)} for ids in rows], cut)


def model_inputs(row: Mapping[str, Any], its_tokenizer: Any) -> Row:
    """A tokenized row as a graph's inputs, name -> [length].

    Segments are all 0 where the tokenizer tells none, which is what the models themselves assume.
    """
    names = [name for name in its_tokenizer.model_input_names if name in row]
    inputs = {name: np.asarray(row[name], dtype=np.int64) for name in names}
    return {"token_type_ids": np.zeros_like(inputs["input_ids"]), **inputs}


def targets(row: Mapping[str, Any]) -> Row:
    """The labels of a tokenized row: [], [labels], or [length] with the tokens that are answers."""
    if WORD_IDS in row:
        answered = word_starts(row[WORD_IDS]).astype(np.int64)
        return {LABELS: np.asarray(row[LABELS], np.int64), ANSWERED: answered}
    label = np.asarray(row["label"])
    return {LABELS: label.astype(np.float32) if label.dtype.kind == "f" else label}


def batches(rows: Sequence[Row], batch_size: int, pad_token_id: int) -> Iterator[Row]:
    """Batches of rows of like length, name -> [batch, length], padded as in use."""
    by_length = sorted(rows, key=lambda row: len(row["input_ids"]))
    for start in range(0, len(by_length), batch_size):
        part = by_length[start : start + batch_size]
        longest = max(len(row["input_ids"]) for row in part)
        fill = {"input_ids": pad_token_id, LABELS: NO_LABEL}
        yield {name: np.stack([_padded(row[name], longest, fill.get(name, 0)) for row in part]) for name in part[0]}


def unpadded_batches(rows: Sequence[Row], batch_size: int) -> Iterator[Row]:
    """Batches without padding, name -> [batch, length]: each holds rows of the same lengths."""
    alike: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        alike.setdefault(tuple(len(value) for value in row.values()), []).append(row)
    for _, some in sorted(alike.items()):
        for start in range(0, len(some), batch_size):
            part = some[start : start + batch_size]
            yield {name: np.stack([row[name] for row in part]) for name in part[0]}


def _padded(value: NDArray[Any], longest: int, fill: int) -> NDArray[Any]:
    """Values by token as long as the longest row; a class id, a score and a set of labels (floats) stay as they are."""
    by_token = value.ndim and value.dtype.kind == "i"
    return np.pad(value, (0, longest - len(value)), constant_values=fill) if by_token else value
