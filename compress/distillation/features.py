"""Captures a model's intermediate outputs by name, with hooks: hidden states, queries, keys and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import attention_widths, group_size, hidden_width
from compress.models.families.families import stack
from compress.models.layers import layer_modules

PARTS = ("query", "key", "value")
Side = Literal["", "encoder", "decoder"]
"""Whose layers are meant: an encoder-decoder has two stacks of them, any other model one."""


@dataclass(frozen=True)
class FeatureSpec:
    """Which features of a model are wanted; layers are counted from 0."""

    hidden: tuple[int, ...] = ()
    """Layers whose output is wanted."""
    attention: tuple[int, ...] = ()
    """Layers whose queries and keys are wanted."""
    relations: tuple[int, ...] = ()
    """Layers whose queries, keys and values are wanted."""
    embedding: bool = False
    """Whether hidden state 0 is wanted: what the first layer reads."""

    def names(self) -> tuple[str, ...]:
        """The name of each feature, once.

        >>> FeatureSpec(hidden=(2,), attention=(1,), relations=(1,), embedding=True).names()
        ('hidden.2', 'query.1', 'key.1', 'value.1', 'embedding')
        """
        maps = sorted({*self.attention, *self.relations})
        found = [f"hidden.{layer}" for layer in sorted(set(self.hidden))]
        found += [f"{part}.{layer}" for part in ("query", "key") for layer in maps]
        found += [f"value.{layer}" for layer in sorted(set(self.relations))]
        return (*found, "embedding") if self.embedding else tuple(found)

    def width(self, config: Any, side: Side = "") -> int:
        """How many values they are for each token, of a model with this config; of one with fewer heads than it says, no more."""
        queries, keys = attention_widths(config, stack(config, side))
        widths = {"query": queries, "key": keys, "value": keys}
        return sum(widths.get(name.partition(".")[0], hidden_width(config)) for name in self.names())


def side_of(name: str, side: Side) -> str:
    """A feature's name with its side in front, where there is one: `hidden.1`, `decoder.hidden.1`."""
    return f"{side}.{name}" if side else name


@contextmanager
def capture(model: Any, wanted: FeatureSpec, side: Side = "") -> Iterator[dict[str, Tensor]]:
    """The features of each forward pass of a model, while the context lasts.

    `hidden.i` is what layer i itself gives. Of the last layer it is before the norm that ModernBERT and generative models put
    behind their layers. `query.i` and the like are the outputs of those linear modules, before heads are cut and positions
    added; of a decoder's layer those of the attention to its own tokens. `embedding` is what the first layer reads.

    Each is the very tensor of the forward pass, [batch, tokens, width], so that a loss on it reaches the weights. What
    comes from `torch.inference_mode` cannot stand in such a loss: run a teacher under `torch.no_grad`.

    Args:
        model: of a known family; where it is wrapped for data-parallel training, the model inside.
        side: of an encoder-decoder, whose layers.

    Returns:
        A dict, emptied at the start of each forward pass of the model and filled in its course. It keeps the last pass
        once the context ends.

    Raises:
        CompressError: the model has no such layer.
    """
    layers = layer_modules(model, side)
    asked = {*wanted.hidden, *wanted.attention, *wanted.relations}
    missing = sorted(asked - set(range(len(layers))))
    if missing:
        whose = f"{side} layers" if side else "layers"
        raise CompressError(f"There is no layer {missing[0]}: this model's {whose} are 0 to {len(layers) - 1}.")
    found: dict[str, Tensor] = {}
    names = frozenset(wanted.names())
    calls: Counter[nn.Module] = Counter()
    hooks: list[Any] = []

    def start(*_: Any) -> None:
        found.clear()
        calls.clear()

    def keep(name: str, tensor: Tensor) -> None:
        if name in names:
            # The first call in a layer counts: DeBERTa's query module is called once more, for positions.
            found.setdefault(name, tensor)

    def read(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        keep("embedding", args[0] if args else named["hidden_states"])

    try:
        hooks.append(model.register_forward_pre_hook(start))
        if wanted.embedding:
            hooks.append(layers[0].register_forward_pre_hook(read, with_kwargs=True))
        for layer in dict.fromkeys(layers):
            indices = [index for index, one in enumerate(layers) if one is layer]  # several where layers are shared
            if asked.intersection(indices):
                hooks += _capture(layer, indices, stack(model.config, side), model.config, calls, keep)
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _capture(
    layer: nn.Module,
    indices: list[int],
    architecture: Architecture,
    config: Any,
    calls: Counter[nn.Module],
    keep: Callable[[str, Tensor], None],
) -> Iterator[Any]:
    """Hooks on a layer's module and on its linear modules; the n-th call in a pass is that of the n-th of its indices."""

    def enter(*_: Any) -> None:
        calls[layer] += 1

    def keep_here(part: str, tensor: Tensor) -> None:
        if calls[layer] <= len(indices):  # gradient checkpointing calls a layer again on the way back
            keep(f"{part}.{indices[calls[layer] - 1]}", tensor)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        keep_here("hidden", output[0] if isinstance(output, tuple) else output)

    yield layer.register_forward_pre_hook(enter)
    yield layer.register_forward_hook(leave)
    if architecture.fused_qkv:
        group = group_size(config, architecture)  # Phi-3's queries are so many times as wide

        def split(module: nn.Module, args: Any, output: Tensor) -> None:
            width = output.shape[-1] // (group + 2)
            for part, own in zip(PARTS, output.split([group * width, width, width], dim=-1), strict=True):
                keep_here(part, own)

        yield layer.get_submodule(architecture.query).register_forward_hook(split)
        return
    for part in PARTS:
        linear = layer.get_submodule(getattr(architecture, part))
        yield linear.register_forward_hook(lambda module, args, output, part=part: keep_here(part, output))
