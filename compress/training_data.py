"""What a training technique reads: the task's training rows, and those held out of them to choose on.

A classifier's texts are cut at `max_length`. A generative task has limits of its own for sources and targets; for language
modelling `max_length` is what a block of text has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.artifact import digest
from compress.batching import Collate, collate, collate_causal, collate_pairs
from compress.errors import CompressError
from compress.objectives import ModelScore, Score, Scored
from compress.progress import warn
from compress.reading_length import cut_at, positions

GENERATORS = ("ForConditionalGeneration", "ForCausalLM", "LMHeadModel")
"""What ends the name of an architecture that writes."""


@dataclass(frozen=True)
class TrainingData:
    """A task's tokenized training split."""

    task: Any
    """The `compress.tasks.task.Task`."""
    texts: Any
    """The training rows as they were loaded, and the extra ones behind them."""
    train: Any
    """The same rows tokenized."""
    holdout: Any
    holdout_texts: Any
    """The held-out rows as they were loaded."""
    train_identity: Mapping[str, Any]
    holdout_identity: Mapping[str, Any]
    facts: Mapping[str, Any]
    """Rows, and how many were cut at the greatest length."""
    score: Score | ModelScore
    """What the held-out rows say of a model."""
    collate: Collate = collate
    """Makes a batch of these rows."""


def data_for(
    description: Mapping[str, Any], its_tokenizer: Any, config: Any, max_length: int, *, extra: Any = None
) -> TrainingData:
    """The training and held-out rows of a task, tokenized.

    Args:
        config: of the model, which tells a generator from a classifier and how much it reads.
        max_length: see above.
        extra: further training rows, of the same columns: without labels (`compress.extra_rows`), or for a generative task
            with targets.

    Raises:
        CompressError: see `compress.tasks.loading`; or the model is not one for the task.
    """
    from compress.tasks import loading

    task, data = loading.resolve(dict(description))
    splits = {name: loading.load(task, data, name) for name in ("train", "holdout")}
    texts = splits["train"].rows if extra is None else _joined(splits["train"].rows, extra)
    if task.is_generative:
        return _generative(splits, texts, task, its_tokenizer, config, max_length)
    train = tokens(texts, its_tokenizer, config, max_length)
    cut = train.truncated
    if cut:
        reads = (
            f"the {train.max_length} tokens that this model reads"
            if train.max_length < max_length
            else f"{max_length} tokens"
        )
        warn(f"{cut} of {len(texts)} training rows are longer than {reads} and were cut.")
    only = one_label(task, splits["train"].rows)
    if only:
        warn(
            f"All {len(splits['train'].rows):,} training rows of '{task.name}' are '{only}': one class teaches nothing."
        )
    return TrainingData(
        task=task,
        texts=texts,
        train=train.rows,
        holdout=tokens(splits["holdout"].rows, its_tokenizer, config, max_length).rows,
        train_identity=splits["train"].identity,
        holdout_identity=splits["holdout"].identity,
        holdout_texts=splits["holdout"].rows,
        facts={"rows_cut": cut, "max_length": train.max_length, **({"only_label": only} if only else {})},
        score=holdout_score(task),
    )


def _generative(
    splits: Mapping[str, Any], texts: Any, task: Any, its_tokenizer: Any, config: Any, max_length: int
) -> TrainingData:
    from compress import holdout
    from compress.tasks.generation import fitting

    task = fitting.fitted(task, config)
    said, held_out = task.generation, splits["holdout"].rows
    train, facts = generative_tokens(texts, task, its_tokenizer, config, max_length)
    if task.kind == "language_modelling":
        rows = holdout.windows(held_out, task, its_tokenizer, facts["block_tokens"])
        score = holdout.read(rows, its_tokenizer, seed=task.seed)
    else:
        rows, _ = generative_tokens(held_out, task, its_tokenizer, config, max_length)
        score = holdout.written(rows, held_out, task, its_tokenizer, seed=task.seed)
        if facts["cut"]:
            warn(f"{facts['cut']}. `max_source` and `max_target` of the task say how much is read and written.")
        facts |= {"max_source": said.max_source, "max_target": said.max_target}
    return TrainingData(
        task=task,
        texts=texts,
        train=train,
        holdout=rows,
        train_identity=splits["train"].identity,
        holdout_identity=splits["holdout"].identity,
        holdout_texts=splits["holdout"].rows,
        facts=facts,
        score=score,
        collate=collate_pairs if config.is_encoder_decoder else collate_causal,
    )


