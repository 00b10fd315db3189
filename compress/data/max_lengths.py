"""Limits a task's maximum lengths to the model's number of positions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compress.data import prompt_templates as texts
from compress.models.reading_length import positions
from compress.tasks.task import Task


def fitted(task: Task, config: Any) -> Task:
    """The task with `max_source` and `max_target` lowered to what a model reads; the same task where they fit.

    An encoder-decoder has positions for each side, a decoder for both together: there the target keeps what it needs, up to
    half of them. T5 and BLOOM have no table, and so no limit.

    Args:
        config: of the model.

    >>> from transformers import BartConfig, GPT2Config, T5Config
    >>> from compress.data.description import find
    >>> [(g.max_source, g.max_target) for g in (
    ...     fitted(find("samsum"), config).generation
    ...     for config in (BartConfig(max_position_embeddings=100), GPT2Config(n_positions=512), T5Config())
    ... )]
    [(100, 100), (384, 128), (512, 128)]
    """
    said, most = texts.settings(task), positions(config)
    if most is None:
        return task
    if config.is_encoder_decoder:
        source, target = min(said.max_source, most), min(said.max_target, most)
    else:
        target = min(said.max_target, max(most // 2, 1))
        source = min(said.max_source, most - target)
    if (source, target) == (said.max_source, said.max_target):
        return task
    return replace(task, generation=replace(said, max_source=source, max_target=target))
