"""Chooses the layers that a student keeps by their importance, and makes the student from its teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.distillation import laws
from compress.models.families.families import stack
from compress.models.forward import answers
from compress.models.kinds import kind_of_model, law_of_model
from compress.models.layers import Batch, evaluating, evenly_spaced, layer_count


def most_important_layers(teacher: Any, kept: int, batches: Sequence[Batch], side: str = "") -> tuple[int, ...]:
    """Chooses the layers to keep: repeatedly removes the one whose removal changes the outputs least.

    The change is KL(all layers || without them) of the class probabilities, or the squared difference of a regression's
    scores, both the mean over the rows; of a generative model, what its loss on the references becomes. Greedy layer
    removal by a calibration set: Peer et al. 2022, "Greedy-layer pruning: Speeding up transformer models for natural language
    processing". Of n layers, keeping k costs n + ... + (k + 1) passes.

    A first layer that is built otherwise than the rest stays. Of layers that share their weights the first `kept` are
    named, since removing any of them is the same.

    Args:
        teacher: a sequence classifier or a generative model; it is left as it was.
        kept: how many layers to keep, from 1 to the teacher's number.
        batches: calibration inputs, of a generative model with `labels` [batch, tokens]; a few hundred rows do.
        side: of an encoder-decoder, whose layers.

    Returns:
        Indices of layers, in increasing order, counted from 0.

    Raises:
        CompressError: `kept` is out of its range, or there are no batches.
    """
    architecture = stack(teacher.config, side)
    left = list(range(layer_count(teacher.config, side)))
    evenly_spaced(len(left), kept)  # refuses what is out of range
    if architecture.shares_layers:
        return tuple(left[:kept])
    if not batches:
        raise CompressError(
            "Choosing layers by importance needs calibration rows, and there are none. Raise their number."
        )
    first_stays = architecture.first_layer_differs or architecture.made_head_bias is not None
    with evaluating(teacher):
        change = _change(teacher, batches)
        while len(left) > kept:
            changes = {}
            for candidate in left[1:] if first_stays else left:
                with _without(teacher, architecture.layers, [layer for layer in left if layer != candidate]):
                    changes[candidate] = change()
            left.remove(min(changes, key=changes.__getitem__))
    return tuple(left)


def _change(teacher: Any, batches: Sequence[Batch]) -> Callable[[], float]:
    """Measures how much a model's answers change from this moment on, or their distance from references."""
    if kind_of_model(teacher).generates:
        return lambda: _loss(teacher, batches)
    law = law_of_model(teacher)
    whole = law.mixed(_values(teacher, batches)[:, None], (1.0,), 1.0)
    return lambda: float(law.mean_divergence(_values(teacher, batches), whole, 1.0))


def _loss(model: Any, batches: Sequence[Batch]) -> float:
    """The mean over rows of the mean cross-entropy of their references' tokens."""
    total = 0.0
    for batch in batches:
        here = {name: value.to(model.device) for name, value in batch.items()}
        total += float(laws.hard(law_of_model(model), answers(model, here))) * len(here["labels"])
    return total / sum(len(batch["labels"]) for batch in batches)


def _values(model: Any, batches: Sequence[Batch]) -> Tensor:
    """The scores of all answers, [answers, outcomes]."""
    here = ({name: value.to(model.device) for name, value in batch.items()} for batch in batches)
    return torch.cat([answers(model, batch).values for batch in here])


@contextmanager
def _without(model: Any, layers: str, left: Sequence[int]) -> Iterator[None]:
    """The model without some of its layers: its list of layers is a shorter one of the same modules."""
    parent, _, name = layers.rpartition(".")
    owner, whole = model.get_submodule(parent), model.get_submodule(layers)
    setattr(owner, name, nn.ModuleList([whole[index] for index in left]))
    try:
        yield
    finally:
        setattr(owner, name, whole)
