"""The loss config of each training stage, as data: losses, their weights, and the layers that they match."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from compress.core.errors import CompressError
from compress.distillation.features import FeatureSpec, Side
from compress.distillation.generation_settings import GenerationSettings
from compress.distillation.layer_maps import Pairs, maps_by_side
from compress.distillation.loss_settings import LossSettings
from compress.distillation.schedules import Schedule
from compress.distillation.token_distributions import Divergence
from compress.models.families.blocks import attention_widths, group_size
from compress.models.families.families import stack
from compress.models.layers import layer_count
from compress.tasks.kinds.laws import CATEGORICAL, Law

Feature = Literal["hidden", "attention", "relations", "embedding"]
NEVER, PLAIN = Schedule.of(0.0), Schedule.of(1.0)
TEMPERATURE = Schedule.of(4.0)
"""Where no other is set; of next tokens it is 1, since a vocabulary's tail is long."""


@dataclass(frozen=True)
class LayerLoss:
    """One intermediate loss: which features of the student match which of the teacher."""

    kind: Feature
    weight: Schedule
    loss: str = "mse"
    """hidden: mse, cosine, patient or normalized (patient at each token); attention: mse or kl."""
    pairs: Pairs = ()
    """(student's layer, teacher's layer); not for embeddings. Their losses are added up, as TinyBERT and PKD do."""
    heads: int = 0
    """Relation heads."""
    side: Side = ""
    """Of an encoder-decoder, whose layers."""

    def map_names(self) -> tuple[str, ...]:
        """What each learned projection is called, see `compress.distillation.projections`; only hidden states have them.

        >>> LayerLoss("hidden", PLAIN, pairs=((0, 1),), side="encoder").map_names()
        ('encoder:0:1',)
        """
        own = {"hidden": [f"{ours}:{theirs}" for ours, theirs in self.pairs], "embedding": ["embedding"]}
        return tuple(f"{self.side}:{name}" if self.side else name for name in own.get(self.kind, []))


