"""Makes a narrower student from a teacher: it keeps the most important hidden dimensions, heads and neurons."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture
from compress.models.families.families import family
from compress.models.families.plain_computation import compute_plainly_
from compress.models.layers import Batch, projects_embeddings
from compress.models.unit_importance import Importance, TokenMeans, hidden_norms, importances
from compress.models.widths import Widths, narrower, widths


def narrow(
    model: Any,
    batches: Sequence[Batch],
    *,
    hidden_size: int | None = None,
    intermediate_size: int | None = None,
    heads: int | None = None,
) -> Any:
    """A student with as many layers and smaller widths, whose weights are the teacher's that count for most.

    Width pruning after Muralidharan et al. 2024, "Compact language models via pruning and knowledge distillation", with the
    importances of `compress.models.unit_importance`. Hidden dimensions are the same throughout the model, heads and
    neurons are chosen for each layer, and the pooler's outputs for themselves. What is left is corrected, so that the
    student starts nearer to its teacher: a smaller head divides its scores by a smaller number, so its queries are scaled;
    a bias takes up the mean of what those that went have added; a norm over fewer dimensions sees another mean and
    deviation, so its weight and bias take up the ratio.

    What the widths mean, and which can be: see `compress.models.widths.narrower`.
    Embeddings of a width of their own (ALBERT, small ELECTRA) keep it.

    Args:
        model: the teacher, a sequence classifier; it is left as it was.
        batches: calibration inputs; a few hundred rows do.

    Returns:
        A classifier of the same class, in evaluation mode, in the teacher's precision. All widths as they were keep the
        function exactly.

    Raises:
        CompressError: the widths cannot be; says which could. There are no batches, or the family is unknown.
    """
    architecture = family(model.config)
    old = widths(model.config)
    new = narrower(model.config, hidden_size=hidden_size, intermediate_size=intermediate_size, heads=heads)
    student = compute_plainly_(type(model)(_config(model, architecture, old, new))).to(dtype=model.dtype)
    teachers, own = model.state_dict(), student.state_dict()
    if teachers.keys() != own.keys():
        raise CompressError(
            f"A hidden width of {new.hidden} is that of the embeddings, and such a model has no projection between the two, "
            "while the teacher's has. Choose another hidden_size."
        )
    importance = importances(model, batches)
    kept = _kept(importance, old, new, for_all_layers=bool(architecture.head_tables))
    axes = _named_axes(architecture, kept, old)
    weights = {
        name: _cut(name, value, own[name].shape, axes.get(name, {}), kept.hidden, old)
        for name, value in teachers.items()
    }
    if new.head_size < old.head_size:
        _scale_queries(weights, architecture, len(kept.heads), math.sqrt(new.head_size / old.head_size))
    _take_up_means(weights, teachers, architecture, importance, kept)
    if new.hidden < old.hidden:
        _refit_norms(weights, model, batches, kept)
    student.load_state_dict(weights)
    return student.eval()


def _config(model: Any, architecture: Architecture, old: Widths, new: Widths) -> Any:
    config = copy.deepcopy(model.config)
    follows = list(architecture.also_hidden_width)
    if not projects_embeddings(model):
        follows.append(architecture.embedding_width)
    for name in follows:
        if getattr(config, name, None) == old.hidden:
            setattr(config, name, new.hidden)
    setattr(config, architecture.hidden_width, new.hidden)
    setattr(config, architecture.head_count, new.heads)
    setattr(config, architecture.ffn_width, new.neurons)
    return config


@dataclass(frozen=True)
class _Kept:
    """Indices into the teacher's axes, in increasing order; lists are by layer."""

    hidden: Tensor
    pooled: Tensor
    heads: list[Tensor]
    query_key: list[Tensor]
    value: list[Tensor]
    neurons: list[Tensor]


def _kept(importance: Importance, old: Widths, new: Widths, *, for_all_layers: bool) -> _Kept:
    heads = importance.heads
    if for_all_layers:  # a table shared by the layers has one column for the i-th head of each of them
        shares = torch.stack([scores / scores.sum() for scores in heads])
        heads = [shares.sum(dim=0)] * len(heads)
    chosen = [_largest(scores, new.heads) for scores in heads]

    def dimensions(scores: Tensor, of_heads: Tensor) -> Tensor:
        return torch.cat([head * old.head_size + _largest(scores[head], new.head_size) for head in of_heads])

    return _Kept(
        hidden=_largest(importance.hidden, new.hidden),
        pooled=_largest(importance.pooled, new.hidden),
        heads=chosen,
        query_key=[dimensions(*pair) for pair in zip(importance.query_key, chosen, strict=True)],
        value=[dimensions(*pair) for pair in zip(importance.value, chosen, strict=True)],
        neurons=[_largest(scores, new.neurons) for scores in importance.neurons],
    )


