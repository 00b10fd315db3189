"""Tiny classifiers whose units all matter, and units of them chosen at random."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compress.models.load import classifier
from compress.pruning.units import Kept, units
from tests.tiny import FAMILIES, write_model

IDS = torch.tensor([[2, 6, 9, 12, 7, 30, 5, 19, 3], [2, 8, 11, 25, 3, 0, 0, 0, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in FAMILIES},
    "deberta-v2 with keys of its own": ("deberta-v2", {"share_att_key": False}),
}


def strong(folder: Path, variant: str = "bert", **changes: Any) -> Any:
    """A random classifier whose attention is far from even, as a trained one's, so that each head matters."""
    family, own = VARIANTS[variant]
    model = classifier(write_model(folder, family, **{**own, **changes}))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(6)
            elif name.endswith("bias"):
                weight.normal_(0, 0.3)
    return model


def some(model: Any, seed: int = 0) -> Kept:
    """Units at random, at least one of each kind in each layer, others in each layer."""
    chance, present = random.Random(seed), units(model)

    def chosen(count: int) -> tuple[int, ...]:
        return tuple(sorted(chance.sample(range(count), chance.randint(1, count))))

    return Kept(tuple(map(chosen, present.heads)), tuple(map(chosen, present.neurons)))


def masks(model: Any, kept: Kept) -> tuple[list[Tensor], list[Tensor]]:
    """1 for each unit kept and 0 for the others, by layer."""
    present = units(model)
    heads, neurons = (
        [torch.zeros(count).index_fill(0, torch.tensor(some), 1.0) for count, some in zip(counts, lists, strict=True)]
        for counts, lists in ((present.heads, kept.heads), (present.neurons, kept.neurons))
    )
    return heads, neurons


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        answer: Tensor = model(**INPUTS).logits
    return answer