@dataclass(frozen=True)
class LossConfig:
    """The loss config of one training stage. By default it is the loss on the labels only."""

    layer_losses: tuple[LayerLoss, ...] = ()
    predictions: bool = True
    """Whether the predictions count; in a first stage the hidden layers alone may."""
    law: Law = CATEGORICAL
    alpha: Schedule = NEVER
    temperature: Schedule = PLAIN
    teacher_weights: tuple[float, ...] = (1.0,)
    divergence: Divergence = "forward_kl"
    """Of next tokens; answers of other laws are compared by `Law.divergence`."""
    beta: float = 0.5
    """Of the divergence `jsd`."""
    on_policy: float = 0.0
    """The share of the batches whose references are replaced by the student's own samples."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """Whose layers the layer losses match; nothing without such losses."""
        return tuple(dict.fromkeys(one.side for one in self.layer_losses))

    def features(self, of: Literal["student", "teacher"], side: Side = "") -> FeatureSpec:
        """The features that the layer losses read of one of the two models, on one of its sides."""
        place = 0 if of == "student" else 1
        read = [one for one in self.layer_losses if one.side == side]
        layers: dict[str, tuple[int, ...]] = {
            kind: tuple(sorted({pair[place] for one in read if one.kind == kind for pair in one.pairs}))
            for kind in ("hidden", "attention", "relations")
        }
        return FeatureSpec(**layers, embedding=any(one.kind == "embedding" for one in read))


def temperature_of(settings: LossSettings, law: Law) -> Schedule:
    """The temperature of the soft targets."""
    return settings.temperature or (PLAIN if law.of_vocabulary else TEMPERATURE)


def stages_of(
    settings: LossSettings,
    student: Any,
    teacher: Any,
    law: Law,
    teacher_weights: tuple[float, ...] = (1.0,),
    *,
    frozen_encoder: bool = False,
) -> tuple[LossConfig, ...]:
    """The loss config of each training stage.

    Args:
        settings: also `GenerationSettings`, for next tokens.
        student: its config.
        teacher: its config.
        law: of the task's answers.
        teacher_weights: one a teacher.
        frozen_encoder: whether the student's encoder is frozen, so that nothing is matched there.

    Raises:
        CompressError: a layer map does not fit the models, or the relation heads do not fit their widths.
    """
    predictions = LossConfig((), True, law, settings.alpha, temperature_of(settings, law), teacher_weights)
    if law.of_vocabulary:
        assert isinstance(settings, GenerationSettings)
        predictions = replace(
            predictions, divergence=settings.divergence, beta=settings.jsd_beta, on_policy=settings.on_policy
        )
    matched = _layer_losses(settings, student, teacher, law, frozen_encoder) if settings.matches else ()
    if settings.intermediate_epochs:
        return LossConfig(matched, predictions=False, law=law), predictions
    return (replace(predictions, layer_losses=matched),)


def _layer_losses(
    settings: LossSettings, student: Any, teacher: Any, law: Law, frozen_encoder: bool
) -> tuple[LayerLoss, ...]:
    sides = _sides(student, teacher, law)
    layers = [{side: layer_count(config, side) for side in sides} for config in (student, teacher)]
    # A classifier reads the first token, and a generative model predicts at each one.
    hidden_loss = "normalized" if law.of_vocabulary and settings.hidden_loss == "patient" else settings.hidden_loss
    weighted: tuple[tuple[Feature, Schedule, str, str], ...] = (
        ("hidden", settings.hidden_weight, hidden_loss, settings.layer_map),
        ("attention", settings.attention_weight, settings.attention_loss, settings.layer_map),
        ("relations", settings.relation_weight, "kl", settings.relation_map),
        ("embedding", settings.embedding_weight, "mse", ""),
    )
    found = []
    for kind, weight, loss, named in weighted:
        if weight.highest == 0:
            continue
        maps: dict[Side, Pairs] = maps_by_side(named, *layers) if named else dict.fromkeys(sides, ())
        if frozen_encoder and maps.pop("encoder", ()) and named not in ("uniform", "last"):
            raise CompressError(
                f"The layer map '{named}' names layers of the encoder, which learn nothing with freeze_encoder. Name the "
                "decoder's only, or leave freeze_encoder out."
            )
        for side, pairs in maps.items():
            heads = _relation_heads(settings.relation_heads, student, teacher, side) if kind == "relations" else 0
            found.append(LayerLoss(kind, weight, loss, pairs, heads, side))
    return tuple(found)


def _sides(student: Any, teacher: Any, law: Law) -> tuple[Side, ...]:
    if not law.of_vocabulary:
        return ("",)
    if student.is_encoder_decoder != teacher.is_encoder_decoder:
        kinds = {True: "an encoder-decoder", False: "a decoder"}
        raise CompressError(
            f"The student is {kinds[student.is_encoder_decoder]} and its teacher {kinds[teacher.is_encoder_decoder]}, so their "
            "layers cannot be matched. Leave out hidden_weight, attention_weight, relation_weight and embedding_weight."
        )
    return ("encoder", "decoder") if student.is_encoder_decoder else ("",)


def _relation_heads(asked: int | None, student: Any, teacher: Any, side: Side) -> int:
    stacks = [(config, stack(config, side)) for config in (student, teacher)]
    config, own = stacks[0]
    heads = asked or int(getattr(config, own.head_count)) // group_size(config, own)  # those of its keys
    found = [attention_widths(*one) for one in stacks]
    if any(width % heads for widths in found for width in widths):
        ours, theirs = (" and ".join(map(str, dict.fromkeys(widths))) for widths in found)
        raise CompressError(
            f"{heads} relation heads do not divide both the widths of the student's queries and keys, {ours}, and the "
            f"teacher's, {theirs}. Set relation_heads to a divisor of {math.gcd(*found[0], *found[1])}."
        )
    return heads
