"""Prunable units (heads and feed-forward neurons), and hooks that mask them while the model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.blocks import attentions, feed_forwards
from compress.models.families.layer_widths import Units, own_layers, units

__all__ = ["Kept", "Units", "everything", "masks_applied", "own_layers", "units"]

Masks: TypeAlias = Tensor | Sequence[Tensor]
"""One mask for each layer: a tensor [layers, units], or a list of tensors where the layers have unequal widths.

A decoder layer that reads an encoder's states has two attentions, so there are more masks of heads than layers: they are in
the order of `compress.models.families.blocks`."""


@dataclass(frozen=True)
class Kept:
    """The units kept in each layer, in increasing order, counted from 0 among those the model has at present.

    ALBERT's shared layer is one layer.
    """

    heads: tuple[tuple[int, ...], ...]
    neurons: tuple[tuple[int, ...], ...]

    def checked(self, present: Units) -> Kept:
        """`kept` itself, if a model with these units can keep them.

        Raises:
            CompressError: there is no such unit or layer, they are out of order, or a layer would lose its last one.
        """
        for what, kept, counts in (
            ("heads", self.heads, present.heads),
            ("neurons", self.neurons, present.neurons),
        ):
            if len(kept) != len(counts):
                raise CompressError(
                    f"{what.capitalize()} of {len(kept)} layers were given, but there are {len(counts)}."
                )
            for layer, (some, count) in enumerate(zip(kept, counts, strict=True)):
                if not some:
                    raise CompressError(
                        f"Layer {layer} would lose all its {what}. Keep at least one, or drop the layer."
                    )
                if list(some) != sorted(set(some)) or some[0] < 0 or some[-1] >= count:
                    raise CompressError(
                        f"The {what} kept in layer {layer} are not increasing indices from 0 to {count - 1}: {_few(some)}."
                    )
        return self


def everything(present: Units) -> Kept:
    """All the units of a model."""
    return Kept(
        heads=tuple(tuple(range(count)) for count in present.heads),
        neurons=tuple(tuple(range(count)) for count in present.neurons),
    )


@contextmanager
def masks_applied(model: Any, heads: Masks | None = None, neurons: Masks | None = None) -> Iterator[None]:
    """The model with each head's and each neuron's output multiplied by its mask, while the context lasts.

    The masks are read at each forward pass, and gradients flow into them. A mask of 0 is the unit removed, exactly. Masks
    of a layer may have one row for each row of the batch, so that each row has a gradient of its own:
    [layers, rows, units].

    Args:
        model: a model of a known family; where it is wrapped for data-parallel training, the model inside. No weight
            of it is touched.
        heads: [layers, heads]; or a list of [heads], one for each layer.
        neurons: [layers, neurons], or a list likewise. ALBERT's shared layer is one layer, masked wherever it is applied.

    Raises:
        CompressError: a mask does not have as many entries as the layer has units, or there are more or fewer of them than
            layers.
    """
    hooks: list[Any] = []
    try:
        for what, masks, blocks in (
            ("heads", heads, attentions(model)),
            ("neurons", neurons, feed_forwards(model)),
        ):
            if masks is None:
                continue
            counts = [block.count for block in blocks]
            if [int(mask.shape[-1]) for mask in masks] != counts:
                raise CompressError(f"The masks do not fit the model's {what}, which are {_few(counts)} by layer.")
            for block, mask in zip(blocks, masks, strict=True):
                hooks.append(block.output.register_forward_pre_hook(_multiplied(mask, block.width)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def masked(values: Tensor, mask: Tensor, width: int) -> Tensor:
    """The outputs of units [batch, tokens, units * width], each multiplied by its mask: [units], or [batch, units]."""
    factors = mask.to(values).repeat_interleave(width, dim=-1)
    return values * (factors if factors.ndim == 1 else factors.unsqueeze(-2))


def _multiplied(mask: Tensor, width: int) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (masked(inputs[0], mask, width), *inputs[1:])

    return hook


def _few(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers[:12]) + (", ..." if len(numbers) > 12 else "")
