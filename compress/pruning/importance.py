"""Importance of each head and neuron: from its weights, or from the loss on labelled rows.

The loss speaks through masks. Each head's output and each neuron is multiplied by a mask of 1, and the mask's gradient
tells what the loss would do without it: a mask of each example's own, so that one backward pass gives every example's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compress.core.errors import CompressError, listing
from compress.distillation import laws
from compress.models.families.blocks import Block, attentions, feed_forwards
from compress.models.families.matrices import weight_of
from compress.models.forward import answers
from compress.models.kinds import law_of_model
from compress.models.layers import Batch
from compress.pruning.units import Units, masks_applied, units

METHODS = ("magnitude", "taylor", "fisher")


@dataclass(frozen=True)
class Scores:
    """Importance scores, higher is more important; one entry for each attention or feed-forward network of
    `compress.models.families.blocks`."""

    heads: tuple[Tensor, ...]
    """[heads] each."""
    neurons: tuple[Tensor, ...]
    """[neurons] each."""


@dataclass(frozen=True)
class Gradients:
    """The gradient of each example's loss by the masks at 1, dL/dmask, for all examples.

    Takes four bytes an example and unit: 74 MB for 2,000 examples of a model of 6 x 1,536 neurons.
    """

    heads: tuple[Tensor, ...]
    """[examples, heads] each."""
    neurons: tuple[Tensor, ...]
    """[examples, neurons] each."""

    def taylor(self) -> Scores:
        """The mean over the examples of |dL/dmask|: eq. 2 of Michel et al. 2019, "Are sixteen heads really better than one?"."""
        return self._scores(lambda gradients: gradients.abs().mean(dim=0))

    def fisher(self) -> Scores:
        """The mean over the examples of (dL/dmask)^2: the diagonal of the empirical Fisher information of the masks.

        Half of it is about what the loss gains when the mask goes from 1 to 0: eq. 6 to 9 of Kwon et al. 2022, "A fast
        post-training pruning framework for transformers".
        """
        return self._scores(lambda gradients: gradients.square().mean(dim=0))

    def _scores(self, of: Callable[[Tensor], Tensor]) -> Scores:
        return Scores(tuple(map(of, self.heads)), tuple(map(of, self.neurons)))


def scores(model: Any, method: str, batches: Sequence[Batch] = ()) -> Scores:
    """The importance of each head and neuron by one of the `METHODS`.

    Args:
        model: a sequence classifier or a generative model; it is left as it was.
        method: `magnitude` (needs no batches), `taylor` or `fisher`.
        batches: as the kind's `collate` makes them, with `labels`; a few hundred to 2,000 rows do.

    Raises:
        CompressError: there is no such method, there are no batches or no labels, or the family is unknown.
    """
    if method == "magnitude":
        return magnitude(model)
    if method not in METHODS:
        raise CompressError(f"Unknown importance '{method}'. Choose {listing(METHODS)}.")
    found = gradients(model, batches)
    return found.taylor() if method == "taylor" else found.fisher()


@torch.no_grad()
def magnitude(model: Any) -> Scores:
    """The squared L2 norm of all weights that are removed with the unit, without biases.

    Squared, so that the scores of units may be added; the order within a layer is that of the norms.

    Of a head: its rows of query, key and value (of relative positions as well), its columns of the attention's output; of
    heads in groups, those of the whole group. Of a neuron: its row that makes it (and that of its gate), its column of the
    output.
    """
    return Scores(
        tuple(_squares(block) for block in attentions(model)), tuple(_squares(block) for block in feed_forwards(model))
    )


def gradients(model: Any, batches: Sequence[Batch]) -> Gradients:
    """The gradient of each example's loss by the mask of each head and neuron, at masks of 1 and without dropout.

    The loss is the one of training: cross-entropy, its mean over a row's tokens in generative models, or the squared
    difference where it gives one score. An example's gradient is its own: neither its batch nor its padding
    changes it.

    Args:
        model: a sequence classifier or a generative model; it is left as it was, the gradients of its weights as well.
        batches: as the kind's `collate` makes them, with `labels`.

    Raises:
        CompressError: there are no batches or no labels, or the family is unknown.
    """
    if not batches:
        raise CompressError(
            "Importance from the loss needs labelled rows, and there are none. Use a larger calibration set."
        )
    found = units(model)
    per_batch = [_of_batch(model, found, batch) for batch in batches]
    heads, neurons = zip(*per_batch, strict=True)
    return Gradients(_joined(heads), _joined(neurons))


def loss_by_example(model: Any, batch: Batch) -> Tensor:
    """Each row's own loss, [batch]: the mean over its answers, or, of a generative model, over its tokens that count."""
    return laws.loss_by_row(law_of_model(model), answers(model, batch), len(batch["labels"]))


def _of_batch(model: Any, found: Units, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    if "labels" not in batch:
        raise CompressError("Importance from the loss needs labels, and these rows have none. Choose rows with labels.")
    here = {name: value.to(model.device) for name, value in batch.items()}
    rows = len(here["labels"])
    ones = [
        [torch.ones(rows, count, device=model.device, requires_grad=True) for count in counts]
        for counts in (found.heads, found.neurons)
    ]
    with masks_applied(model, *ones), _weights_alone(model), torch.enable_grad():
        loss = loss_by_example(model, here).sum()
        flat = torch.autograd.grad(loss, [*ones[0], *ones[1]])
    values = [gradient.detach().float().cpu() for gradient in flat]
    return values[: len(ones[0])], values[len(ones[0]) :]


@contextmanager
def _weights_alone(model: Any) -> Iterator[None]:
    """In evaluation mode and without gradients of weights, which would cost half the backward pass; restored afterwards."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    training = model.training
    model.eval()
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
        model.train(training)


def _joined(per_batch: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(of_layer) for of_layer in zip(*per_batch, strict=True))


def _squares(block: Block) -> Tensor:
    """The squared weights of each unit, summed, [units]."""
    total = weight_of(block.output).detach().float().square().sum(dim=0).view(block.count, block.width).sum(dim=1)
    for maker in block.makers:
        rows = weight_of(maker.module).detach().float().square().sum(dim=1)
        parts = rows.split([width * block.count for width in maker.widths])
        for part in parts:
            total += part.view(block.count, -1).sum(dim=1)
    return total
