"""Scores of what a generative model writes or predicts: one file per metric, each with a `METRIC`; `find` gives one by name."""

from __future__ import annotations

import importlib

from compress.core.errors import CompressError, guess, listing
from compress.metrics.generation.metric import GenerationMetric

NAMES = ("bleu", "chrf", "perplexity", "rouge1", "rouge2", "rouge_l", "rouge_lsum", "token_accuracy")
"""Each is a file of this folder."""


def find(name: str) -> GenerationMetric:
    """The metric of this name.

    Raises:
        CompressError: there is none; lists those there are, and a guess.
    """
    if name not in NAMES:
        raise CompressError(f"Unknown metric '{name}'.{guess(name, NAMES)} For generative tasks: {listing(NAMES)}.")
    metric: GenerationMetric = importlib.import_module(f"compress.metrics.generation.{name}").METRIC
    return metric
