"""Rescales the kept units of each layer to reproduce the whole layer's output, by least squares.

Section 4.3 of Kwon et al. 2022, "A fast post-training pruning framework for transformers", from the first layer to the last:

    minimize over m   || x + layer(x; m) - (x' + layer(x'; 1)) ||^2

where x are the hidden states that the pruned model gives a layer on the calibration rows, with the masks that were fitted before,
and x' those that the unpruned model gives it. Each attention and each feed-forward network is such a layer. The x that is added
to its output is that of the residual connection: in pre-norm models the hidden states before the norm, in post-norm models the
layer's input. Where a norm follows the layer before that addition (Gemma 3), only the outputs are compared.

A layer's output is linear in its masks, so the solution is that of normal equations with one unknown for each unit that is kept.
In the last layer, only tokens count whose output is read: by the classifier, by the cross-attention, or, where a label counts, by
the head of a generative model. A decoder is fitted after its encoder, and reads the pruned encoder's states. A constant, to be
added to the biases, was tried as well: on rows that were held out, the answers were further from those of the unpruned model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import Block
from compress.models.families.matrices import weight_of
from compress.models.layers import Batch, evaluating
from compress.pruning.layer_runs import Call, Layer, Recorded, layers_of, recorded, run
from compress.pruning.units import Kept, masks_applied, units

RIDGE = 1e-3
"""How strongly masks are held at 1, as a share of the mean diagonal of the normal equations."""
LIMIT = 10.0
"""A mask beyond this, or below its negative, is taken for no solution, as in the paper's program."""


@dataclass(frozen=True)
class UnitMasks:
    """The factors of the outputs of a model's units, in the order of `compress.models.families.blocks`."""

    heads: tuple[Tensor, ...]
    """[heads] of each attention; 0 for those that go."""
    neurons: tuple[Tensor, ...]
    """[neurons] of each feed-forward network; 0 for those that go."""


def ones(model: Any, kept: Kept) -> UnitMasks:
    """Masks with 1 for kept units and 0 for the others."""
    found = units(model)

    def mask(kept_here: Sequence[int], count: int) -> Tensor:
        values = torch.zeros(count)
        values[list(kept_here)] = 1
        return values

    return UnitMasks(
        tuple(mask(*one) for one in zip(kept.heads, found.heads, strict=True)),
        tuple(mask(*one) for one in zip(kept.neurons, found.neurons, strict=True)),
    )


def tuned(model: Any, kept: Kept, batches: Sequence[Batch], *, ridge: float = RIDGE) -> UnitMasks:
    """Masks of the kept units, fitted so that the pruned model reproduces the unpruned one.

    Takes about seven forward passes, fewer where the first layers stay whole, and nine of a decoder with cross-attention. The
    hidden states of two models at one layer are kept for all rows: 80 MB for 2,000 rows of 13 tokens and width 384; of an
    encoder-decoder the encoder's last ones too. Layers that share their weights share their masks, fitted to all their uses.

    Args:
        model: a sequence classifier or a generative model with all its units; it is left as it was.
        batches: what the model reads. Of a classifier, labels are not looked at; of a generative model, where they count.
        ridge: see `RIDGE`; raised tenfold until no mask is beyond `LIMIT`.

    Raises:
        CompressError: there are no batches.
    """
    if not batches:
        raise CompressError("Mask tuning needs calibration rows, and there are none. Use a larger calibration set.")
    start = ones(model, kept)
    masks = {"heads": list(start.heads), "neurons": list(start.neurons)}
    with evaluating(model):
        layers = layers_of(model)
        inputs = [_LayerInputs(batch, recorded(model, layers, batch)) for batch in batches]
        for index, layer in enumerate(layers):
            if layer.is_first:
                for one in inputs:
                    one.enter(layer.stack, model, masks)
            own = [masks[part.units][part.place].to(model.device) for part in layer.parts]
            changes = any(one.differs for one in inputs) or any(bool((mask == 0).any()) for mask in own)
            if changes:
                own = _fitted(layer, index, own, inputs, ridge)
                for part, mask in zip(layer.parts, own, strict=True):
                    masks[part.units][part.place] = mask.cpu()
            for one in inputs:
                one.pass_through(layer, index, own if changes else None)  # so far both models may be the same
    return UnitMasks(tuple(masks["heads"]), tuple(masks["neurons"]))


