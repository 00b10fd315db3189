"""Tiny generative models whose units all matter, and rows that they read as in training."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor

from compress.models.forward import logits_and_labels
from tests.families import is_seq2seq
from tests.generative import strong_generator

LENGTHS = (9, 4, 12, 7, 11, 5)


@cache
def _made(name: str) -> Any:
    return strong_generator(name)


def strong(name: str) -> Any:
    """A model of two layers in each stack, that may be changed."""
    return copy.deepcopy(_made(name))


def rows(name: str, seed: int = 0) -> dict[str, Tensor]:
    """A batch padded on the right. Of a decoder, the first two tokens are a prompt; of an encoder-decoder, targets are of unlike
    lengths."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 300, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    ids = ids * mask
    if is_seq2seq(name):
        labels = torch.randint(3, 300, (len(LENGTHS), 6), generator=generator)
        labels[1, 2:] = labels[4, 4:] = -100
    else:
        labels = ids.masked_fill(mask == 0, -100)
        labels[:, :2] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def batches(name: str) -> list[dict[str, Tensor]]:
    """Enough tokens for every unknown of a tiny model."""
    return [rows(name, seed) for seed in range(4)]


def logits(model: Any, name: str) -> Tensor:
    """At the tokens whose labels count, [tokens, vocabulary]."""
    with torch.no_grad():
        found, labels = logits_and_labels(model, rows(name, 9))
    return found[labels != -100]
