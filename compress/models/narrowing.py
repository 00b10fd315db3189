"""Makes a narrower student from a teacher: it keeps the most important hidden dimensions, heads and neurons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.blocks import Block, attentions, feed_forwards, group_size
from compress.models.families.families import family
from compress.models.families.matrices import axes_of, weight_of
from compress.models.kinds import kind_of_model
from compress.models.layers import Batch, classifier_path, projects_embeddings, unfilled_student
from compress.models.norm_refit import keep_scales_, refit_norms_
from compress.models.unit_importance import Importance, importances
from compress.models.widths import Widths, all_widths, check_narrows, narrowed, narrower


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
    importances of `compress.models.unit_importance`. Hidden dimensions are the same throughout the model, in an
    encoder-decoder on both sides; heads and neurons are chosen for each layer, and the pooler's outputs for themselves. What
    is left is corrected, so that the student starts nearer to its teacher: a smaller head divides its scores by a smaller
    number, so its queries are scaled; a bias takes up the mean of what those that went have added; norms and scales by the
    root of the width are refitted (`compress.models.norm_refit`).

    What the widths mean, and which can be: see `compress.models.widths.narrower`.
    Embeddings of a width of their own (ALBERT, small ELECTRA) keep it.

    Args:
        model: the teacher, an encoder with a classifier or a generative model; it is left as it was.
        batches: calibration inputs, of a generative model with `labels`; a few hundred rows do.

    Returns:
        A model of the same class, in evaluation mode, in the teacher's precision. All widths as they were keep the
        function exactly.

    Raises:
        CompressError: the widths cannot be; says which could. There are no batches, or the family is unknown.
    """
    check_narrows(model.config, generates=kind_of_model(model).generates)
    old = all_widths(model.config)
    new = narrower(model.config, hidden_size=hidden_size, intermediate_size=intermediate_size, heads=heads)
    config = narrowed(model.config, new, embeddings_follow=not projects_embeddings(model))
    student = unfilled_student(model, config)
    teachers, own = model.state_dict(), student.state_dict()
    if teachers.keys() != own.keys():
        raise CompressError(
            f"A hidden width of {new[0].hidden} is that of the embeddings, and such a model has no projection between the "
            "two, while the teacher's has. Choose another hidden_size."
        )
    importance = importances(model, batches)
    kept = _kept(model, importance, new)
    axes = _named_axes(model, kept)
    weights = {
        name: _cut(name, value, own[name].shape, axes.get(name, {}), kept.hidden, old[0].hidden)
        for name, value in teachers.items()
    }
    _scale_queries(weights, model, kept)
    _take_up_means(weights, model, importance, kept)
    if new[0].hidden < old[0].hidden:
        last_norm = refit_norms_(weights, model, batches, kept.hidden, kept.pooled)
        if not family(model.config).classifier:
            keep_scales_(weights, model, last_norm, old[0].hidden, new[0].hidden)
    student.load_state_dict(weights)
    return student.eval()


@dataclass(frozen=True)
class _OfHeads:
    """Indices into the outputs of an attention's queries, keys and values, and into the inputs of its output projection."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    mixed: Tensor
    scale: float
    """Of the queries: scores are divided by the root of the head size (Vaswani et al. 2017, equation 1)."""


@dataclass(frozen=True)
class _Kept:
    """Indices into the teacher's axes, in increasing order; lists are by attention, or by feed-forward network."""

    hidden: Tensor
    pooled: Tensor
    heads: list[Tensor]
    of_heads: list[_OfHeads]
    neurons: list[Tensor]