class _LayerInputs:
    """What the next layer reads of one batch, in the whole model and in the pruned one."""

    whole: Tensor
    """What the whole model hands the next layer, [batch, tokens, width]."""
    pruned: Tensor
    """What the pruned one does; the same tensor where nothing has changed so far."""

    def __init__(self, batch: Batch, found: Recorded) -> None:
        self.batch, self.recorded = batch, found
        self.encoded: Tensor | None = None
        """The states of the pruned encoder, where they differ from the whole one's."""

    @property
    def differs(self) -> bool:
        """Whether the next layer of the pruned model reads anything else than the whole model's."""
        return self.pruned is not self.whole or self.encoded is not None

    def enter(self, stack: Architecture, model: Any, masks: Mapping[str, Sequence[Tensor]]) -> None:
        """Begin a stack of layers: the first, or a decoder behind its encoder."""
        if stack.cross is not None and self.differs:
            read = {name: self.batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
            with masks_applied(model, masks["heads"], masks["neurons"]):
                self.encoded = model.get_encoder()(**read).last_hidden_state
        self.whole = self.pruned = self.recorded.entered[stack.layers]

    def calls(self, layer: Layer, index: int) -> list[tuple[Call, Call]]:
        """A layer's calls in the whole model, each with that in the pruned one."""
        states = self.encoded
        return [
            (call, call if states is None else call.with_states(layer.module, self.pruned, states))
            for call in self.recorded.calls[index]
        ]

    def pass_through(self, layer: Layer, index: int, masks: Sequence[Tensor] | None) -> None:
        """Go on to what the layer gives; no masks: to the same in both models."""
        whole, pruned = self.whole, self.pruned
        for call, call_of_pruned in self.calls(layer, index):
            if masks is not None:
                pruned = run(layer, call_of_pruned, pruned, masks)[1]
            whole = run(layer, call, whole)[1]
        self.whole, self.pruned = whole, whole if masks is None else pruned


def _fitted(
    layer: Layer, index: int, masks: list[Tensor], inputs: Sequence[_LayerInputs], ridge: float
) -> list[Tensor]:
    """The masks of one layer, part after part: each is fitted with those before it."""
    path = layer.stack.layers
    # The later applications of a shared layer read what the masks of the earlier ones gave: so once more.
    for place in [*range(len(layer.parts))] * (2 if layer.stack.shares_layers else 1):
        sums = _NormalEquations(layer.parts[place].block, masks[place])
        for one in inputs:
            tokens = (one.recorded.read if layer.is_last else one.recorded.tokens)[path]
            whole, pruned = one.whole, one.pruned
            for call, call_of_pruned in one.calls(layer, index):
                wanted, whole = run(layer, call, whole)
                found, pruned = run(layer, call_of_pruned, pruned, masks)
                missing = wanted[place].base + wanted[place].given - found[place].base
                sums.add(found[place].units[tokens], missing[tokens])
        masks = [*masks[:place], sums.solved(ridge), *masks[place + 1 :]]
    return masks


class _NormalEquations:
    """Sums over tokens, from which the masks of one block follow.

    The contribution of unit f to output o at token t is x_tf w_of, so A'A = (X'X) * (W'W), entry by entry, and
    A'b = sum over t of x_tf (b W)_tf; a head's entries are summed over its dimensions. In fp64, since sums over tokens are.
    """

    def __init__(self, block: Block, mask: Tensor) -> None:
        self.mask, self.size = mask, block.width
        self.kept = mask.nonzero().flatten()
        weight = weight_of(block.output).detach().float()
        self.columns = torch.zeros_like(mask, dtype=torch.bool)
        self.columns[self.kept] = True
        self.columns = self.columns.repeat_interleave(self.size)
        self.weight = weight[:, self.columns]
        bias = block.output.bias
        self.bias = 0.0 if bias is None else block.output.get_parameter("bias").detach().float()
        width = self.weight.shape[1]
        self.products = weight.new_zeros(width, width, dtype=torch.float64)
        self.onto = weight.new_zeros(width, dtype=torch.float64)

    def add(self, values: Tensor, missing: Tensor) -> None:
        """Units' outputs [tokens, width], and what they should add up to [tokens, hidden width]."""
        x = values.float()[:, self.columns]
        b = missing.float() - self.bias
        self.products += (x.T @ x).double()
        self.onto += (x * (b @ self.weight)).double().sum(dim=0)

    def solved(self, ridge: float) -> Tensor:
        """The masks of all units, 0 for those that go."""
        weight, count = self.weight.double(), len(self.kept)
        squares = (self.products * (weight.T @ weight)).view(count, self.size, count, self.size).sum(dim=(1, 3))
        mask = torch.zeros_like(self.mask)
        mask[self.kept] = _held_at_one(squares, self.onto.view(count, self.size).sum(dim=1), ridge).float()
        return mask


def _held_at_one(squares: Tensor, projected: Tensor, ridge: float) -> Tensor:
    """The solution of squares m = projected, regularized towards 1 just enough to stay within the limit."""
    if not (squares.isfinite().all() and projected.isfinite().all()):
        raise CompressError(
            "The model's activations on the calibration rows are NaN or infinite, so masks cannot be fitted. "
            "Check its weights, or the rows."
        )
    start = torch.ones_like(projected)
    scale = squares.diagonal().mean()
    if scale <= 0:
        return start
    gap = projected - squares @ start
    identity = torch.eye(len(start), dtype=squares.dtype, device=squares.device)
    while True:
        values = start + torch.linalg.solve(squares + ridge * scale * identity, gap)
        if values.abs().max() <= LIMIT:
            return values
        ridge *= 10
