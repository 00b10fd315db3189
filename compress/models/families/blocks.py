"""Lists a model's attention and feed-forward blocks: the modules that produce their units, and the one that reads them.

The units of an attention are its heads; where several heads of queries read one head of keys and values, such groups. The
units of a feed-forward network are its neurons. An encoder layer has one of each; a decoder layer that reads an encoder's
states has two attentions, its own first. All of the encoder come before those of the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture, CrossAttention
from compress.models.families.families import family
from compress.models.families.matrices import LINEAR, inputs_of


@dataclass(frozen=True)
class Maker:
    """A linear module that makes units."""

    module: nn.Module
    widths: tuple[int, ...]
    """Its outputs lie in so many parts, one after another; in each, every unit has this many neighbouring ones."""
    reads: Literal["tokens", "encoder", "positions"] = "tokens"
    """What its inputs are: its own stack's tokens, an encoder's states, or a table of relative positions (DeBERTa)."""


@dataclass(frozen=True)
class Block:
    """The heads of one attention, or the neurons of one feed-forward network."""

    stack: Architecture
    layer: int
    """Counted within the stack, from 0."""
    makers: tuple[Maker, ...]
    output: nn.Module
    """The linear module that reads the units."""
    width: int
    """How many of its inputs each unit is."""
    attention: nn.Module | None = None
    """What cuts its makers' outputs into heads; feed-forward networks have none."""
    is_cross: bool = False
    """Whether its keys and values are made from an encoder's states."""

    @property
    def count(self) -> int:
        """The current number of units."""
        return inputs_of(self.output) // self.width


def attentions(model: Any) -> list[Block]:
    """The attentions with weights of their own; ALBERT's shared one counts once.

    Raises:
        CompressError: the family is unknown, or a module is no linear one any more.
    """
    found = []
    for stack in family(model.config).stacks:
        for index, layer in enumerate(model.get_submodule(stack.layers)):
            found.append(_attention(stack, index, layer, stack, model.config))
            if stack.cross is not None:
                found.append(_attention(stack, index, layer, stack.cross, model.config))
    return found


def feed_forwards(model: Any) -> list[Block]:
    """The feed-forward networks, likewise."""
    found = []
    for stack in family(model.config).stacks:
        for index, layer in enumerate(model.get_submodule(stack.layers)):
            makers = [Maker(linear(layer, stack.ffn_in), (1, 1) if stack.gated_ffn else (1,))]
            if stack.ffn_gate:
                makers.append(Maker(linear(layer, stack.ffn_gate), (1,)))
            found.append(Block(stack, index, tuple(makers), linear(layer, stack.ffn_out), 1))
    return found


def hidden_width(config: Any) -> int:
    """The width of a model's hidden states; an encoder-decoder's is one for both sides."""
    return int(getattr(config, family(config).hidden_width))


def head_size(config: Any, stack: Architecture | None = None) -> int:
    """The width of one head, which does not change when heads are removed: the config still says with how many it was made."""
    stack = family(config) if stack is None else stack
    own = getattr(config, stack.head_width, None) if stack.head_width else None
    return int(own or hidden_width(config) // getattr(config, stack.head_count))


def group_size(config: Any, stack: Architecture) -> int:
    """The number of query heads per key-value head."""
    fewer = getattr(config, stack.key_value_head_count, None) if stack.key_value_head_count else None
    return int(getattr(config, stack.head_count) // fewer) if fewer else 1


def attention_widths(config: Any, stack: Architecture) -> tuple[int, int]:
    """The widths of an attention's queries, and of its keys and values, before any head was removed."""
    queries = int(getattr(config, stack.head_count)) * head_size(config, stack)
    return queries, queries // group_size(config, stack)


def linear(layer: nn.Module, path: str) -> nn.Module:
    """A linear module of a layer.

    Raises:
        CompressError: it is another kind of module, as after some ways of quantizing.
    """
    module = layer.get_submodule(path)
    if not isinstance(module, LINEAR):
        raise CompressError(
            f"{path} is a {type(module).__name__}, not a linear module, so nothing can be removed from it."
        )
    return module


def _attention(
    stack: Architecture, index: int, layer: nn.Module, where: Architecture | CrossAttention, config: Any
) -> Block:
    size, group = head_size(config, stack), group_size(config, stack)
    is_cross = isinstance(where, CrossAttention)
    if stack.fused_qkv:
        makers = [Maker(linear(layer, where.query), (group * size, size, size))]
    else:
        makers = [Maker(linear(layer, where.query), (group * size,))]
        makers += [
            Maker(linear(layer, path), (size,), "encoder" if is_cross else "tokens")
            for path in (where.key, where.value)
        ]
    parts = dict(layer.named_modules())
    for path in () if is_cross else (stack.position_query, stack.position_key):
        if path and path in parts:  # only some variants of DeBERTa have them
            makers.append(Maker(linear(layer, path), (size,), "positions"))
    return Block(
        stack=stack,
        layer=index,
        makers=tuple(makers),
        output=linear(layer, where.attention_output),
        width=group * size,
        attention=layer.get_submodule(where.attention),
        is_cross=is_cross,
    )
