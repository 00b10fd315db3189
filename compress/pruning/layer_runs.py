"""Runs the layers of a model one at a time on calibration rows: as they are, and with masks on their units.

What a layer reads besides the hidden states (attention masks, positions) is recorded in one pass of the whole model. The
decoder of an encoder-decoder also reads the encoder's states, which in the pruned model are those of the masked encoder.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import Block, attentions, feed_forwards
from compress.models.families.read_token import reads_first_token
from compress.models.forward import arguments_and_places, run_layers
from compress.models.kinds import kind_of_model
from compress.models.layers import Batch
from compress.pruning.units import masked

STATES = "encoder_hidden_states"
"""What decoder layers call the encoder's states among their arguments."""


@dataclass(frozen=True)
class Part:
    """One attention or feed-forward network of a layer."""

    block: Block
    units: Literal["heads", "neurons"]
    place: int
    """Among all attentions, or all feed-forward networks, of `compress.models.families.blocks`."""


@dataclass(frozen=True)
class Layer:
    """One layer that has weights of its own."""

    module: nn.Module
    stack: Architecture
    parts: tuple[Part, ...]
    """In the order in which they are applied."""
    is_first: bool
    """Of its stack."""
    is_last: bool
    """Of its stack; ALBERT's shared layer is not, since its later applications read what the earlier ones give."""


@dataclass(frozen=True)
class Call:
    """A layer's arguments besides the hidden states."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def with_states(self, layer: nn.Module, hidden: Tensor, states: Tensor) -> Call:
        """The same call with other states of the encoder, [batch, source tokens, width]."""
        bound = inspect.signature(layer.forward).bind(hidden, *self.args, **self.kwargs)
        if STATES not in bound.arguments:
            raise CompressError(f"{type(layer).__name__} reads no '{STATES}'. Report this family as a bug.")
        bound.arguments[STATES] = states
        return Call(bound.args[1:], bound.kwargs)


@dataclass(frozen=True)
class Recorded:
    """What the layers of a whole model read of one batch."""

    entered: Mapping[str, Tensor]
    """By the path of a stack's layers: what its first layer is handed, [batch, tokens, width]."""
    calls: Sequence[Sequence[Call]]
    """By layer: one call, or as many as a shared layer is applied."""
    tokens: Mapping[str, Tensor]
    """By stack: the tokens that an answer may depend on, [batch, tokens], boolean; padding is none of them."""
    read: Mapping[str, Tensor]
    """By stack: those of which the last layer's output is read; by the classifier, the cross-attention, or the head."""


@dataclass(frozen=True)
class Seen:
    """One part of a layer on one batch, [batch, tokens, ...] each."""

    units: Tensor
    """The outputs of its units, before masks."""
    given: Tensor
    """The part's own output."""
    base: Tensor | float
    """What that is added to; 0 where a norm stands before the sum."""


def layers_of(model: Any) -> list[Layer]:
    """The layers with weights of their own, those of an encoder before those of its decoder."""
    parts: dict[tuple[str, int], list[Part]] = {}
    kinds: tuple[tuple[Literal["heads", "neurons"], Sequence[Block]], ...] = (
        ("heads", attentions(model)),
        ("neurons", feed_forwards(model)),
    )
    for units, blocks in kinds:
        for place, block in enumerate(blocks):
            parts.setdefault((block.stack.layers, block.layer), []).append(Part(block, units, place))
    found = []
    for (path, index), of_layer in parts.items():
        stack = of_layer[0].block.stack
        is_last = (path, index + 1) not in parts and not stack.shares_layers
        found.append(Layer(model.get_submodule(path)[index], stack, tuple(of_layer), index == 0, is_last))
    return found


def recorded(model: Any, layers: Sequence[Layer], batch: Batch) -> Recorded:
    """One pass of the whole model, and what it brings each layer."""
    entered: dict[str, Tensor] = {}
    calls: list[list[Call]] = [[] for _ in layers]
    hooks = []

    def hook(index: int, path: str) -> Callable[..., None]:
        def record(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            entered.setdefault(path, args[0] if args else kwargs["hidden_states"])
            others = {name: value for name, value in kwargs.items() if name != "hidden_states"}
            calls[index].append(Call(args[1:], others))

        return record

    try:
        for index, layer in enumerate(layers):
            found = hook(index, layer.stack.layers)
            hooks.append(layer.module.register_forward_pre_hook(found, with_kwargs=True))
        here = {name: value.to(model.device) for name, value in batch.items()}
        run_layers(model, here)
    finally:
        for one in hooks:
            one.remove()
    paths, (tokens, read) = list(entered), _tokens(model, here)
    return Recorded(entered, calls, dict(zip(paths, tokens, strict=True)), dict(zip(paths, read, strict=True)))


def run(layer: Layer, call: Call, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> tuple[list[Seen], Tensor]:
    """One layer on given hidden states [batch, tokens, width], with the units of each part multiplied by a mask.

    Returns:
        What each part did, and the layer's output.
    """
    watched = [_Watch(part.block, None if masks is None else masks[place]) for place, part in enumerate(layer.parts)]
    try:
        output = layer.module(hidden, *call.args, **call.kwargs)
    finally:
        for one in watched:
            one.end()
    seen = []
    base = hidden
    for place, one in enumerate(watched):
        if place and not layer.stack.pre_norm:
            base = one.read  # with norms behind, a part's output is added to what the part reads
        seen.append(Seen(one.units, one.given, 0.0 if layer.stack.norm_before_sum else base))
        base = base + one.given
    return seen, output[0] if isinstance(output, tuple) else output


class _Watch:
    """Keeps what one block reads and gives in a call of its layer, and multiplies its units by a mask."""

    read: Tensor
    units: Tensor
    given: Tensor

    def __init__(self, block: Block, mask: Tensor | None) -> None:
        self.width, self.mask, self.was_read = block.width, mask, False
        self.hooks = [
            block.makers[0].module.register_forward_pre_hook(self._reads),
            block.output.register_forward_pre_hook(self._mixes),
            block.output.register_forward_hook(self._gives),
        ]

    def end(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def _reads(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not self.was_read:  # DeBERTa's queries are made a second time, of its positions
            self.read, self.was_read = inputs[0], True

    def _mixes(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        self.units = inputs[0]
        if self.mask is None:
            return None
        return (masked(self.units, self.mask, self.width), *inputs[1:])

    def _gives(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.given = output


def _tokens(model: Any, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    """By stack, the tokens that an answer may depend on, and those whose last hidden states are read."""
    if kind_of_model(model).generates:
        _, places = arguments_and_places(model, batch)
        followed = places.flip(1).cumsum(1).flip(1) > 0  # no token is read by those before it
        real = batch["attention_mask"].bool()
        if model.config.is_encoder_decoder:
            return [real, followed], [real, places]
        return [real & followed], [places]
    tokens = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()
    first = torch.zeros_like(tokens)
    first[torch.arange(len(tokens)), tokens.int().argmax(dim=1)] = True
    stacks = 2 if model.config.is_encoder_decoder else 1
    return [tokens] * stacks, [first if reads_first_token(model) else tokens] * stacks
