"""Makes the layers of a model smaller in place: linear modules keep some of their rows or columns, and their number of
heads follows."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compress.architectures.families import family
from compress.architectures.layer_widths import (
    SETTING,
    SHARED_COLUMNS,
    Units,
    head_size,
    linear,
    own_layers,
    units,
    widths_of,
)
from compress.errors import CompressError


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
    architecture = family(model.config)
    for layer, columns in zip(own_layers(model), wanted.head_columns, strict=False):
        _read_columns_(layer.get_submodule(architecture.attention), architecture.head_bias, columns)
    return model


def cut_(model: Any, heads: Sequence[Sequence[int]], neurons: Sequence[Sequence[int]]) -> None:
    """Leave only some heads and neurons in each layer of a model. Its config stays as it is.

    Args:
        heads: for each layer with weights of its own, the indices of those that stay, in increasing order, counted among
            those it has; `neurons` likewise.
    """
    architecture, size, present = family(model.config), head_size(model.config), units(model)
    fewer_heads = [len(some) for some in heads] != list(present.heads)
    for index, layer in enumerate(own_layers(model)):
        dimensions = (torch.tensor(heads[index])[:, None] * size + torch.arange(size)).flatten()
        queries, left = dimensions, torch.tensor(neurons[index])
        if architecture.fused_qkv:
            queries = torch.cat([dimensions + third * present.heads[index] * size for third in range(3)])
        outputs = {
            architecture.query: queries,
            architecture.key: queries,
            architecture.value: queries,
            architecture.position_query: queries,
            architecture.position_key: queries,
            architecture.ffn_in: torch.cat([left, left + present.neurons[index]]) if architecture.gated_ffn else left,
        }
        parts = dict(layer.named_modules())
        for path, indices in outputs.items():
            if path and path in parts:  # only some variants of DeBERTa have modules of their own for positions
                _keep_outputs_(linear(layer, path), indices)
        _keep_inputs_(linear(layer, architecture.attention_output), dimensions)
        _keep_inputs_(linear(layer, architecture.ffn_out), left)
        attention = parts[architecture.attention]
        for name, value in (
            (architecture.attention_heads, len(heads[index])),
            (architecture.attention_width, len(dimensions)),
        ):
            if name:
                setattr(attention, name, value)
        if architecture.head_bias and fewer_heads:
            columns = getattr(attention, SHARED_COLUMNS, range(present.heads[index]))
            _read_columns_(attention, architecture.head_bias, [columns[head] for head in heads[index]])


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


def _keep_outputs_(module: nn.Linear, indices: Tensor) -> None:
    module.weight = _part(module.weight, 0, indices)
    if module.bias is not None:
        module.bias = _part(module.bias, 0, indices)
    module.out_features = len(indices)


def _keep_inputs_(module: nn.Linear, indices: Tensor) -> None:
    module.weight = _part(module.weight, 1, indices)
    module.in_features = len(indices)


def _part(whole: nn.Parameter, axis: int, indices: Tensor) -> nn.Parameter:
    part = whole.detach().index_select(axis, indices.to(whole.device))
    return nn.Parameter(part, requires_grad=whole.requires_grad)


def _read_columns_(attention: nn.Module, argument: str, columns: Sequence[int]) -> None:
    """Let a layer read those columns of a table shared by all layers that belong to its own heads."""
    if not hasattr(attention, SHARED_COLUMNS):
        attention.register_forward_pre_hook(partial(_with_own_columns, argument), with_kwargs=True)
    setattr(attention, SHARED_COLUMNS, tuple(columns))


def _with_own_columns(argument: str, attention: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    call = inspect.signature(attention.forward).bind(*given, **named)
    bias = call.arguments.get(argument)
    if bias is not None:  # [1, heads of the table, queries, keys]
        call.arguments[argument] = bias[:, list(getattr(attention, SHARED_COLUMNS))]
    return call.args, call.kwargs
