"""Makes a student from its teacher: some of its layers, with everything around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.core.errors import CompressError
from compress.core.labels import ANSWERED, TARGETS
from compress.distillation import laws
from compress.distillation.scores import flat
from compress.models.families.families import stack
from compress.models.forward import answers as next_tokens
from compress.models.kinds import law_of_model
from compress.models.layers import Batch, evaluating, evenly_spaced, layer_count
from compress.tasks.kinds.laws import CATEGORICAL, TOKENS


def least_missed(teacher: Any, kept: int, batches: Sequence[Batch], side: str = "decoder") -> tuple[int, ...]:
    """Which layers to keep: of those left, the one whose removal changes the answers least goes, again and again.

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
    """How far a model's answers are by now from what they are at this moment, or how far from the references."""
    if teacher.can_generate():
        return lambda: _loss(teacher, batches)
    answers = _logits(teacher, batches)
    distance = _divergence if law_of_model(teacher) is CATEGORICAL else _squared_difference
    return lambda: distance(answers, _logits(teacher, batches))


def _loss(model: Any, batches: Sequence[Batch]) -> float:
    """The mean over rows of the mean cross-entropy of their references' tokens."""
    total = 0.0
    for batch in batches:
        here = {name: value.to(model.device) for name, value in batch.items()}
        total += float(laws.hard(TOKENS, next_tokens(model, here))) * len(here["labels"])
    return total / sum(len(batch["labels"]) for batch in batches)


def _divergence(whole: Tensor, short: Tensor) -> float:
    log_whole, log_short = F.log_softmax(whole.float(), dim=-1), F.log_softmax(short.float(), dim=-1)
    return float(F.kl_div(log_short, log_whole, reduction="batchmean", log_target=True))


def _squared_difference(whole: Tensor, short: Tensor) -> float:
    return float(F.mse_loss(short.float(), whole.float()))


def _logits(model: Any, batches: Sequence[Batch]) -> Tensor:
    answers = []
    for batch in batches:
        inputs = {name: value.to(model.device) for name, value in batch.items() if name not in TARGETS}
        logits = model(**inputs).logits
        if logits.ndim == 3 and ANSWERED not in batch:  # without words known, every token is an answer
            answers.append(logits[inputs["attention_mask"].bool()])
        else:
            answers.append(flat(logits, batch))
    return torch.cat(answers)


@contextmanager
def _without(model: Any, layers: str, left: Sequence[int]) -> Iterator[None]:
    """The model with some of its layers passed over: its list of layers is a shorter one of the same modules."""
    parent, _, name = layers.rpartition(".")
    owner, whole = model.get_submodule(parent), model.get_submodule(layers)
    setattr(owner, name, nn.ModuleList([whole[index] for index in left]))
    try:
        yield
    finally:
        setattr(owner, name, whole)
