"""Captures a model's intermediate outputs by name, with hooks: hidden states, queries, keys and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.blocks import group_size
from compress.models.families.families import family
from compress.models.layers import embedding_module, layer_modules

PARTS = ("query", "key", "value")


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


@contextmanager
def capture(model: Any, wanted: FeatureSpec) -> Iterator[dict[str, Tensor]]:
    """The features of each forward pass of a model, while the context lasts.

    `hidden.i` is what layer i itself gives. Of the last layer it is before the norm that ModernBERT puts behind its
    layers. `query.i` and the like are the outputs of those linear modules, before heads are cut and positions added.

    Each is the very tensor of the forward pass, [batch, tokens, width], so that a loss on it reaches the weights. What
    comes from `torch.inference_mode` cannot stand in such a loss: run a teacher under `torch.no_grad`.

    Args:
        model: a classifier of a known family; where it is wrapped for data-parallel training, the model inside.

    Returns:
        A dict, emptied at the start of each forward pass of the model and filled in its course. It keeps the last pass
        once the context ends.

    Raises:
        CompressError: the model has no such layer.
    """
    layers = layer_modules(model)
    asked = {*wanted.hidden, *wanted.attention, *wanted.relations}
    missing = sorted(asked - set(range(len(layers))))
    if missing:
        raise CompressError(f"There is no layer {missing[0]}: this model's layers are 0 to {len(layers) - 1}.")
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

    try:
        hooks.append(model.register_forward_pre_hook(start))
        if wanted.embedding:
            hooks.append(embedding_module(model).register_forward_hook(lambda m, args, out: keep("embedding", out)))
        for layer in dict.fromkeys(layers):
            indices = [index for index, one in enumerate(layers) if one is layer]  # several where layers are shared
            if asked.intersection(indices):
                hooks += _capture(layer, indices, model.config, calls, keep)
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _capture(
    layer: nn.Module,
    indices: list[int],
    config: Any,
    calls: Counter[nn.Module],
    keep: Callable[[str, Tensor], None],
) -> Iterator[Any]:
    """Hooks on a layer's module and on its linear modules; the n-th call in a pass is that of the n-th of its indices."""

    architecture = family(config)

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
