"""Corrects a narrower student where its width enters a formula: norms over fewer dimensions, and scales by its root."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compress.models.families.families import family
from compress.models.layers import Batch
from compress.models.unit_importance import Side, TokenMeans, hidden_norms, is_rms, side_of_norm

Weights = dict[str, Tensor]
"""A student's, by parameter; changed in place."""


def refit_norms_(weights: Weights, model: Any, batches: Sequence[Batch], hidden: Tensor, pooled: Tensor) -> str:
    """Refits each norm over the kept dimensions to reproduce the full one's output, by least squares over the tokens.

    With a token's mean m and deviation s over all dimensions, and m', s' over those kept, the whole norm gives
    (x - m) / s = (x - m') / s' * (s' / s) + (m' - m) / s: the means of both terms over tokens go into weight and bias.
    A norm without a mean divides by the root mean square: m and m' are 0. If the dimensions that went are 0 in every token,
    s' / s is the same for all of them, and so nothing is lost.

    Args:
        model: the teacher.
        hidden: indices of the kept hidden dimensions, `pooled` of a pooler's kept outputs.

    Returns:
        The name of the norm that runs last: of a generative model, the one that its output head reads.
    """
    means = TokenMeans()
    left = dict.fromkeys(hidden_norms(model), hidden)
    pooler_norm = family(model.config).pooler_norm
    if pooler_norm:
        left[pooler_norm] = pooled

    def hook(name: str, side: Side) -> Callable[..., None]:
        return lambda norm, inputs: means.add(name, _ratio_and_shift(norm, inputs[0], left[name]), side)

    hooks = [
        model.get_submodule(name).register_forward_pre_hook(hook(name, side_of_norm(model, name))) for name in left
    ]
    means.over(model, batches, hooks)
    for name in left:
        ratio, shift = means[name]
        _scale_norm_(weights, model, name, ratio, shift)
    return means.names[-1]


def keep_scales_(weights: Weights, model: Any, last_norm: str, old: int, new: int) -> None:
    """Compensates factors that are a root of the hidden width, so that embeddings and logits keep their size.

    Embeddings that the model multiplies by it (Gemma, some BART) are scaled themselves. A head tied to them, and one whose
    input is divided by it (T5), are compensated in the norm before the head, whose output nothing else reads.

    Args:
        model: the teacher, a generative model.
        old: its hidden width; `new`: the student's.
    """
    architecture, factor = family(model.config), math.sqrt(old / new)
    head_factor = 1 / factor if architecture.scales_head(model.config) else 1.0
    if architecture.scales_embeddings(model.config):
        stacks = (model.get_encoder(), model.get_decoder()) if model.config.is_encoder_decoder else ()
        tables = {part.get_input_embeddings().weight.data_ptr() for part in (model, *stacks)}
        for name, value in model.state_dict().items():
            if value.data_ptr() in tables:
                weights[name] *= factor
        if model.get_output_embeddings().weight.data_ptr() in tables:
            head_factor /= factor
    if head_factor != 1:
        _scale_norm_(weights, model, last_norm, torch.tensor(head_factor))
        if f"{last_norm}.bias" in weights:
            weights[f"{last_norm}.bias"] *= head_factor


def _scale_norm_(weights: Weights, model: Any, name: str, ratio: Tensor, shift: Tensor | None = None) -> None:
    """Multiplies what a norm gives, but for its bias, by a ratio, after adding a shift to it."""
    weight, one = weights[f"{name}.weight"], 1.0 if family(model.config).norms_add_one else 0.0
    if shift is not None and f"{name}.bias" in weights:
        weights[f"{name}.bias"] += weight * shift
    if one:
        weight += one
    weight *= ratio
    if one:
        weight -= one


def _ratio_and_shift(norm: nn.Module, values: Tensor, left: Tensor) -> Tensor:
    values = values.float()
    some = values[..., left]
    if is_rms(norm):
        epsilon = float(vars(norm).get("variance_epsilon", vars(norm).get("eps", 0.0)))
        ratio = ((some**2).mean(dim=-1) + epsilon).sqrt() / ((values**2).mean(dim=-1) + epsilon).sqrt()
        return torch.stack([ratio, torch.zeros_like(ratio)], dim=-1)
    assert isinstance(norm, nn.LayerNorm)
    deviation = (values.var(dim=-1, correction=0) + norm.eps).sqrt()
    ratio = (some.var(dim=-1, correction=0) + norm.eps).sqrt() / deviation
    return torch.stack([ratio, (some.mean(dim=-1) - values.mean(dim=-1)) / deviation], dim=-1)
