"""A task's tokenized rows for a model, and the identity of the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from compress.core.artifact import digest
from compress.core.errors import CompressError
from compress.models.reading_length import cut_at, positions
from compress.tasks.kinds import Kind
from compress.tasks.task import DescribedTask, Task

GENERATORS = ("ForConditionalGeneration", "ForCausalLM", "LMHeadModel")
"""What ends the name of an architecture that writes."""


def generative_tokens(
    rows: Any, task: Task, its_tokenizer: Any, config: Any, max_length: int
) -> tuple[Any, dict[str, Any]]:
    """Rows of a generative task as a model learns from them, and the counts to report of it.

    Args:
        rows: with the columns `text` and, but for language modelling, `label`.
        task: as `compress.data.max_lengths.fitted` gives it for the model.

    Raises:
        CompressError: the model is not one for the task.
    """
    from compress.data.seq2seq_pairs import for_decoder, for_encoder_decoder
    from compress.data.text_blocks import blocks

    named = config.architectures or ()  # none yet, of a model that was just made
    if named and not config.is_encoder_decoder and not any(name.endswith(GENERATORS) for name in named):
        raise CompressError(
            f"This {config.model_type} model generates no text, which '{task.name}', a {task.kind_in_words}, needs. "
            "Start from an encoder-decoder or a decoder, or make one: compress finetune MODEL --task TASK."
        )
    if not task.of_kind.has_references:
        if config.is_encoder_decoder:
            raise CompressError(
                f"'{task.name}' is language modelling, which takes a decoder, not a {config.model_type}."
            )
        size = min(max_length, positions(config) or max_length)
        found = blocks(rows, task, its_tokenizer, size)
        return found.rows, {"block_tokens": size, "documents": found.documents, "tokens_left_over": found.left_over}
    if config.is_encoder_decoder:
        start = config.decoder_start_token_id
        pairs = for_encoder_decoder(rows, task, its_tokenizer, config.model_type, start)
    else:
        pairs = for_decoder(rows, task, its_tokenizer)
    cut = {"rows_cut": pairs.sources.cut_rows, "targets_cut": pairs.targets.cut_rows if pairs.targets else 0}
    return pairs.rows, {**cut, "cut": "; ".join(pairs.notes)}


def one_label(task: Task, rows: Any) -> str:
    """The label, or the score of a regression, that all rows have; empty where there are several, or rows without one.

    Of tagged words the tag of all words, of sets of labels the set of all rows (`late, money`, or `none`).
    """
    if task.is_generative or "label" not in rows.column_names:
        return ""
    labels = rows["label"][:]
    if task.is_multi_label:
        sets = {tuple(row) for row in labels}
        names = [name for name, has in zip(task.label_names, min(sets), strict=True) if has]
        return (", ".join(names) or "none") if len(sets) == 1 else ""
    found = np.unique(np.concatenate(labels) if task.reads_words else np.asarray(labels))
    if len(found) != 1:
        return ""
    return f"{found[0]:g}" if not task.law.chooses else str(task.label_names[int(found[0])])


def check_max_length(settings: Any, described: DescribedTask | None) -> None:
    """Refuse a `max_length` that somebody set and that would decide nothing.

    Raises:
        CompressError: the task has limits of its own.
    """

    if described is None or "max_length" not in settings.model_fields_set:
        return
    task = described.task
    if task.is_generative and task.of_kind.has_references:
        raise CompressError(
            f"max_length does not apply to '{task.name}', a {task.kind}: set `max_source` and `max_target` in its "
            f"description (`task: {{name: {task.name}, max_source: 256}}`)."
        )


def tokens(texts: Any, its_tokenizer: Any, config: Any, max_length: int, kind: Kind | None = None) -> Any:
    """Rows tokenized for a model, see `compress.data.loading.tokenize`; cut where it does not read as many tokens.

    Args:
        kind: of their task, which may tokenize them by itself.
    """
    from compress.data import loading

    limit = cut_at(max_length, its_tokenizer, config)
    return loading.tokenize(texts, its_tokenizer, limit, encode=None if kind is None else kind.encode)


def joined(rows: Any, extra: Any) -> Any:
    """The rows of both, under a fingerprint that depends on nothing but theirs."""
    from datasets import Dataset, concatenate_datasets

    both = concatenate_datasets([rows, extra])
    return Dataset(both.data, info=both.info, fingerprint=digest([rows._fingerprint, extra._fingerprint]))


def identity(described: DescribedTask | None) -> dict[str, Any]:
    """The identity of the data: both splits (file hashes, rows).

    Raises:
        CompressError: it cannot be read, or the task's metrics cannot read its references.
    """
    from compress.data import leakage, loading, readable

    if described is None:
        return {}
    task, data, written = described.task, described.data, described.description
    chosen_by = {"metric": written["metric"]} if "metric" in written else {}  # it decides which epoch is kept
    if task.generation is not None:  # how sources and targets are made of the texts, and where they are cut
        chosen_by["generation"] = dataclasses.asdict(task.generation)
    splits = {name: loading.load(task, data, name) for name in ("train", "holdout")}
    if task.is_generative:
        readable.check(task, splits["train"].rows)
    leakage.check(task, data)
    return {"task": task.name, **chosen_by, **{name: split.identity for name, split in splits.items()}}


def split_identity(described: DescribedTask, split: str) -> Mapping[str, Any]:
    """The identity of one split."""
    from compress.data import loading

    return loading.load(described.task, described.data, split).identity