def _kept(model: Any, importance: Importance, new: Sequence[Widths]) -> _Kept:
    blocks, networks = attentions(model), feed_forwards(model)
    of_stack = {stack.layers: one for stack, one in zip(family(model.config).stacks, new, strict=True)}
    wanted = [of_stack[block.stack.layers] for block in blocks]
    groups = [group_size(model.config, block.stack) for block in blocks]
    counts = [one.heads // group for one, group in zip(wanted, groups, strict=True)]
    scores = _scores_of_heads(blocks, importance)
    heads = [_largest(some, count) for some, count in zip(scores, counts, strict=True)]
    pairs = zip(importance.query_key, importance.value, strict=True)
    hidden = _largest(importance.hidden, new[0].hidden)
    # A model that classifies tokens has no pooler: its classifier reads the hidden states themselves.
    pools = family(model.config).pooler in dict(model.named_modules())
    return _Kept(
        hidden=hidden,
        pooled=_largest(importance.pooled, new[0].hidden) if pools else hidden,
        heads=heads,
        of_heads=[
            _of_heads(some, *pair, one.head_size, group, scaled=block.stack.scales_scores(model.config))
            for some, pair, one, group, block in zip(heads, pairs, wanted, groups, blocks, strict=True)
        ],
        neurons=[
            _largest(some, of_stack[network.stack.layers].neurons)
            for some, network in zip(importance.neurons, networks, strict=True)
        ],
    )


def _scores_of_heads(blocks: Sequence[Block], importance: Importance) -> list[Tensor]:
    """The importance of heads, the same in all layers that share a table with a column for the i-th head of each of them."""
    scores = list(importance.heads)
    sharing: dict[str, list[int]] = {}
    for index, block in enumerate(blocks):
        if block.stack.head_tables and not block.is_cross:
            sharing.setdefault(block.stack.layers, []).append(index)
    for some in sharing.values():
        shares = torch.stack([scores[index] / scores[index].sum() for index in some]).sum(dim=0)
        for index in some:
            scores[index] = shares
    return scores


def _of_heads(heads: Tensor, query_key: Tensor, value: Tensor, size: int, group: int, *, scaled: bool) -> _OfHeads:
    whole = query_key.shape[1]

    def dimensions(scores: Tensor) -> Tensor:
        return torch.cat([head * whole + _largest(scores[head], size) for head in heads])

    keys, values = dimensions(query_key), dimensions(value)
    scale = math.sqrt(size / whole) if scaled else 1.0
    if group == 1:
        return _OfHeads(keys, keys, values, values, scale)
    # Heads of queries that share one of keys and values are kept whole.
    queries = (heads[:, None] * (group * whole) + torch.arange(group * whole, device=heads.device)).flatten()
    return _OfHeads(queries, keys, values, queries, scale)


def _largest(scores: Tensor, count: int) -> Tensor:
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _named_axes(model: Any, kept: _Kept) -> dict[str, dict[int, Tensor]]:
    """The kept indices along the axes of heads, neurons and pooled outputs: parameter -> axis -> indices."""
    architecture, paths = family(model.config), {id(module): path for path, module in model.named_modules()}
    axes: dict[str, dict[int, Tensor]] = {}

    def outputs(module: nn.Module, indices: Tensor) -> None:
        axes[f"{paths[id(module)]}.weight"] = {axes_of(module)[0]: indices}
        axes[f"{paths[id(module)]}.bias"] = {0: indices}

    for path in (architecture.pooler, architecture.pooler_norm):
        axes |= {f"{path}.weight": {0: kept.pooled}, f"{path}.bias": {0: kept.pooled}}
    axes[f"{classifier_path(model)}.weight"] = {1: kept.pooled}
    for block, heads, of_heads in zip(attentions(model), kept.heads, kept.of_heads, strict=True):
        parts = (of_heads.queries, of_heads.keys, of_heads.values)
        if len(block.makers) == 1:
            starts = [sum(block.makers[0].widths[:part]) * block.count for part in range(len(parts))]
            outputs(block.makers[0].module, torch.cat([one + start for one, start in zip(parts, starts, strict=True)]))
        else:  # DeBERTa's projections of positions come last
            for maker, part in zip(block.makers, (*parts, of_heads.queries, of_heads.keys), strict=False):
                outputs(maker.module, part)
        axes[f"{paths[id(block.output)]}.weight"] = {axes_of(block.output)[1]: of_heads.mixed}
        if not block.is_cross:
            axes |= {name: {1: heads} for name in block.stack.head_tables}
    for network, neurons in zip(feed_forwards(model), kept.neurons, strict=True):
        for maker in network.makers:
            outputs(maker.module, torch.cat([neurons + part * network.count for part in range(len(maker.widths))]))
        axes[f"{paths[id(network.output)]}.weight"] = {axes_of(network.output)[1]: neurons}
    return axes


def _cut(
    name: str, weight: Tensor, shape: Sequence[int], named: Mapping[int, Tensor], hidden: Tensor, old_width: int
) -> Tensor:
    """A copy of the kept part of a weight. Every other axis that is shorter in the student is one of hidden dimensions."""
    for axis, (length, wanted) in enumerate(zip(weight.shape, shape, strict=True)):
        indices = named.get(axis)
        if indices is None and length == old_width != wanted:
            indices = hidden
        if indices is not None:
            weight = weight.index_select(axis, indices.to(weight.device))
        if weight.shape[axis] != wanted:
            raise CompressError(
                f"{name} has {length} entries along an axis where the student has {wanted}, and nothing here says which to "
                "keep, so this model cannot be made narrower. Report it with its config."
            )
    return weight.clone()


def _scale_queries(weights: dict[str, Tensor], model: Any, kept: _Kept) -> None:
    """Scores are divided by the root of the head size: scales queries to compensate."""
    paths = {id(module): path for path, module in model.named_modules()}
    for block, of_heads in zip(attentions(model), kept.of_heads, strict=True):
        if of_heads.scale == 1:
            continue
        position_query = f"{block.stack.layers}.{block.layer}.{block.stack.position_query}"
        for maker in block.makers:
            path = paths[id(maker.module)]
            if maker is block.makers[0] or path == position_query:
                weight = weights[f"{path}.weight"]
                (weight if axes_of(maker.module)[0] == 0 else weight.T)[: len(of_heads.queries)] *= of_heads.scale
                if f"{path}.bias" in weights:
                    weights[f"{path}.bias"][: len(of_heads.queries)] *= of_heads.scale


def _take_up_means(weights: dict[str, Tensor], model: Any, importance: Importance, kept: _Kept) -> None:
    """Adds the mean contribution of removed inputs to the bias (An et al. 2024, "baseline bias compensation")."""
    paths = {id(module): path for path, module in model.named_modules()}
    readers = [
        (network.output, means, neurons, kept.hidden)
        for network, means, neurons in zip(feed_forwards(model), importance.neuron_means, kept.neurons, strict=True)
    ]
    classifier = classifier_path(model)
    if classifier:
        every = torch.arange(model.get_submodule(classifier).out_features)
        readers.append((model.get_submodule(classifier), importance.pooled_means, kept.pooled, every))
    for module, means, inputs, outputs in readers:
        name = f"{paths[id(module)]}.bias"
        if name in weights:
            gone = means.index_fill(0, inputs, 0)
            weights[name] += (weight_of(module).detach().float() @ gone)[outputs]
