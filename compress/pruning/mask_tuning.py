"""Rescales the kept units of each layer to reproduce the whole layer's output, by least squares.

Section 4.3 of Kwon et al. 2022, "A fast post-training pruning framework for transformers", from the first layer to the last:

    minimize over m   || x + layer(x; m) - (x' + layer(x'; 1)) ||^2

where x' is what the whole model hands the layer on the calibration rows, and x what the pruned one does, with the masks
that were tuned before. What a layer gives is linear in its masks, so these are normal equations with as many unknowns as
heads are kept, then neurons. Of the last layer only those tokens count that the classifier reads. A constant that the biases
could take up was tried as well: answers of rows held out came out further from the whole model's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.core.labels import inputs_of
from compress.models.families.architecture import Architecture
from compress.models.families.families import family
from compress.models.kinds import kind_of_model
from compress.models.layers import Batch, evaluating
from compress.pruning.units import Kept, own_layers, units

RIDGE = 1e-3
"""How strongly masks are held at 1, as a share of the mean diagonal of the normal equations."""
LIMIT = 10.0
"""A mask beyond this, or below its negative, is taken for no solution, as in the paper's program."""


@dataclass(frozen=True)
class LayerMasks:
    """The factors of the outputs of one layer's units."""

    heads: Tensor
    """[heads]; 0 for those that go."""
    neurons: Tensor
    """[neurons]; 0 for those that go."""


def ones(model: Any, kept: Kept) -> list[LayerMasks]:
    """Masks with 1 for kept units and 0 for the others."""
    found = units(model)

    def mask(kept_here: Sequence[int], count: int) -> Tensor:
        values = torch.zeros(count)
        values[list(kept_here)] = 1
        return values

    heads = zip(kept.heads, found.heads, strict=True)
    neurons = zip(kept.neurons, found.neurons, strict=True)
    return [LayerMasks(mask(*one), mask(*other)) for one, other in zip(heads, neurons, strict=True)]


def tuned(model: Any, kept: Kept, batches: Sequence[Batch], *, ridge: float = RIDGE) -> list[LayerMasks]:
    """Masks of the kept units, one entry per layer, fitted so that the pruned model reproduces the unpruned one.

    Takes about seven forward passes, fewer where the first layers stay whole. The hidden states of two models at one layer
    are kept for all rows: 80 MB for 2,000 rows of 13 tokens and width 384. Layers that share their weights share their
    masks, fitted to all their uses.

    Args:
        model: a sequence classifier with all its units; it is left as it was.
        batches: what the model reads; labels are not looked at.
        ridge: see `RIDGE`; raised tenfold until no mask is beyond `LIMIT`.

    Raises:
        CompressError: there are no batches.
    """
    if not batches:
        raise CompressError("Mask tuning needs calibration rows, and there are none. Use a larger calibration set.")
    masks = [_on(one, model.device) for one in ones(model, kept)]
    architecture, layers = family(model.config), own_layers(model)
    with evaluating(model):
        states = [_recorded(model, layers, batch) for batch in batches]
        for index, layer in enumerate(layers):
            runs = _Runs(layer, architecture, [state.calls[index] for state in states])
            if any(state.pruned is not state.whole for state in states) or _something_goes(masks[index]):
                last = index == len(layers) - 1 and not architecture.shares_layers
                masks[index] = _fitted(runs, masks[index], states, last, ridge)
                pruned = [runs.through(place, state.pruned, masks[index]) for place, state in enumerate(states)]
            else:
                pruned = None  # so far both models are the same
            for place, state in enumerate(states):
                state.whole = runs.through(place, state.whole)
                state.pruned = state.whole if pruned is None else pruned[place]
    return [_on(one, torch.device("cpu")) for one in masks]


@dataclass(frozen=True)
class _Call:
    """A layer's arguments besides the hidden states: attention masks, positions."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass
class _State:
    """One batch on its way through both models."""

    whole: Tensor
    """What the whole model hands the layer, [batch, tokens, width]."""
    pruned: Tensor
    """What the pruned one does."""
    calls: list[list[_Call]]
    """By layer: one call, or as many as a shared layer is applied."""
    tokens: Tensor
    """Which tokens are no padding, [batch, tokens]."""
    read: Tensor
    """Which of them the classifier reads, likewise."""


@dataclass(frozen=True)
class _Pass:
    """The outputs of one layer on one batch; [batch, tokens, ...] each."""

    mixed: Tensor
    """The heads' outputs, before masks."""
    attention: Tensor
    attention_base: Tensor
    """What the attention's output is added to."""
    neurons: Tensor
    """The neurons' outputs, before masks."""
    ffn: Tensor
    ffn_base: Tensor
    output: Tensor


