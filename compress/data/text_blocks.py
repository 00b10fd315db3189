"""Documents as token ids for language modelling: blocks of equal length for training, overlapping windows for scoring.

Where documents are texts of their own, each begins with the tokenizer's beginning of text, as in pretraining; GPT-2 has its
end of text there. Where they are parts of one text, only that begins so. This token is read and never scored. Each document
is tokenized by itself, so no token reaches from one into the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.data import prompt_templates as texts
from compress.data.token_cache import BATCH, IDS, kept
from compress.data.tokens import tokenizer_identity
from compress.metrics.perplexity import window_labels, windows
from compress.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Blocks:
    """Documents joined and cut: `rows` has `input_ids`, `tokens` of them in each row; every one is a label."""

    rows: Dataset
    tokens: int
    documents: int
    left_over: int
    """Tokens at the end that fill no block and are not trained on."""


@dataclass(frozen=True)
class Windows:
    """Documents as overlapping windows for scoring with a limited context.

    `rows` has `input_ids`, `labels` (the same ids, -100 where a token is context only or a mark) and `document`, the number
    of the document that a window begins in. Each token of the texts is a label once, but for `not_counted`.
    """

    rows: Dataset
    context: int
    stride: int
    documents: int
    counted: int
    """Tokens that are labels."""
    not_counted: int
    """First tokens of texts that nothing stands before, since the tokenizer has no beginning of text."""


def blocks(rows: Dataset, task: Task, tokenizer: Any, tokens: int, cache: Path | None = None) -> Blocks:
    """The documents one after another, cut into blocks.

    Args:
        rows: of `compress.data.loading.load`, with the column `text`.
        task: says whether documents are separate texts.
        tokenizer: of the model.
        tokens: of a block.
        cache: where token ids are kept.

    Raises:
        CompressError: the documents do not fill one block.
    """
    separate, beginning = texts.settings(task).separate, _beginning(tokenizer)

    def batches(counts: dict[str, int]) -> Iterator[Mapping[str, Sequence[Any]]]:
        pending: list[int] = []
        counts |= {"documents": 0, "tokens": 0, "blocks": 0}
        for ids in _documents(rows, tokenizer):
            pending += [*(beginning if separate or not counts["documents"] else []), *ids]
            counts["documents"] += 1
            counts["tokens"] += len(ids)
            full = len(pending) // tokens * tokens
            if full >= BATCH * tokens:
                yield {"input_ids": [pending[at : at + tokens] for at in range(0, full, tokens)]}
                counts["blocks"] += full // tokens
                pending = pending[full:]
        full = len(pending) // tokens * tokens
        counts["blocks"] += full // tokens
        counts["left_over"] = len(pending) - full
        if not counts["blocks"]:
            raise CompressError(
                f"{counts['documents']} documents have {counts['tokens']} tokens, which fill no block of {tokens}."
                " Take shorter blocks, or more text."
            )
        yield {"input_ids": [pending[at : at + tokens] for at in range(0, full, tokens)]}

    decided_by = ["blocks", rows._fingerprint, tokenizer_identity(tokenizer), separate, beginning, tokens]
    found, counts = kept(decided_by, {"input_ids": IDS}, batches, cache)
    return Blocks(found, tokens, counts["documents"], counts["left_over"])


def scored_windows(
    rows: Dataset, task: Task, tokenizer: Any, context: int, stride: int, cache: Path | None = None
) -> Windows:
    """The documents in windows for perplexity, see `compress.metrics.perplexity.windows`.

    Documents that are texts of their own are read each by itself; parts of one text are joined first.

    Args:
        rows: of `compress.data.loading.load`, with the column `text`.
        task: says whether documents are separate texts.
        tokenizer: of the model.
        context: the most tokens the model reads at once.
        stride: tokens from one window to the next, less than the context.
        cache: where token ids are kept.

    Raises:
        CompressError: context and stride do not fit, or there is nothing to score.
    """
    if not 1 <= stride < context:
        raise CompressError(
            f"The stride {stride} does not fit a context of {context} tokens: set it to 1..{context - 1}."
        )
    separate, beginning = texts.settings(task).separate, _beginning(tokenizer)

    def batches(counts: dict[str, int]) -> Iterator[Mapping[str, Sequence[Any]]]:
        counts |= {"documents": 0, "counted": 0, "not_counted": 0}
        columns: dict[str, list[Any]] = {"input_ids": [], "labels": [], "document": []}
        for ids, starts in _texts(rows, tokenizer, separate):
            whole = np.array([*beginning, *ids], np.int64)
            for window in windows(len(whole), context, stride):
                some, labels = window_labels(whole, window)
                columns["input_ids"].append(some.tolist())
                columns["labels"].append(labels.tolist())
                within = int(np.searchsorted(starts, max(window.start - len(beginning), 0), side="right")) - 1
                columns["document"].append(counts["documents"] + within)
                counts["counted"] += int((labels != NO_LABEL).sum())
            counts["not_counted"] += min(len(ids), 1) if not beginning else 0
            counts["documents"] += len(starts)
            if len(columns["labels"]) >= BATCH:
                yield columns
                columns = {name: [] for name in columns}
        if not counts["counted"]:
            raise CompressError(f"{counts['documents']} documents have no two tokens one after the other to score.")
        yield columns

    decided_by = ["windows", rows._fingerprint, tokenizer_identity(tokenizer), separate, beginning, context, stride]
    types = {"input_ids": IDS, "labels": IDS, "document": "int64"}
    found, counts = kept(decided_by, types, batches, cache)
    return Windows(found, context, stride, counts["documents"], counts["counted"], counts["not_counted"])


def _beginning(tokenizer: Any) -> list[int]:
    """The token before a text: beginning of text, or the end of the previous one."""
    ids = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    return [one for one in ids if one is not None][:1]


def _documents(rows: Dataset, tokenizer: Any) -> Iterator[list[int]]:
    for batch in rows.iter(batch_size=BATCH):
        yield from tokenizer(batch["text"], add_special_tokens=False, verbose=False)["input_ids"]


def _texts(rows: Dataset, tokenizer: Any, separate: bool) -> Iterator[tuple[list[int], list[int]]]:
    """Each text that is read by itself, with the places where documents begin in it."""
    if separate:
        yield from ((ids, [0]) for ids in _documents(rows, tokenizer))
        return
    joined: list[int] = []
    starts = []
    for ids in _documents(rows, tokenizer):
        starts.append(len(joined))
        joined += ids
    yield joined, starts
