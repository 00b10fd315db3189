"""Perplexity: exp of the mean negative log-likelihood per token, from 1 up; lower is better.

exp of the mean negative log-likelihood, over all counted tokens of all examples alike (a mean over examples' perplexities would
weigh a token by the length of its text). A text longer than the model's context is read in `windows` that overlap, so that
each token is counted once and has something before it; how much is part of what the number means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import NO_LABEL
from compress.metrics.metric import Metric, Statistics, as_table, paired

COLUMNS = ("negative_log_likelihood", "tokens")


@dataclass(frozen=True)
class Window:
    """A part of a text that goes through the model at once."""

    start: int
    end: int
    """One beyond its last token."""
    counted_from: int
    """The first token whose prediction counts, start < counted_from <= end: those before it are context only."""


def windows(length: int, context: int, stride: int) -> Iterator[Window]:
    """The windows that count each token of a text once, but for the first, which nothing precedes.

    Put a beginning-of-text token first where the text's own first token shall count. The first window counts all its
    tokens but the first; each later one begins `stride` tokens further on and counts what is new, so that every token
    has at least `context - stride` tokens before it, or all there are.

    Args:
        length: the text's tokens.
        context: the most tokens the model reads at once, 2 or more.
        stride: tokens from one window's beginning to the next's, 1 to context - 1: with as many as the context, a
            window's first token would be predicted from nothing, or not counted.

    Raises:
        ValueError: context and stride do not fit.

    >>> [(one.start, one.end, one.counted_from) for one in windows(10, context=6, stride=3)]
    [(0, 6, 1), (3, 9, 6), (6, 10, 9)]
    """
    if not 1 <= stride < context:
        raise ValueError(f"A stride of {stride} does not fit a context of {context}: it must be 1 to {context - 1}.")
    counted = 1
    for start in range(0, max(length - 1, 0), stride):
        end = min(start + context, length)
        yield Window(start, end, counted)
        if end == length:
            return
        counted = end


def window_labels(ids: NDArray[Any], window: Window) -> tuple[NDArray[Any], NDArray[Any]]:
    """A window's token ids, and its labels: the same ids, -100 where a token is context only, [tokens] each.

    As transformers' causal models take them: the label at a place is the token at that place, not the next one.
    """
    found = ids[window.start : window.end]
    labels = found.copy()
    labels[: window.counted_from - window.start] = NO_LABEL
    return found, labels


def log_likelihoods(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The natural logarithm of the probability that a model gives each label.

    Args:
        logits: [tokens, vocabulary], at each place for the token *after* it.
        labels: [tokens], see `window_labels`.

    Returns:
        [tokens], 0 where the label is -100; the first is never predicted, so its label must be -100.
    """
    if labels[0] != NO_LABEL:
        raise ValueError("The first token of a window cannot be predicted: its label must be -100.")
    found = np.zeros(len(labels), np.float64)
    places = np.flatnonzero(labels != NO_LABEL)
    before = logits[places - 1].astype(np.float64)
    greatest = before.max(axis=1, keepdims=True)
    total = np.log(np.exp(before - greatest).sum(axis=1)) + greatest[:, 0]
    found[places] = before[np.arange(len(places)), labels[places]] - total
    return found


def negative_log_likelihood(log_likelihood: Sequence[Any], labels: Sequence[Any]) -> Statistics:
    """The sum over an example's counted tokens, and how many they are, [examples, 2].

    Args:
        log_likelihood: for each example the natural log-probability of each label, [tokens].
        labels: [tokens], -100 where a token does not count.

    Raises:
        ValueError: an example's two arrays are not of one length, or a log-probability is not a number.
    """
    rows = []
    for number, (own, right) in enumerate(paired(log_likelihood, labels)):
        values, wanted = np.asarray(own, dtype=np.float64), np.asarray(right)
        if values.shape != wanted.shape or values.ndim != 1:
            raise ValueError(f"Example {number}: {values.shape} log-probabilities for {wanted.shape} labels.")
        counted = values[wanted != NO_LABEL]
        if np.isnan(counted).any():
            raise ValueError(f"Example {number}: {int(np.isnan(counted).sum())} log-probabilities are not numbers.")
        rows.append((-float(counted.sum()), float(counted.size)))
    return as_table(rows, COLUMNS)


def of_sums(sums: Statistics) -> float:
    """exp(sum / tokens); NaN for no tokens, infinite where a token was impossible."""
    if not sums[1]:
        return math.nan
    mean = float(sums[0] / sums[1])
    return math.exp(mean) if mean < 700 else math.inf  # exp overflows at 709


def perplexity(context: int, stride: int) -> Metric:
    """The metric for windows of a stated context and stride, which its signature tells."""
    stated = f"weighted:tokens|context:{context}|stride:{stride}"
    return replace(METRIC, signature=lambda: stated)


METRIC = Metric(
    name="perplexity",
    title="perplexity",
    kinds=("language_modelling",),
    statistics=negative_log_likelihood,
    of_sums=of_sums,
    signature=lambda: "weighted:tokens|context:whole texts",
    unit="perplexity",
    higher_is_better=False,
)
