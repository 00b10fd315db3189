"""What a training technique reads: the task's training rows, and those held out of them to choose on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.artifact import digest
from compress.errors import CompressError
from compress.progress import warn


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
    train_identity: Mapping[str, Any]
    facts: Mapping[str, Any]
    """Rows, and how many were cut at the greatest length."""


def longest_input(its_tokenizer: Any, config: Any) -> int:
    """The most tokens that a model reads, by its tokenizer and by its table of positions."""
    positions = getattr(config, "max_position_embeddings", None) or its_tokenizer.model_max_length
    # RoBERTa and MPNet count positions from behind the padding index, so their tables are longer by that.
    reserved = (config.pad_token_id or 0) + 1 if config.model_type in ("roberta", "mpnet", "xlm-roberta") else 0
    return int(min(its_tokenizer.model_max_length, positions - reserved))


def data_for(
    description: Mapping[str, Any], its_tokenizer: Any, config: Any, max_length: int, *, extra: Any = None
) -> TrainingData:
    """The training and held-out rows of a task, tokenized.

    Args:
        extra: further training rows without labels, of the same columns (`compress.extra_rows`).

    Raises:
        CompressError: see `compress.tasks.loading`.
    """
    from compress.tasks import loading

    task, data = loading.resolve(dict(description))
    splits = {name: loading.load(task, data, name) for name in ("train", "holdout")}
    texts = splits["train"].rows if extra is None else _joined(splits["train"].rows, extra)
    train = tokens(texts, its_tokenizer, config, max_length)
    cut = train.truncated
    if cut:
        warn(f"{cut} of {len(texts)} training rows are longer than {max_length} tokens and were cut.")
    return TrainingData(
        task=task,
        texts=texts,
        train=train.rows,
        holdout=tokens(splits["holdout"].rows, its_tokenizer, config, max_length).rows,
        train_identity=splits["train"].identity,
        facts={"rows_cut": cut, "max_length": max_length},
    )


def tokens(texts: Any, its_tokenizer: Any, config: Any, max_length: int) -> Any:
    """Rows tokenized for a model, see `compress.tasks.loading.tokenize`.

    Raises:
        CompressError: the model does not read as many tokens.
    """
    from compress.tasks import loading

    longest = min(max_length, longest_input(its_tokenizer, config))
    if longest < max_length:
        raise CompressError(
            f"max_length is {max_length}, but this model reads {longest} tokens at most. Set it to {longest}."
        )
    return loading.tokenize(texts, its_tokenizer, max_length)


def _joined(rows: Any, extra: Any) -> Any:
    """The rows of both, under a fingerprint that depends on nothing but theirs."""
    from datasets import Dataset, concatenate_datasets

    both = concatenate_datasets([rows, extra])
    return Dataset(both.data, info=both.info, fingerprint=digest([rows._fingerprint, extra._fingerprint]))


def identity(description: Mapping[str, Any] | None) -> dict[str, Any]:
    """What will be read: the identity of both splits (files' hashes, rows)."""
    from compress.tasks import loading

    if description is None:
        return {}
    task, data = loading.resolve(dict(description))
    chosen_by = {"metric": description["metric"]} if "metric" in description else {}  # it decides which epoch is kept
    return {
        "task": task.name,
        **chosen_by,
        **{name: loading.load(task, data, name).identity for name in ("train", "holdout")},
    }


def holdout_score(task: Any) -> Callable[[np.ndarray, np.ndarray], tuple[str, float]]:
    """(logits, labels) -> the name and value of the task's first metric; its lower bound where it is undefined."""
    from compress.catalogue import find
    from compress.metrics.metric import Undefined

    metric = find("metrics", task.metric)

    def score(logits: np.ndarray, labels: np.ndarray) -> tuple[str, float]:
        predictions = logits.reshape(-1) if task.kind == "regression" else logits.argmax(axis=-1)
        try:
            return metric.name, float(metric.score(predictions.tolist(), labels.tolist()))
        except Undefined:
            return metric.name, -1.0  # constant predictions correlate with nothing: no epoch is worse

    return score
