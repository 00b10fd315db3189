"""What a generative model reads before it writes: the sources of a task's rows as token ids, cut to what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.data import generative as generation
from compress.data.max_lengths import fitted
from compress.models.reading_length import longest_input, positions
from compress.tasks.task import Task

TOKENS = 256
"""How much of a running text is read at once where nothing else is said."""


def prompts(
    rows: Any, task: Task, its_tokenizer: Any, config: Any, *, tokens: int | None = None
) -> list[NDArray[np.int64]]:
    """Each row's source as the model reads it, [length]: what its encoder reads, or a decoder's prompt.

    For language modelling there are as many as the text has windows, each half in common with the one before.

    Args:
        rows: of `compress.data.loading.load`, with the columns `text` and `row_hash`.
        task: a generative one.
        its_tokenizer: of the model.
        config: of the model: tells its kind and how much it reads.
        tokens: the most that a source, or a window of text, may have.

    Raises:
        CompressError: a greatest length leaves no room for text, or there is nothing to read.
    """
    return _read(rows, task, its_tokenizer, config, tokens)[0]


def _read(
    rows: Any, task: Task, its_tokenizer: Any, config: Any, tokens: int | None
) -> tuple[list[NDArray[np.int64]], int]:
    """The same, and how many sources were longer than the model or the task lets them be, and were cut."""
    task, most = fitted(task, config), positions(config)
    if not task.of_kind.has_references:
        size = max(min(tokens or TOKENS, most or TOKENS), 2)
        windows = generation.scored_windows(rows, task, its_tokenizer, size, max(size // 2, 1)).rows
        return [np.asarray(ids, np.int64) for ids in windows["input_ids"]], 0
    rows = rows.remove_columns([name for name in ("label",) if name in rows.column_names])
    if config.is_encoder_decoder:
        start = config.decoder_start_token_id
        pairs = generation.for_encoder_decoder(rows, task, its_tokenizer, config.model_type, start)
    else:
        pairs = generation.for_decoder(rows, task, its_tokenizer)
    found = pairs.rows["input_ids"]
    return [np.asarray(ids if tokens is None else ids[:tokens], np.int64) for ids in found], pairs.sources.cut_rows


def of_texts(
    texts: Sequence[str], task: Task | None, its_tokenizer: Any, config: Any, *, tokens: int | None = None
) -> tuple[list[NDArray[np.int64]], int]:
    """The same for texts at hand: as the task's sources, or as they are where there is no task or it has none; and how many
    were cut."""
    if task is None or not task.of_kind.has_references:
        most = min((one for one in (tokens, longest_input(its_tokenizer, config)) if one), default=None)
        whole = its_tokenizer(list(texts), verbose=False)["input_ids"]
        cut = [place for place, ids in enumerate(whole) if most is not None and len(ids) > most]
        for place in cut:
            whole[place] = its_tokenizer(texts[place], truncation=True, max_length=most)["input_ids"]
        return [np.asarray(ids, np.int64) for ids in whole], len(cut)
    from datasets import Dataset

    numbers = [str(number) for number in range(len(texts))]
    return _read(Dataset.from_dict({"text": list(texts), "row_hash": numbers}), task, its_tokenizer, config, None)