def _largest(scores: Tensor, count: int) -> Tensor:
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _named_axes(architecture: Architecture, kept: _Kept, old: Widths) -> dict[str, dict[int, Tensor]]:
    """The kept indices along the axes of heads, neurons and pooled outputs: parameter -> axis -> indices."""
    axes: dict[str, dict[int, Tensor]] = {name: {1: kept.heads[0]} for name in architecture.head_tables}
    for path in (architecture.pooler, architecture.pooler_norm):
        axes |= {f"{path}.weight": {0: kept.pooled}, f"{path}.bias": {0: kept.pooled}}
    axes[f"{architecture.classifier}.weight"] = {1: kept.pooled}
    for index, (query_key, value, neurons) in enumerate(zip(kept.query_key, kept.value, kept.neurons, strict=True)):
        outputs = {
            architecture.query: query_key,
            architecture.key: query_key,
            architecture.value: value,
            architecture.position_query: query_key,
            architecture.position_key: query_key,
            architecture.ffn_in: torch.cat([neurons, neurons + old.neurons]) if architecture.gated_ffn else neurons,
        }
        if architecture.fused_qkv:
            outputs[architecture.query] = torch.cat([query_key, query_key + old.hidden, value + 2 * old.hidden])
        for path, indices in outputs.items():
            axes[f"{architecture.layers}.{index}.{path}.weight"] = {0: indices}
            axes[f"{architecture.layers}.{index}.{path}.bias"] = {0: indices}
        axes[f"{architecture.layers}.{index}.{architecture.attention_output}.weight"] = {1: value}
        axes[f"{architecture.layers}.{index}.{architecture.ffn_out}.weight"] = {1: neurons}
    return axes


def _cut(
    name: str, weight: Tensor, shape: Sequence[int], named: Mapping[int, Tensor], hidden: Tensor, old: Widths
) -> Tensor:
    """A copy of the kept part of a weight. Every other axis that is shorter in the student is one of hidden dimensions."""
    for axis, (length, wanted) in enumerate(zip(weight.shape, shape, strict=True)):
        indices = named.get(axis)
        if indices is None and length == old.hidden != wanted:
            indices = hidden
        if indices is not None:
            weight = weight.index_select(axis, indices.to(weight.device))
        if weight.shape[axis] != wanted:
            raise CompressError(
                f"{name} has {length} entries along an axis where the student has {wanted}, and nothing here says which to "
                "keep, so this model cannot be made narrower. Report it with its config."
            )
    return weight.clone()


def _scale_queries(weights: dict[str, Tensor], architecture: Architecture, layers: int, factor: float) -> None:
    """Scores are divided by the root of the head size (Vaswani et al. 2017, equation 1); scales queries to compensate."""
    for index in range(layers):
        for path in (architecture.query, architecture.position_query):
            for kind in ("weight", "bias"):
                name = f"{architecture.layers}.{index}.{path}.{kind}"
                if name in weights:
                    weights[name] *= factor


def _take_up_means(
    weights: dict[str, Tensor],
    teachers: Mapping[str, Tensor],
    architecture: Architecture,
    importance: Importance,
    kept: _Kept,
) -> None:
    """Adds the mean contribution of removed inputs to the bias (An et al. 2024, "baseline bias compensation")."""
    every = slice(None)
    readers = [(architecture.classifier, importance.pooled_means, kept.pooled, every)]
    for index, (means, neurons) in enumerate(zip(importance.neuron_means, kept.neurons, strict=True)):
        readers.append((f"{architecture.layers}.{index}.{architecture.ffn_out}", means, neurons, kept.hidden))
    for path, means, inputs, outputs in readers:
        if f"{path}.bias" in weights:
            gone = means.index_fill(0, inputs, 0)
            weights[f"{path}.bias"] += (teachers[f"{path}.weight"].float() @ gone)[outputs]


def _refit_norms(weights: dict[str, Tensor], model: Any, batches: Sequence[Batch], kept: _Kept) -> None:
    """Refits each norm over the kept dimensions to reproduce the full one's output, by least squares over the tokens.

    With a token's mean m and deviation s over all dimensions, and m', s' over those kept, the whole norm gives
    (x - m) / s = (x - m') / s' * (s' / s) + (m' - m) / s: the means of both terms over tokens go into weight and bias.
    """
    means = TokenMeans()
    left = dict.fromkeys(hidden_norms(model), kept.hidden)
    pooler_norm = family(model.config).pooler_norm
    if pooler_norm:
        left[pooler_norm] = kept.pooled

    def hook(name: str) -> Callable[..., None]:
        return lambda norm, inputs: means.add(name, _ratio_and_shift(norm, inputs[0], left[name]))

    means.over(model, batches, [model.get_submodule(name).register_forward_pre_hook(hook(name)) for name in left])
    for name in left:
        ratio, shift = means[name]
        if f"{name}.bias" in weights:
            weights[f"{name}.bias"] += weights[f"{name}.weight"] * shift
        weights[f"{name}.weight"] *= ratio


def _ratio_and_shift(norm: nn.LayerNorm, values: Tensor, left: Tensor) -> Tensor:
    values = values.float()
    some = values[..., left]
    deviation = (values.var(dim=-1, correction=0) + norm.eps).sqrt()
    ratio = (some.var(dim=-1, correction=0) + norm.eps).sqrt() / deviation
    return torch.stack([ratio, (some.mean(dim=-1) - values.mean(dim=-1)) / deviation], dim=-1)
