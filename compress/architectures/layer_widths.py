"""How many heads and neurons each layer has: counted in the model, written in its config, and built from that.

transformers' configs know one number of heads and one of neurons for all layers, and tie heads * head size to the hidden
width. A model whose layers are otherwise says so in its config, under `compress_widths`, and opens with
`compress.models.classifier`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

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
    size = head_size(model.config)
    columns = [getattr(layer.get_submodule(architecture.attention), SHARED_COLUMNS, ()) for layer in layers]
    return Units(
        heads=tuple(linear(layer, architecture.attention_output).in_features // size for layer in layers),
        neurons=tuple(linear(layer, architecture.ffn_out).in_features for layer in layers),
        head_size=size,
        head_columns=tuple(columns) if any(columns) else (),
    )


def head_size(config: Any) -> int:
    """The width of one head, which stays what it was when heads go."""
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


def write_(config: Any, present: Units) -> None:
    """Put the widths of layers into a config: in transformers' own settings where these can say it all."""
    architecture = family(config)
    uniform = len(set(present.neurons)) == 1 and set(present.heads) == {int(getattr(config, architecture.head_count))}
    setattr(config, architecture.ffn_width, max(present.neurons))
    if uniform:
        if hasattr(config, SETTING):
            delattr(config, SETTING)
        return
    written: dict[str, Any] = {
        "heads": list(present.heads),
        "neurons": list(present.neurons),
        "head_size": present.head_size,
    }
    if present.head_columns:
        written["head_columns"] = [list(columns) for columns in present.head_columns]
    setattr(config, SETTING, written)


def of_layers(present: Units, kept: Sequence[int]) -> Units:
    """The widths of some of the layers."""
    return replace(
        present,
        heads=tuple(present.heads[layer] for layer in kept),
        neurons=tuple(present.neurons[layer] for layer in kept),
        head_columns=tuple(present.head_columns[layer] for layer in kept) if present.head_columns else (),
    )


def linear(layer: nn.Module, path: str) -> nn.Linear:
    """A linear module of a layer.

    Raises:
        CompressError: it is another kind of module, as after some ways of quantizing.
    """
    module = layer.get_submodule(path)
    if not isinstance(module, nn.Linear):
        raise CompressError(
            f"{path} is a {type(module).__name__} and no linear module, so nothing can be removed there."
        )
    return module
