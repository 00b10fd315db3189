"""Scores a generative model on a few held-out rows during training: by generated texts, or perplexity.

Epochs and settings are chosen by this, and not by token accuracy: a model may foresee references and yet write badly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from compress.data import prompt_templates as texts
from compress.data.collate import batches_by_length, collate_causal, collate_pairs, collate_prompts, row_lengths
from compress.data.text_blocks import scored_windows
from compress.metrics.metric import Undefined
from compress.tasks.scoring import metrics
from compress.tasks.task import Task
from compress.training.objectives import ModelScore, Scored

if TYPE_CHECKING:
    from compress.runtimes.generating import Decoding

ROWS = 128
"""No more held-out rows are written for, or windows read: enough to tell epochs apart, and soon done."""
BATCH = 32
LOGITS = 2**25
"""About so many logits at once."""


def written(rows: Any, references: Any, task: Task, its_tokenizer: Any, *, seed: int) -> ModelScore:
    """The task's first metric of what a model writes greedily.

    Args:
        rows: `compress.data.seq2seq_pairs.Pairs.rows` of the held-out split.
        references: its rows as they were loaded, in the same order, with the column `label`.
        task: gives the metric and the maximum number of generated tokens.
        its_tokenizer: of the model.
        seed: draws the rows, at most 128.
    """
    chosen = drawn(len(rows), seed)
    some, wanted = rows.select(chosen), references.select(chosen)["label"]
    metric = metrics(task)[0]

    def of(model: Any) -> Scored:
        try:
            return metric.name, metric.score(
                greedy(model, some, its_tokenizer, texts.settings(task).max_target), wanted
            )
        except Undefined as reason:
            return metric.name, reason

    return ModelScore(of, len(some), metric.higher_is_better)


def greedy(model: Any, rows: Any, its_tokenizer: Any, max_new_tokens: int) -> list[str]:
    """The texts generated for tokenized rows by greedy search, in the rows' order.

    Args:
        rows: of `compress.data.seq2seq_pairs.for_encoder_decoder` or `for_decoder`.
        max_new_tokens: the most it may write.
    """
    from compress.runtimes.generating import Decoding, rules

    found = [""] * len(rows)
    decoding = Decoding(1, max_new_tokens, rules(model.generation_config.to_dict()))
    for places, written in generated(model, rows, its_tokenizer, decoding, BATCH):
        for place, text in zip(places, written, strict=True):
            found[place] = text
    return found


def generated(
    model: Any, rows: Any, its_tokenizer: Any, decoding: Decoding, size: int
) -> Iterator[tuple[list[int], list[str]]]:
    """The texts generated for tokenized rows, so many at once, the longest first: (the rows' places, their texts).

    Args:
        model: what `compress.runtimes.generating.generate` takes.
        rows, its_tokenizer: as of `greedy`.
    """
    from compress.models.load import quiet
    from compress.runtimes.generating import generate

    for places in batches_by_length(row_lengths(rows), size):
        features = [rows[place] for place in places]
        if model.config.is_encoder_decoder:
            batch = collate_pairs(features, its_tokenizer, {})
        else:
            batch = collate_prompts(features, its_tokenizer)
        with quiet():
            ids = generate(model, {name: value.numpy() for name, value in batch.items()}, decoding)
        yield places, [text.strip() for text in its_tokenizer.batch_decode(ids, skip_special_tokens=True)]


def windows(rows: Any, task: Task, its_tokenizer: Any, context: int) -> Any:
    """Held-out text in windows of `context` tokens that overlap by half: each token counts once.

    Args:
        rows: the held-out split as it was loaded, with the column `text`.
        task: says whether documents are separate texts.
        its_tokenizer: of the model.
        context: the tokens of a window, at least 4.

    Raises:
        CompressError: there is nothing to score.
    """
    return scored_windows(rows, task, its_tokenizer, context, context // 2).rows


def read(rows: Any, its_tokenizer: Any, *, seed: int) -> ModelScore:
    """The perplexity of held-out text.

    Args:
        rows: its windows.
        its_tokenizer: of the model.
        seed: draws the windows, at most 128.
    """
    some = rows.select(drawn(len(rows), seed))

    def of(model: Any) -> Scored:
        try:
            return "perplexity", perplexity(model, some, its_tokenizer)
        except Undefined as reason:
            return "perplexity", reason

    return ModelScore(of, len(some), higher_is_better=False)


def perplexity(model: Any, rows: Any, its_tokenizer: Any) -> float:
    """exp of the mean negative log-likelihood over all counted tokens of the windows.

    Raises:
        Undefined: it is infinite or not a number.
    """
    from torch.nn.functional import cross_entropy

    from compress.models.forward import answers

    size = max(1, LOGITS // (int(row_lengths(rows).max()) * model.config.vocab_size))
    total, tokens = 0.0, 0
    for start in range(0, len(rows), size):
        features = [rows[place] for place in range(start, min(start + size, len(rows)))]
        batch = {name: value.to(model.device) for name, value in collate_causal(features, its_tokenizer, {}).items()}
        found = answers(model, batch)
        total += float(cross_entropy(found.values.float(), found.targets, reduction="sum"))
        tokens += len(found.values)
    if not total / tokens < 700:  # exp overflows at 709
        raise Undefined(f"the mean negative log-likelihood is {total / tokens:g}, so perplexity is not finite")
    return math.exp(total / tokens)


def drawn(count: int, seed: int) -> list[int]:
    """The places of the rows that are scored, in order: at most 128 of so many, drawn with this seed."""
    return sorted(np.random.default_rng(seed).permutation(count)[:ROWS].tolist())
