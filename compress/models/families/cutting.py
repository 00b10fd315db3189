"""Makes a model's layers smaller in place: linear modules keep some rows or columns, and the number of heads is updated."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import Block, attentions, feed_forwards, group_size
from compress.models.families.layer_widths import SETTING, SHARED_COLUMNS, Units, units, widths_of
from compress.models.families.matrices import keep_inputs_, keep_outputs_


def opened_by(kind: Any) -> Any:
    """A class like that of transformers given, whose models have the widths that their config says as soon as they are made:
    its `from_pretrained` finds weights of the right shapes. Give the model the class itself afterwards."""

    def made(model: Any, config: Any, *given: Any, **named: Any) -> None:
        kind.__init__(model, config, *given, **named)
        resized_(model)

    return type(kind.__name__, (kind,), {"__init__": made, "__module__": kind.__module__})


def resized_(model: Any) -> Any:
    """The model, newly made from its config, with as many heads and neurons in each layer as the config says.

    Raises:
        CompressError: the config names other layers, or more units than its other settings make.
    """
    wanted = widths_of(model.config)
    if wanted is None:
        return model
    made = units(model)
    _check(wanted, made)
    cut_(model, [range(count) for count in wanted.heads], [range(count) for count in wanted.neurons])
    for block, columns in zip(attentions(model), wanted.head_columns, strict=False):
        _read_columns_(block, columns)
    return model


class ConfigOfOneLayer:
    """A model's config as one of its layers reads it: some values are its own, others are the model's at the time."""

    def __init__(self, of_model: Any, own: Mapping[str, Any]) -> None:
        self.of_model, self.own = of_model, own

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "own" not in self.__dict__:  # a copy in the making
            raise AttributeError(name)
        return self.own[name] if name in self.own else getattr(self.of_model, name)


def cut_(model: Any, heads: Sequence[Sequence[int]], neurons: Sequence[Sequence[int]]) -> None:
    """Keep only some heads and neurons in each layer of a model. Its config does not change.

    Args:
        heads: for each attention with weights of its own, the indices of those that stay, in increasing order, counted
            among those it has; `neurons` likewise for each feed-forward network.
    """
    found = attentions(model)
    fewer_heads = [len(some) for some in heads] != [block.count for block in found]
    for block, kept in zip(found, heads, strict=True):
        present = block.count
        _cut_(block, kept)
        for name, value in (
            (block.stack.attention_heads, len(kept)),
            (block.stack.attention_width, len(kept) * block.width),
        ):
            if name:
                setattr(block.attention, name, value)
        if block.stack.attention_reads_config:
            own = {block.stack.head_count: len(kept) * group_size(model.config, block.stack)}
            block.attention.__dict__["config"] = ConfigOfOneLayer(model.config, own)
        if block.stack.head_bias and fewer_heads:
            # The bias of a cross-attention is 0 for all heads: any column will do.
            all_of_table = [0] * present if block.is_cross else range(present)
            columns = getattr(block.attention, SHARED_COLUMNS, all_of_table)
            _read_columns_(block, [columns[head] for head in kept])
    for block, kept in zip(feed_forwards(model), neurons, strict=True):
        _cut_(block, kept)


def _cut_(block: Block, kept: Sequence[int]) -> None:
    present, units_kept = block.count, torch.tensor(kept)
    for maker in block.makers:
        starts = [sum(maker.widths[:part]) * present for part in range(len(maker.widths))]
        parts = [start + _spread(units_kept, width) for start, width in zip(starts, maker.widths, strict=True)]
        keep_outputs_(maker.module, torch.cat(parts))
    keep_inputs_(block.output, _spread(units_kept, block.width))


def _spread(units_kept: Tensor, width: int) -> Tensor:
    """The indices of what the units are made of, where each is so many neighbours."""
    return (units_kept[:, None] * width + torch.arange(width)).flatten()


def _check(wanted: Units, made: Units) -> None:
    for what, asked, most in (("heads", wanted.heads, made.heads), ("neurons", wanted.neurons, made.neurons)):
        fits = len(asked) == len(most) and all(1 <= one <= limit for one, limit in zip(asked, most, strict=True))
        if not fits or wanted.head_size != made.head_size:
            raise CompressError(
                f"'{SETTING}' in the model's config gives its layers {', '.join(map(str, asked))} {what}, which cannot be cut "
                f"out of the {', '.join(map(str, most))} that its other settings make. Copy the model again."
            )
    columns = wanted.head_columns
    if columns and [len(one) for one in columns] != list(wanted.heads):
        raise CompressError(
            f"'{SETTING}' in the model's config does not name one column for each head. Copy the model again."
        )


def _read_columns_(block: Block, columns: Sequence[int]) -> None:
    """Let an attention read those columns of a table shared by all layers that belong to its own heads."""
    attention, stack = block.attention, block.stack
    assert attention is not None
    if not hasattr(attention, SHARED_COLUMNS):
        attention.register_forward_pre_hook(partial(_with_own_columns, stack), with_kwargs=True)
        if stack.made_head_bias:
            attention.register_forward_hook(_with_all_columns)
    setattr(attention, SHARED_COLUMNS, tuple(columns))


_WHOLE = "_whole_head_bias"
"""The attribute of an attention module that remembers the bias of all heads, from its call to its answer."""


def _with_own_columns(stack: Architecture, attention: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    call = inspect.signature(attention.forward).bind(*given, **named)
    further = call.arguments.get("kwargs", {})
    bias = call.arguments.get(stack.head_bias)
    if bias is None and stack.made_head_bias and getattr(attention, "has_relative_attention_bias", False):
        bias = stack.made_head_bias(attention, {**further, **call.arguments})
    attention.__dict__[_WHOLE] = bias
    if bias is not None:  # [1, heads of the table, queries, keys]
        call.arguments[stack.head_bias] = bias[:, list(getattr(attention, SHARED_COLUMNS))]
    return call.args, call.kwargs


def _with_all_columns(attention: nn.Module, given: tuple[Any, ...], output: tuple[Any, ...]) -> tuple[Any, ...]:
    """The next layer has other heads, so it is handed on whole."""
    whole = attention.__dict__.pop(_WHOLE)
    return output if whole is None else (output[0], whole, *output[2:])
