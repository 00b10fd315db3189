"""The number of heads and neurons of each layer: counted in the model, stored in its config, and read when it is opened.

transformers' configs know one number of heads and one of neurons for all layers, and tie heads * head size to the hidden
width. A model whose layers are otherwise says so in its config, under `compress_widths`, and opens with
`compress.models.load.classifier`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from compress.core.errors import CompressError
from compress.models.families import blocks
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import attentions, feed_forwards
from compress.models.families.families import family, stack

SETTING = "compress_widths"
"""The config's name for the widths of unequal layers."""
SHARED_COLUMNS = "compress_head_columns"
"""The attribute of an attention module that says which heads of a table of all layers are its own."""


@dataclass(frozen=True)
class Units:
    """What can be removed from a model's layers; ALBERT's shared layer counts once.

    In the order of `compress.models.families.blocks`: the encoder's before the decoder's, and of a decoder layer its own
    attention before that to the encoder's states.
    """

    heads: tuple[int, ...]
    """How many heads each attention has; of grouped-query attention, how many groups."""
    neurons: tuple[int, ...]
    """How many neurons each feed-forward network has."""
    head_size: int
    """The width of one head, the same in all layers."""
    head_columns: tuple[tuple[int, ...], ...] = ()
    """Of families that share a table of all heads between their layers (MPNet's and T5's position bias): for each
    attention, the table's columns that its heads read; nothing where each reads all of them."""


def own_layers(model: Any) -> list[nn.Module]:
    """The layers that have weights of their own, in order: of ALBERT's, one for all that share it."""
    return [layer for one in family(model.config).stacks for layer in model.get_submodule(one.layers)]


def units(model: Any) -> Units:
    """How many heads and neurons each layer of a model has at present.

    Raises:
        CompressError: the family is unknown.
    """
    found = attentions(model)
    columns = [getattr(block.attention, SHARED_COLUMNS, ()) for block in found]
    return Units(
        heads=tuple(block.count for block in found),
        neurons=tuple(block.count for block in feed_forwards(model)),
        head_size=blocks.head_size(model.config),
        head_columns=tuple(columns) if any(columns) else (),
    )


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
    stacks = family(config).stacks
    of_heads, of_neurons = _places(config, present)
    heads: dict[str, set[int]] = {}  # by setting: T5's are of both its stacks
    neurons: dict[str, set[int]] = {}
    for (one, _), count in zip(of_heads, present.heads, strict=True):
        heads.setdefault(one.head_count, set()).add(count)
    for (one, _), count in zip(of_neurons, present.neurons, strict=True):
        neurons.setdefault(one.ffn_width, set()).add(count)
    uniform = all(len(counts) == 1 for counts in (*heads.values(), *neurons.values())) and all(
        _config_has_heads(one) or heads[one.head_count] == {_configured_heads(config, one)} for one in stacks
    )
    for name, counts in neurons.items():
        setattr(config, name, max(counts))
    said = _head_settings(config, present, heads) if uniform else {}
    if uniform and not refusal(config, said):
        for name, value in said.items():
            setattr(config, name, value)
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


def refusal(config: Any, changes: Mapping[str, int] | None = None) -> str:
    """Why transformers opens no model with this config after these changes; empty where it does.

    Llama's hidden width must be a multiple of its heads, and Phi-3's long rotary factors as many as hidden width / heads says.
    """
    from huggingface_hub.errors import StrictDataclassError

    try:
        type(config).from_dict({**config.to_dict(), **(changes or {})})
    except StrictDataclassError as error:
        return str(error).strip().splitlines()[-1].strip().removeprefix("ValueError: ").rstrip(".")
    return ""


def of_layers(config: Any, present: Units, kept: Sequence[int], side: str = "") -> Units:
    """The widths of some of the layers of one side of a model, and of all those of the other."""
    chosen = stack(config, side)
    places = _places(config, present)
    heads, neurons = (
        [index for index, (one, layer) in enumerate(some) if one.layers != chosen.layers or layer in kept]
        for some in places
    )
    return replace(
        present,
        heads=tuple(present.heads[index] for index in heads),
        neurons=tuple(present.neurons[index] for index in neurons),
        head_columns=tuple(present.head_columns[index] for index in heads) if present.head_columns else (),
    )


Places = list[tuple[Architecture, int]]
"""For each attention, or each feed-forward network: its stack, and its layer there."""


def _places(config: Any, present: Units) -> tuple[Places, Places]:
    stacks = family(config).stacks
    heads, neurons = [], []
    for one in stacks:
        # ALBERT has fewer layers of its own than its config counts.
        layers = len(present.neurons) if len(stacks) == 1 else int(getattr(config, one.layer_count))
        for layer in range(layers):
            heads += [(one, layer)] * (1 if one.cross is None else 2)
            neurons.append((one, layer))
    return heads, neurons


def _head_settings(config: Any, present: Units, heads: Mapping[str, set[int]]) -> dict[str, int]:
    """transformers' settings for equally many heads in all layers, by name."""
    said = {}
    for one in family(config).stacks:
        count = max(heads[one.head_count])
        said[one.head_count] = count * blocks.group_size(config, one)
        if one.key_value_head_count:
            said[one.key_value_head_count] = count
        if count != _configured_heads(config, one):  # Qwen2's config has no width of a head until it is given one
            said[one.head_width] = present.head_size
    return said


def _configured_heads(config: Any, one: Architecture) -> int:
    return int(getattr(config, one.head_count)) // blocks.group_size(config, one)


def _config_has_heads(one: Architecture) -> bool:
    """Whether a config can name any number of heads: it has the width of one, no table has a column for each, and nothing
    (Phi-3's check of its long rotary factors) divides by their number."""
    return bool(one.head_width) and not one.head_tables and not one.attention_reads_config
