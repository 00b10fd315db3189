"""Makes a narrower student of a teacher: fewer hidden dimensions, heads and neurons, those that count for most."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from compress.architectures.architecture import Architecture
from compress.architectures.families import family
from compress.distillation.importance import Importance, TokenMeans, hidden_norms, importances
from compress.distillation.student import Batch, projects_embeddings
from compress.errors import CompressError


@dataclass(frozen=True)
class Widths:
    """The three widths of an encoder; transformers' configs tie hidden = heads * head size."""

    hidden: int
    heads: int
    neurons: int

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


def narrow(
    model: Any,
    batches: Sequence[Batch],
    *,
    hidden_size: int | None = None,
    intermediate_size: int | None = None,
    heads: int | None = None,
) -> Any:
    """A student with as many layers and smaller widths, whose weights are the teacher's that count for most.

    Width pruning after Muralidharan et al. 2024, "Compact language models via pruning and knowledge distillation",
    with the importances of `compress.distillation.importance`. Hidden dimensions are the same
    throughout the model, heads and neurons are chosen for each layer. What is left is corrected, so that the student starts
    nearer to its teacher: a smaller head divides its scores by a smaller number, so its queries are scaled; the bias after
    the neurons takes up the mean of those that went; and a norm over fewer dimensions sees another mean and deviation, so
    its weight and bias take up the ratio.

    What the widths mean:

    - `hidden_size` alone keeps the size of a head, and so the heads become fewer: 384 in 12 heads to 192 is 6 heads;
    - `heads` alone does likewise, so that the hidden width becomes heads * head size;
    - both: a head becomes hidden_size / heads wide, each keeping as many of its dimensions;
    - `intermediate_size` is independent of them.

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
    new = _checked(old, hidden_size, heads, intermediate_size, rotary=architecture.rotary)
    student = type(model)(_config(model, architecture, old, new)).to(dtype=model.dtype)
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
        _refit_norms(weights, model, batches, kept.hidden)
    student.load_state_dict(weights)
    return student.eval()


def widths(config: Any) -> Widths:
    """The widths in a config."""
    architecture = family(config)
    names = (architecture.hidden_width, architecture.head_count, architecture.ffn_width)
    return Widths(*(int(getattr(config, name)) for name in names))


def _checked(old: Widths, hidden: int | None, heads: int | None, neurons: int | None, *, rotary: bool) -> Widths:
    asked = {
        "hidden_size": (hidden, old.hidden),
        "heads": (heads, old.heads),
        "intermediate_size": (neurons, old.neurons),
    }
    for name, (width, most) in asked.items():
        if width is not None and not 1 <= width <= most:
            raise CompressError(f"{name} {width} cannot be cut out of the teacher's {most}. Choose 1 to {most}.")
    size = old.head_size
    if heads is None:
        heads = old.heads if hidden is None else hidden // size
        if hidden is not None and hidden % size:
            fitting = [width for width in (heads * size, (heads + 1) * size) if width]
            raise CompressError(
                f"hidden_size {hidden} is no multiple of {size}, the size of a head, which stays unless `heads` is given "
                f"as well. Choose {' or '.join(map(str, fitting))}, or give heads."
            )
    new = Widths(heads * size if hidden is None else hidden, heads, old.neurons if neurons is None else neurons)
    if new.hidden % heads:
        raise CompressError(
            f"hidden_size {new.hidden} cannot be shared out among {heads} heads. Choose a multiple of {heads}."
        )
    if new.head_size > size:
        raise CompressError(
            f"hidden_size {new.hidden} in {heads} heads makes each {new.head_size} wide, but the teacher's are {size}. "
            f"Choose at most {heads * size}, or more heads."
        )
    if rotary and new.head_size != size:
        raise CompressError(
            f"hidden_size {new.hidden} in {heads} heads makes each {new.head_size} wide instead of {size}, but rotary positions "
            f"need a head whole. Choose hidden_size {heads * size}, or give one of the two alone."
        )
    return new


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
        heads=chosen,
        query_key=[dimensions(*pair) for pair in zip(importance.query_key, chosen, strict=True)],
        value=[dimensions(*pair) for pair in zip(importance.value, chosen, strict=True)],
        neurons=[_largest(scores, new.neurons) for scores in importance.neurons],
    )


def _largest(scores: Tensor, count: int) -> Tensor:
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _named_axes(architecture: Architecture, kept: _Kept, old: Widths) -> dict[str, dict[int, Tensor]]:
    """What is kept of the axes of heads and neurons: parameter -> axis -> indices."""
    axes: dict[str, dict[int, Tensor]] = {name: {1: kept.heads[0]} for name in architecture.head_tables}
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
    """Scores are divided by the root of the head size (Vaswani et al. 2017, equation 1): queries make up for its change."""
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
    """The bias after the neurons takes up the mean of what those that go have added to it (An et al. 2024)."""
    for index, neurons in enumerate(kept.neurons):
        path = f"{architecture.layers}.{index}.{architecture.ffn_out}"
        if f"{path}.bias" in weights:
            means = importance.neuron_means[index].index_fill(0, neurons, 0)
            added = teachers[f"{path}.weight"].float() @ means
            bias = weights[f"{path}.bias"]
            bias += (added if len(added) == len(bias) else added[kept.hidden]).to(bias.dtype)


def _refit_norms(weights: dict[str, Tensor], model: Any, batches: Sequence[Batch], hidden: Tensor) -> None:
    """Let each norm over the kept dimensions give what the whole one gave there, by least squares over the tokens.

    With a token's mean m and deviation s over all dimensions, and m', s' over those kept, the whole norm gives
    (x - m) / s = (x - m') / s' * (s' / s) + (m' - m) / s: the means of both terms over tokens go into weight and bias.
    """
    means, norms = TokenMeans(), hidden_norms(model)

    def hook(name: str) -> Callable[..., None]:
        return lambda norm, inputs: means.add(name, _ratio_and_shift(norm, inputs[0], hidden))

    means.over(model, batches, [norm.register_forward_pre_hook(hook(name)) for name, norm in norms.items()])
    for name in norms:
        ratio, shift = means[name]
        if f"{name}.bias" in weights:
            weights[f"{name}.bias"] += weights[f"{name}.weight"] * shift
        weights[f"{name}.weight"] *= ratio


def _ratio_and_shift(norm: nn.LayerNorm, values: Tensor, hidden: Tensor) -> Tensor:
    values = values.float()
    some = values[..., hidden]
    deviation = (values.var(dim=-1, correction=0) + norm.eps).sqrt()
    ratio = (some.var(dim=-1, correction=0) + norm.eps).sqrt() / deviation
    return torch.stack([ratio, (some.mean(dim=-1) - values.mean(dim=-1)) / deviation], dim=-1)
