"""How many heads and neurons each layer has: counted in the model, written in its config, and built from that.

transformers' configs know one number of heads and one of neurons for all layers, and tie heads * head size to the hidden
width. A model whose layers are otherwise says so in its config, under `compress_widths`, and opens with
`compress.models.classifier`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from compress.architectures.architecture import Architecture
from compress.architectures.families import family
from compress.errors import CompressError

SETTING = "compress_widths"
"""The config's name for the widths of unequal layers."""
SHARED_COLUMNS = "compress_head_columns"
"""The attribute of an attention module that says which heads of a table of all layers are its own."""


@dataclass(frozen=True)
class Units:
    """What can be removed from a model's layers; ALBERT's shared layer counts once."""

    heads: tuple[int, ...]
    """How many attention heads each layer has."""
    neurons: tuple[int, ...]
    """How many feed-forward neurons each layer has."""
    head_size: int
    """The width of one head, the same in all layers."""
    head_columns: tuple[tuple[int, ...], ...] = ()
    """Of families that share a table of all heads between their layers (MPNet's position bias): for each layer, the
    table's columns that its heads read; nothing where each layer reads all of them."""


def own_layers(model: Any) -> list[nn.Module]:
    """The layers that have weights of their own, in order: of ALBERT's, one for all that share it."""
    return list(model.get_submodule(family(model.config).layers))


def units(model: Any) -> Units:
    """How many heads and neurons each layer of a model has at present.

    Raises:
        CompressError: the family is unknown.
    """
    architecture, layers = family(model.config), own_layers(model)
    size = _head_size(model.config)
    columns = [getattr(_attention(layer, architecture), SHARED_COLUMNS, ()) for layer in layers]
    return Units(
        heads=tuple(_linear(layer, architecture.attention_output).in_features // size for layer in layers),
        neurons=tuple(_linear(layer, architecture.ffn_out).in_features for layer in layers),
        head_size=size,
        head_columns=tuple(columns) if any(columns) else (),
    )


def _head_size(config: Any) -> int:
    written = widths_of(config)
    if written is not None:
        return written.head_size
    architecture = family(config)
    return int(getattr(config, architecture.hidden_width)) // int(getattr(config, architecture.head_count))


def widths_of(config: Any) -> Units | None:
    """What a config says of unequal layers; None where transformers' own settings say all.

    Raises:
        CompressError: what it says cannot be read.
    """
    raw = getattr(config, SETTING, None)
    if raw is None:
        return None
    try:
        return Units(
            heads=tuple(int(count) for count in raw["heads"]),
            neurons=tuple(int(count) for count in raw["neurons"]),
            head_size=int(raw["head_size"]),
            head_columns=tuple(tuple(int(index) for index in one) for one in raw.get("head_columns", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CompressError(
            f"'{SETTING}' in the model's config cannot be read ({type(error).__name__}: {error}). Copy the model again."
        ) from error


def _attention(layer: nn.Module, architecture: Architecture) -> nn.Module:
    return layer.get_submodule(architecture.attention)


def _linear(layer: nn.Module, path: str) -> nn.Linear:
    module = layer.get_submodule(path)
    if not isinstance(module, nn.Linear):
        raise CompressError(
            f"{path} is a {type(module).__name__} and no linear module, so nothing can be removed there."
        )
    return module
