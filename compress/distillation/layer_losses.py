"""The layer losses of a training step: a student's features against its teacher's, at the tokens that count on each side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.core.labels import LABELS, NO_LABEL
from compress.distillation import losses
from compress.distillation.features import PARTS, Side, capture, side_of
from compress.distillation.loss_config import Feature, LayerLoss, LossConfig
from compress.distillation.projections import projected, projections
from compress.models.families.blocks import head_size, hidden_width
from compress.models.families.families import stack

TERMS: Mapping[Feature, str] = {
    "hidden": "hidden states",
    "attention": "attention",
    "relations": "relations",
    "embedding": "embeddings",
}
"""What each layer loss is called in curves; of an encoder-decoder with its side in front."""
FEATURE = "teacher."
"""What the batch's names of the teacher's features begin with; of an encoder-decoder their side follows (`teacher.decoder.`)."""
PROJECTIONS = "distillation_projections"
HIDDEN = {
    "mse": losses.hidden_mse,
    "cosine": losses.hidden_cosine,
    "patient": losses.patient,
    "normalized": losses.normalized_mse,
}
ATTENTION = {"mse": losses.attention_mse, "kl": losses.attention_kl}

Batch = Mapping[str, Any]
Features = Mapping[str, Tensor]
Terms = dict[str, Tensor]
LayerLosses = Callable[[Batch, float, Terms, Callable[[], Any]], Iterator[Tensor]]
"""(batch, progress, terms, asked) -> the layer losses of the forward pass before it, each times its weight; adds their terms.
`asked` runs the online teacher on the batch, unless it has run already."""


@dataclass(frozen=True)
class Tokens:
    """Which tokens of a batch count on one side, see `compress.distillation.losses`."""

    mask: Tensor
    """[batch, tokens]."""
    seen: Tensor | None = None
    """What each attends to, [batch, tokens, tokens], boolean; None in an encoder."""


@contextmanager
def layer_losses(
    student: Any, config: LossConfig, teacher_config: Any, seed: int, online_teacher: Any = None
) -> Iterator[LayerLosses]:
    """The layer losses of a student; while this lasts features are captured, and the student has its projections.

    Args:
        student: the bare model.
        teacher_config: of the teacher whose layers are matched.
        seed: for the projections.
        online_teacher: the model that is asked where a batch does not bring its features.
    """
    if not config.layer_losses:
        yield lambda batch, progress, terms, asked: iter(())
        return
    names = [name for one in config.layer_losses for name in one.map_names()]
    maps = projections(names, hidden_width(student.config), hidden_width(teacher_config), seed)
    if len(maps):
        setattr(student, PROJECTIONS, maps.to(next(student.parameters()).device))
    try:
        with ExitStack() as hooks:
            own = {
                one: hooks.enter_context(capture(student, config.features("student", one), one)) for one in config.sides
            }
            live: dict[Side, Features] = {}
            if online_teacher is not None:
                live = {
                    one: hooks.enter_context(capture(online_teacher, config.features("teacher", one), one))
                    for one in config.sides
                }

            def losses_of(batch: Batch, progress: float, terms: Terms, asked: Callable[[], Any]) -> Iterator[Tensor]:
                theirs: Mapping[Side, Features] = live
                if _brings_features(batch, config):
                    theirs = {one: _in_batch(batch, config, one) for one in config.sides}
                else:
                    asked()
                for one in config.layer_losses:
                    configs = student.config, teacher_config
                    tokens = tokens_of(batch, one.side, generates=config.law.of_vocabulary)
                    value = _matched(one, own[one.side], theirs[one.side], tokens, maps, configs)
                    terms[f"{one.side} {TERMS[one.kind]}".strip()] = value
                    # Also where the weight is 0 for a while: data-parallel training wants each step's gradients.
                    yield one.weight.at(progress) * value

            yield losses_of
    finally:
        if len(maps):
            delattr(student, PROJECTIONS)


def tokens_of(batch: Batch, side: Side, *, generates: bool) -> Tokens:
    """The tokens that count on one side of a model.

    In an encoder they are all that it reads. In a decoder they are those that predict a label that counts, and each of them
    attends to those before it and to itself: in an encoder-decoder to what it has written, else to the prompt as well.

    Args:
        batch: `attention_mask`, and of a generative model `labels`, both [batch, tokens], padded on the right.
        side: of an encoder-decoder, whose tokens.
        generates: whether the model is generative.
    """
    if not generates or side == "encoder":
        return Tokens(batch["attention_mask"])
    counted = batch[LABELS] != NO_LABEL
    written = counted
    if side == "":  # a token of a decoder predicts the label of the next one
        counted, written = F.pad(counted[:, 1:], (0, 1)), batch["attention_mask"].bool()
    before = torch.ones(counted.shape[1], counted.shape[1], dtype=torch.bool, device=counted.device).tril()
    return Tokens(counted, written[:, None, :] & before)


def _brings_features(batch: Batch, config: LossConfig) -> bool:
    """Whether the batch has the teacher's features, so that no online teacher is asked."""
    return all(
        f"{FEATURE}{side_of(name, one)}" in batch
        for one in config.sides
        for name in config.features("teacher", one).names()
    )


def _in_batch(batch: Batch, config: LossConfig, side: Side) -> Features:
    """The teacher's features of one side in a batch."""
    return {name: batch[f"{FEATURE}{side_of(name, side)}"] for name in config.features("teacher", side).names()}


def _matched(
    one: LayerLoss,
    own: Features,
    theirs: Features,
    tokens: Tokens,
    maps: nn.ModuleDict,
    configs: tuple[Any, Any],
) -> Tensor:
    """One layer loss, the sum over its pairs of layers; configs: the student's and the teacher's."""
    if one.kind == "embedding":
        (name,) = one.map_names()
        return losses.hidden_mse(projected(maps, name, own["embedding"]), theirs["embedding"], tokens.mask)
    found = []
    for (mine, its), name in zip(one.pairs, one.map_names() or [""] * len(one.pairs), strict=True):
        if one.kind == "hidden":
            value = projected(maps, name, own[f"hidden.{mine}"])
            found.append(HIDDEN[one.loss](value, theirs[f"hidden.{its}"], tokens.mask))
        elif one.kind == "attention":
            ours = _scores(own, mine, configs[0], one.side)
            found.append(
                ATTENTION[one.loss](ours, _scores(theirs, its, configs[1], one.side), tokens.mask, tokens.seen)
            )
        else:
            relations = [
                losses.relation_kl(own[f"{part}.{mine}"], theirs[f"{part}.{its}"], tokens.mask, one.heads, tokens.seen)
                for part in PARTS
            ]
            found.append(torch.stack(relations).mean())  # MiniLMv2, equation 4: a third each
    return torch.stack(found).sum()


def _scores(features: Features, layer: int, config: Any, side: Side) -> Tensor:
    """A layer's attention scores, [batch, heads, tokens, tokens]."""
    query, key = features[f"query.{layer}"], features[f"key.{layer}"]
    # By the size of a head: a pruned model's layers have fewer of them than its config says.
    of_side = stack(config, side)
    heads = query.shape[-1] // head_size(config, of_side)
    return losses.attention_scores(query, key, heads, scaled=of_side.scales_scores(config))
