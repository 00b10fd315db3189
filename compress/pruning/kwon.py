"""Prunes heads and neurons of a trained model without retraining (Kwon et al. 2022): search, rearrange, tune.

Kwon et al. 2022, "A fast post-training pruning framework for transformers". What is kept is found by the Fisher information
of masks: its diagonal says how many units of each layer stay under the budget, its blocks by layer which of them. Then the
masks of what stays are tuned by least squares and folded into the weights, so that nothing of them is left at inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compress.models.families.blocks import attentions, feed_forwards
from compress.models.families.matrices import weight_of
from compress.models.layers import Batch
from compress.pruning import mask_tuning
from compress.pruning.allocation import NEURON_MULTIPLE, PARTS, Allocation, everywhere
from compress.pruning.costs import Costs
from compress.pruning.importance import Gradients, gradients
from compress.pruning.mask_tuning import UnitMasks
from compress.pruning.units import Kept

TUNING_ROWS = 512
"""Masks are tuned on so many of the rows: even these give thousands of equations for each unknown."""
TUNING_TOKENS = 2**18
"""And on so many of their tokens, padding included: their hidden states in two models are kept in memory."""


@dataclass(frozen=True)
class PostTraining:
    """The units to keep and their masks: fold the masks into the model, then remove the other units."""

    kept: Kept
    masks: UnitMasks
    """See `fold_`."""
    allocation: Allocation
    """What it costs. Its `kept` is what the search alone chose, before the rearrangement."""


def post_training(
    model: Any,
    batches: Sequence[Batch],
    costs: Costs,
    budget: float,
    *,
    parts: Sequence[str] = PARTS,
    neuron_multiple: int = NEURON_MULTIPLE,
    tune: bool = True,
) -> PostTraining:
    """The units of a model to keep under a budget, and their tuned masks.

    Args:
        model: a trained sequence classifier or generative model; it is left as it was.
        batches: as the kind's `collate` makes them, with `labels`; the paper takes 2,000 rows of the training split.
        costs: `macs(model, length)`, `parameters(model)` or those of a latency table.
        budget: in the unit of `costs`; for a share, that times `costs.of(units(model))`.
        parts: what may go, see `allocation.everywhere`.
        neuron_multiple: likewise.
        tune: else all masks of what is kept are 1.

    Raises:
        CompressError: the budget is too small, rows or labels are missing, or the family is unknown.
    """
    found = gradients(model, batches)
    allocation = everywhere(found.fisher(), costs, budget, parts=parts, neuron_multiple=neuron_multiple)
    kept = rearranged(allocation.kept, found)
    masks = mask_tuning.tuned(model, kept, _some(batches)) if tune else mask_tuning.ones(model, kept)
    return PostTraining(kept, masks, allocation)


def rearranged(kept: Kept, found: Gradients) -> Kept:
    """Equally many units of each layer, chosen jointly with their interactions: section 4.2 of Kwon et al. 2022.

    What goes should have the least 1' F 1, where F is the block of the Fisher information of one layer's heads, or neurons:
    two that do the same may each be missed, and not both. From the search's choice, each kept unit in turn, the least
    important first, is tried in the place of whichever one that goes makes the sum least.
    """
    return Kept(
        tuple(_rearranged(*pair) for pair in zip(kept.heads, found.heads, strict=True)),
        tuple(_rearranged(*pair) for pair in zip(kept.neurons, found.neurons, strict=True)),
    )


@torch.no_grad()
def fold_(model: Any, masks: UnitMasks) -> None:
    """Multiply what each unit gives by its mask, in place: the columns of the modules that read heads or neurons.

    Do it before what goes is removed: the masked model and the folded one compute the same.
    """
    for blocks, of_blocks in ((attentions(model), masks.heads), (feed_forwards(model), masks.neurons)):
        for block, mask in zip(blocks, of_blocks, strict=True):
            weight = weight_of(block.output)  # [outputs, units * width], whichever way it is stored
            weight.mul_(mask.to(weight).repeat_interleave(block.width))


def _some(batches: Sequence[Batch]) -> Sequence[Batch]:
    """Every n-th batch, so that about as many rows and tokens are left as masks are tuned on: batches may be sorted by length."""
    rows = sum(len(batch["input_ids"]) for batch in batches)
    tokens = sum(batch["input_ids"].numel() for batch in batches)
    return batches[:: max(1, round(max(rows / TUNING_ROWS, tokens / TUNING_TOKENS)))]


def _rearranged(kept: Sequence[int], gradients: Tensor) -> tuple[int, ...]:
    """Gradients: [examples, units]."""
    fisher = gradients.double().T @ gradients.double() / len(gradients)
    own = fisher.diagonal()
    goes = torch.ones(len(own), dtype=torch.bool)
    goes[list(kept)] = False
    if not goes.any() or goes.all():
        return tuple(kept)
    together = fisher[:, goes].sum(dim=1)
    for candidate in sorted(kept, key=lambda unit: float(own[unit])):
        goes[candidate] = True
        together += fisher[:, candidate]
        # 1' F 1 without unit j is the whole less 2 (F 1)_j, plus F_jj.
        change = (own - 2 * together).masked_fill(~goes, torch.inf)
        returned = int(change.argmin())
        goes[returned] = False
        together -= fisher[:, returned]
    return tuple((~goes).nonzero().flatten().tolist())
