"""The rows of a training: the task's training rows, and the held-out rows for choosing the best epoch.

A classifier's texts are cut at `max_length`. A generative task has limits of its own for sources and targets; for language
modelling `max_length` is what a block of text has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.core.errors import CompressError
from compress.core.progress import warn
from compress.data import prompt_templates
from compress.data.collate import Collate, collate, collate_causal, collate_of, collate_pairs
from compress.data.tokenized import generative_tokens, joined, one_label, tokens
from compress.tasks.predictions import by_row
from compress.tasks.task import DescribedTask, Task
from compress.training.objectives import ModelScore, Score, Scored


@dataclass(frozen=True)
class TrainingData:
    """A task's tokenized training split."""

    task: Task
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
    described: DescribedTask, its_tokenizer: Any, config: Any, max_length: int, *, extra: Any = None
) -> TrainingData:
    """The training and held-out rows of a task, tokenized.

    Args:
        config: of the model, which says whether it is generative and how much it reads.
        max_length: see above.
        extra: further training rows, of the same columns: without labels, or for a generative task with targets.

    Raises:
        CompressError: see `compress.data.loading`; or the model is not one for the task.
    """
    from compress.data import loading
    from compress.training import judging

    task, data = described.task, described.data
    splits = {name: loading.load(task, data, name) for name in ("train", "holdout")}
    texts = splits["train"].rows if extra is None else joined(splits["train"].rows, extra)
    if task.is_generative:
        return _generative(splits, texts, task, its_tokenizer, config, max_length)
    train = tokens(texts, its_tokenizer, config, max_length, task.of_kind)
    cut = train.truncated
    if cut:
        reads = (
            f"the {train.max_length} tokens that this model reads"
            if train.max_length < max_length
            else f"{max_length} tokens"
        )
        warn(f"{cut} of {len(texts)} training rows are longer than {reads} and were truncated.")
    only = one_label(task, splits["train"].rows)
    if only:
        what = "class" if task.law.chooses else "score"
        warn(
            f"All {len(splits['train'].rows):,} training rows of '{task.name}' are '{only}': one {what} teaches nothing."
        )
    holdout = tokens(splits["holdout"].rows, its_tokenizer, config, max_length, task.of_kind).rows
    score: Score | ModelScore = holdout_score(task)
    if task.of_kind.encode is not None:  # its rows are no examples
        score = judging.judged(task, holdout, splits["holdout"].rows, its_tokenizer)
    return TrainingData(
        task=task,
        texts=texts,
        train=train.rows,
        holdout=holdout,
        train_identity=splits["train"].identity,
        holdout_identity=splits["holdout"].identity,
        holdout_texts=splits["holdout"].rows,
        facts={"rows_cut": cut, "max_length": train.max_length, **({"only_label": only} if only else {})},
        score=score,
        collate=collate_of(task.of_kind),
    )


def _generative(
    splits: Mapping[str, Any], texts: Any, task: Task, its_tokenizer: Any, config: Any, max_length: int
) -> TrainingData:
    from compress.data import max_lengths as fitting
    from compress.training import validation as holdout

    task = fitting.fitted(task, config)
    said, held_out = prompt_templates.settings(task), splits["holdout"].rows
    train, facts = generative_tokens(texts, task, its_tokenizer, config, max_length)
    _check_start(train, config)
    if not task.of_kind.has_references:
        rows = holdout.windows(held_out, task, its_tokenizer, facts["block_tokens"])
        score = holdout.read(rows, its_tokenizer, seed=task.seed)
    else:
        rows, _ = generative_tokens(held_out, task, its_tokenizer, config, max_length)
        score = holdout.written(rows, held_out, task, its_tokenizer, seed=task.seed)
        if facts["cut"]:
            warn(f"{facts['cut']}. `max_source` and `max_target` of the task set these lengths.")
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


def _check_start(train: Any, config: Any) -> None:
    """Of a family whose decoder is trained to start from a target's last token (mBART's language), that it writes from there
    too."""
    from compress.models.families.families import architectures

    known = architectures().get(config.model_type)
    if known is None or known.starts_from != "end" or not len(train):
        return
    end, start = train[0]["labels"][-1], config.decoder_start_token_id
    if end != start:
        raise CompressError(
            f"This {config.model_type} learns to start from the token that ends targets, {end}, but would generate from "
            f"{start}, its config's `decoder_start_token_id`. Set that to {end}, or the tokenizer's `tgt_lang` to the language."
        )


def holdout_score(task: Task) -> Score:
    """A classifier's score: the name and value of the task's first metric."""
    from compress.metrics.metric import Undefined
    from compress.tasks import scoring

    metric = scoring.metrics(task)[0]

    def score(scores: np.ndarray, labels: np.ndarray, starts: np.ndarray | None) -> Scored:
        predicted = task.law.decide(scores.reshape(len(labels), -1))
        try:
            return metric.name, float(metric.score(by_row(predicted, starts), by_row(labels, starts)))
        except Undefined as reason:
            return metric.name, reason

    return score