@dataclass(frozen=True)
class _Runs:
    """One layer, and its arguments on each batch."""

    layer: nn.Module
    architecture: Architecture
    calls: Sequence[Sequence[_Call]]

    def through(self, place: int, hidden: Tensor, masks: LayerMasks | None = None) -> Tensor:
        """The layer's output for a batch's hidden states, after all its applications."""
        for call in self.calls[place]:
            hidden = _run(self.layer, self.architecture, call, hidden, masks).output
        return hidden


def _fitted(runs: _Runs, masks: LayerMasks, states: Sequence[_State], last: bool, ridge: float) -> LayerMasks:
    """The masks of one layer: first those of its heads, then, with these, those of its neurons."""
    # The later applications of a shared layer read what the masks of the earlier ones gave: so once more.
    for part in _PARTS * (2 if runs.architecture.shares_layers else 1):
        sums = _NormalEquations(runs.layer.get_submodule(getattr(runs.architecture, part.output)), masks, part)
        for place, state in enumerate(states):
            tokens = state.read if last else state.tokens
            whole, pruned = state.whole, state.pruned
            for call in runs.calls[place]:
                wanted = _run(runs.layer, runs.architecture, call, whole)
                found = _run(runs.layer, runs.architecture, call, pruned, masks)
                missing = part.reached(wanted) - part.came_in(found)
                sums.add(part.units(found)[tokens], missing[tokens])
                whole, pruned = wanted.output, found.output
        masks = sums.solved(ridge)
    return masks


def _something_goes(masks: LayerMasks) -> bool:
    return bool((masks.heads == 0).any() or (masks.neurons == 0).any())


def _recorded(model: Any, layers: Sequence[nn.Module], batch: Batch) -> _State:
    """One pass of the whole model that records the arguments of its layers."""
    calls: list[list[_Call]] = [[] for _ in layers]
    entered: list[Tensor] = []
    hooks = []

    def hook(index: int) -> Callable[..., None]:
        def record(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            entered.append(args[0] if args else kwargs["hidden_states"])
            others = {name: value for name, value in kwargs.items() if name != "hidden_states"}
            calls[index].append(_Call(args[1:], others))

        return record

    inputs = {name: value.to(model.device) for name, value in inputs_of(batch).items()}
    try:
        for index, layer in enumerate(layers):
            hooks.append(layer.register_forward_pre_hook(hook(index), with_kwargs=True))
        model(**inputs)
    finally:
        for one in hooks:
            one.remove()
    tokens = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).bool()
    first = torch.zeros_like(tokens)
    first[torch.arange(len(tokens)), tokens.int().argmax(dim=1)] = True
    kind = kind_of_model(model)
    pools_all = getattr(model.config, "classifier_pooling", "cls") == "mean"  # ModernBERT's choice
    reads_all = pools_all or any(one.of != "row" for one in kind.outputs)
    return _State(entered[0], entered[0], calls, tokens, tokens if reads_all else first)