def generative_tokens(
    rows: Any, task: Any, its_tokenizer: Any, config: Any, max_length: int
) -> tuple[Any, dict[str, Any]]:
    """Rows of a generative task as a model learns from them, and what is to be told of that.

    Args:
        rows: with the columns `text` and, but for language modelling, `label`.
        task: as `compress.tasks.generation.fitting.fitted` gives it for the model.

    Raises:
        CompressError: the model is not one for the task.
    """
    from compress.tasks import generation

    named = config.architectures or ()  # none yet, of a model that was just made
    if named and not config.is_encoder_decoder and not any(name.endswith(GENERATORS) for name in named):
        raise CompressError(
            f"A {config.model_type} model that writes nothing cannot do '{task.name}', a {task.kind.replace('_', ' ')}. "
            "Start from an encoder-decoder or a decoder, or make one: compress finetune MODEL --task TASK."
        )
    if task.kind == "language_modelling":
        if config.is_encoder_decoder:
            raise CompressError(
                f"'{task.name}' is language modelling, which takes a decoder, not a {config.model_type}."
            )
        size = min(max_length, positions(config) or max_length)
        found = generation.blocks(rows, task, its_tokenizer, size)
        return found.rows, {"block_tokens": size, "documents": found.documents, "tokens_left_over": found.left_over}
    if config.is_encoder_decoder:
        start = config.decoder_start_token_id
        pairs = generation.for_encoder_decoder(rows, task, its_tokenizer, config.model_type, start)
    else:
        pairs = generation.for_decoder(rows, task, its_tokenizer)
    cut = {"rows_cut": pairs.sources.cut_rows, "targets_cut": pairs.targets.cut_rows if pairs.targets else 0}
    return pairs.rows, {**cut, "cut": "; ".join(pairs.notes)}


def one_label(task: Any, rows: Any) -> str:
    """The label that all rows of a classification have; empty where there are several, or rows without one."""
    if task.kind != "classification" or "label" not in rows.column_names:
        return ""
    found = np.unique(np.asarray(rows["label"]))
    return str(task.label_names[int(found[0])]) if len(found) == 1 else ""


def check_max_length(settings: Any, description: Mapping[str, Any] | None) -> None:
    """Refuse a `max_length` that somebody set and that would decide nothing.

    Raises:
        CompressError: the task has limits of its own.
    """
    from compress.tasks import loading

    if description is None or "max_length" not in settings.model_fields_set:
        return
    task, _ = loading.resolve(dict(description))
    if task.is_generative and task.kind != "language_modelling":
        raise CompressError(
            f"max_length does not apply to '{task.name}', a {task.kind}: set `max_source` and `max_target` in its "
            f"description (`task: {{name: {task.name}, max_source: 256}}`)."
        )


def tokens(texts: Any, its_tokenizer: Any, config: Any, max_length: int) -> Any:
    """Rows tokenized for a model, see `compress.tasks.loading.tokenize`; cut where it does not read as many tokens."""
    from compress.tasks import loading

    return loading.tokenize(texts, its_tokenizer, cut_at(max_length, its_tokenizer, config))


def _joined(rows: Any, extra: Any) -> Any:
    """The rows of both, under a fingerprint that depends on nothing but theirs."""
    from datasets import Dataset, concatenate_datasets

    both = concatenate_datasets([rows, extra])
    return Dataset(both.data, info=both.info, fingerprint=digest([rows._fingerprint, extra._fingerprint]))


def identity(description: Mapping[str, Any] | None) -> dict[str, Any]:
    """What will be read: the identity of both splits (files' hashes, rows).

    Raises:
        CompressError: it cannot be read, or the task's metrics cannot read its references.
    """
    from compress import leakage
    from compress.tasks import loading
    from compress.tasks.generation import readable

    if description is None:
        return {}
    task, data = loading.resolve(dict(description))
    chosen_by = {"metric": description["metric"]} if "metric" in description else {}  # it decides which epoch is kept
    if task.generation is not None:  # how sources and targets are made of the texts, and where they are cut
        chosen_by["generation"] = dataclasses.asdict(task.generation)
    splits = {name: loading.load(task, data, name) for name in ("train", "holdout")}
    if task.is_generative:
        readable.check(task, splits["train"].rows)
    leakage.check(task, data)
    return {"task": task.name, **chosen_by, **{name: split.identity for name, split in splits.items()}}


def split_identity(description: Mapping[str, Any], split: str) -> Mapping[str, Any]:
    """The identity of one split."""
    from compress.tasks import loading

    task, data = loading.resolve(dict(description))
    return loading.load(task, data, split).identity


def holdout_score(task: Any) -> Score:
    """Of a classifier: the name and value of the task's first metric."""
    from compress.catalogue import find
    from compress.metrics.metric import Undefined

    metric = find("metrics", task.metric)

    def score(logits: np.ndarray, labels: np.ndarray) -> Scored:
        predictions = logits.reshape(-1) if task.kind == "regression" else logits.argmax(axis=-1)
        try:
            return metric.name, float(metric.score(predictions.tolist(), labels.tolist()))
        except Undefined as reason:
            return metric.name, reason

    return score
