"""Masks of single weights: which weights are prunable, which are zero, and applying masks to a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from compress.core import name_patterns
from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.models.families.matrices import is_linear, weight_of

Masks = dict[str, Tensor]
"""By the linear module's name: bool, of its weight's shape [outputs, inputs]; True is a weight that stays."""


def prunable(model: Any, exclude: Sequence[str] = ()) -> dict[str, nn.Module]:
    """The linear modules within the layers, by their names in the model, in its order.

    Embeddings, norms, biases, pooler and heads are none of them. An encoder-decoder's encoder comes first; GPT-2's `Conv1D`
    is one as well. ALBERT's one layer is there once, ModernBERT's
    `Wqkv` and `Wi` are one matrix each, and DeBERTa's projections of positions are there where a model has its own.

    Args:
        exclude: shell patterns of modules that are not pruned, such as `*.layer.0.*` or `*.value`.

    Raises:
        CompressError: a pattern fits no module, or nothing is left to prune.
    """
    found = {
        f"{stack.layers}.{name}": part
        for stack in family(model.config).stacks
        for name, part in model.get_submodule(stack.layers).named_modules()
        if is_linear(part)
    }
    name_patterns.check(exclude, found, "exclude", "pruned")
    chosen = {name: part for name, part in found.items() if not any(fnmatchcase(name, pattern) for pattern in exclude)}
    if not chosen:
        raise CompressError(f"The patterns {', '.join(exclude)} exclude all {len(found)} matrices. Give fewer.")
    return chosen


def weights_of(model: Any, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """The weights by the modules' names, [outputs, inputs] each: the model's own tensors, not copies.

    Args:
        names: modules; without them, all that are `prunable`.
    """
    chosen = prunable(model) if names is None else names
    return {name: weight_of(model.get_submodule(name)).detach() for name in chosen}


def masks_of_zeros(model: Any, names: Iterable[str] | None = None) -> Masks:
    """Masks from a model's zeros: zero weights are pruned."""
    return {name: weight != 0 for name, weight in weights_of(model, names).items()}


@torch.no_grad()
def apply_(model: Any, masks: Mapping[str, Tensor]) -> None:
    """Sets the weights whose mask is False to exactly zero.

    Raises:
        CompressError: a mask is not of its weight's shape.
    """
    for name, mask in masks.items():
        weight = weight_of(model.get_submodule(name))
        if weight.shape != mask.shape:
            shapes = f"{list(mask.shape)}, its weight {list(weight.shape)}"
            raise CompressError(f"The mask of {name} has the shape {shapes}. Use masks made for this model.")
        weight.masked_fill_(~mask.to(weight.device), 0)


def share_of_zeros(model: Any, names: Iterable[str] | None = None) -> float:
    """The share of zero weights in these modules, from 0 to 1.

    Args:
        names: modules, or masks by module; without them, all that are `prunable`.
    """
    weights = weights_of(model, names)
    zeros = sum(int((weight == 0).sum()) for weight in weights.values())
    return zeros / max(sum(weight.numel() for weight in weights.values()), 1)