def _run(
    layer: nn.Module, architecture: Architecture, call: _Call, hidden: Tensor, masks: LayerMasks | None = None
) -> _Pass:
    """One layer on given hidden states, with its units multiplied by masks."""
    seen: dict[str, Tensor] = {}

    def watch(path: str, mask: Tensor | None) -> list[Any]:
        def before(_module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
            seen[f"into {path}"] = inputs[0]
            return None if mask is None else (_multiplied(inputs[0], mask),)

        def after(_module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> None:
            seen[path] = output

        module = layer.get_submodule(path)
        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    attention, ffn = architecture.attention_output, architecture.ffn_out
    hooks = [
        *watch(attention, masks.heads if masks else None),
        *watch(ffn, masks.neurons if masks else None),
        *watch(architecture.ffn_in, None),
    ]
    try:
        output = layer(hidden, *call.args, **call.kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    return _Pass(
        mixed=seen[f"into {attention}"],
        attention=seen[attention],
        attention_base=hidden,
        neurons=seen[f"into {ffn}"],
        ffn=seen[ffn],
        # With norms behind, the network's output is added to what it reads; else to the sum that the norm before it reads.
        ffn_base=hidden + seen[attention] if architecture.pre_norm else seen[f"into {architecture.ffn_in}"],
        output=output[0] if isinstance(output, tuple) else output,
    )


@dataclass(frozen=True)
class _Part:
    """One of a layer's two halves: attention, or feed-forward network."""

    output: str
    """The architecture's name for its output module."""
    mask: str
    units: Callable[[_Pass], Tensor]
    came_in: Callable[[_Pass], Tensor]
    reached: Callable[[_Pass], Tensor]


_PARTS = (
    _Part(
        "attention_output",
        "heads",
        lambda seen: seen.mixed,
        lambda seen: seen.attention_base,
        lambda seen: seen.attention_base + seen.attention,
    ),
    _Part(
        "ffn_out",
        "neurons",
        lambda seen: seen.neurons,
        lambda seen: seen.ffn_base,
        lambda seen: seen.ffn_base + seen.ffn,
    ),
)


class _NormalEquations:
    """Sums over tokens, from which the masks of one part of one layer follow.

    The contribution of unit f to output o at token t is x_tf w_of, so A'A = (X'X) * (W'W), entry by entry, and
    A'b = sum over t of x_tf (b W)_tf; a head's entries are summed over its dimensions. In fp64, since sums over tokens are.
    """

    def __init__(self, output: nn.Module, masks: LayerMasks, part: _Part) -> None:
        self.masks, self.part = masks, part
        mask: Tensor = getattr(masks, part.mask)
        self.kept = mask.nonzero().flatten()
        weight = output.get_parameter("weight").detach().float()
        self.size = weight.shape[1] // len(mask)
        self.columns = torch.zeros_like(mask, dtype=torch.bool)
        self.columns[self.kept] = True
        self.columns = self.columns.repeat_interleave(self.size)
        self.weight = weight[:, self.columns]
        self.bias = 0.0 if output.bias is None else output.get_parameter("bias").detach().float()
        width = self.weight.shape[1]
        self.products = weight.new_zeros(width, width, dtype=torch.float64)
        self.onto = weight.new_zeros(width, dtype=torch.float64)

    def add(self, values: Tensor, missing: Tensor) -> None:
        """Units' outputs [tokens, width], and what they should add up to [tokens, hidden width]."""
        x = values.float()[:, self.columns]
        b = missing.float() - self.bias
        self.products += (x.T @ x).double()
        self.onto += (x * (b @ self.weight)).double().sum(dim=0)

    def solved(self, ridge: float) -> LayerMasks:
        weight, count = self.weight.double(), len(self.kept)
        squares = (self.products * (weight.T @ weight)).view(count, self.size, count, self.size).sum(dim=(1, 3))
        values = _held_at_one(squares, self.onto.view(count, self.size).sum(dim=1), ridge)
        mask = torch.zeros_like(getattr(self.masks, self.part.mask))
        mask[self.kept] = values.float()
        return replace(self.masks, **{self.part.mask: mask})


def _held_at_one(squares: Tensor, projected: Tensor, ridge: float) -> Tensor:
    """The solution of squares m = projected, regularized towards 1 just enough to stay within the limit."""
    if not (squares.isfinite().all() and projected.isfinite().all()):
        raise CompressError(
            "The model's activations on the calibration rows are NaN or infinite, so masks cannot be fitted. "
            "Check its weights, or the rows."
        )
    start = torch.ones_like(projected)
    scale = squares.diagonal().mean()
    if scale <= 0:
        return start
    gap = projected - squares @ start
    identity = torch.eye(len(start), dtype=squares.dtype, device=squares.device)
    while True:
        values = start + torch.linalg.solve(squares + ridge * scale * identity, gap)
        if values.abs().max() <= LIMIT:
            return values
        ridge *= 10


def _multiplied(values: Tensor, mask: Tensor) -> Tensor:
    return values * mask.to(values).repeat_interleave(values.shape[-1] // len(mask))


def _on(masks: LayerMasks, device: torch.device) -> LayerMasks:
    return LayerMasks(masks.heads.to(device), masks.neurons.to(device))
