"""The loss config of each training stage, as data: losses, their weights, and the layers that they match."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from compress.core.errors import CompressError
from compress.distillation.features import FeatureSpec
from compress.distillation.generation_settings import GenerationSettings
from compress.distillation.layer_maps import layer_map
from compress.distillation.loss_settings import LossSettings
from compress.distillation.schedules import Schedule
from compress.distillation.token_distributions import Divergence
from compress.models.layers import layer_count
from compress.models.widths import widths
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
    """hidden: mse, cosine or patient; attention: mse or kl."""
    pairs: tuple[tuple[int, int], ...] = ()
    """(student's layer, teacher's layer); not for embeddings. Their losses are added up, as TinyBERT and PKD do."""
    heads: int = 0
    """Relation heads."""


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

    def features(self, side: Literal["student", "teacher"]) -> FeatureSpec:
        """The features that the layer losses read on one side."""
        place = 0 if side == "student" else 1
        layers: dict[str, tuple[int, ...]] = {
            kind: tuple(sorted({pair[place] for one in self.layer_losses if one.kind == kind for pair in one.pairs}))
            for kind in ("hidden", "attention", "relations")
        }
        return FeatureSpec(**layers, embedding=any(one.kind == "embedding" for one in self.layer_losses))


def temperature_of(settings: LossSettings, law: Law) -> Schedule:
    """The temperature of the soft targets."""
    return settings.temperature or (PLAIN if law.of_vocabulary else TEMPERATURE)


def stages_of(
    settings: LossSettings, student: Any, teacher: Any, law: Law, teacher_weights: tuple[float, ...] = (1.0,)
) -> tuple[LossConfig, ...]:
    """The loss config of each training stage.

    Args:
        settings: also `GenerationSettings`, for next tokens.
        student: its config.
        teacher: its config.
        law: of the task's answers.
        teacher_weights: one a teacher.

    Raises:
        CompressError: a layer map does not fit the models, or the relation heads do not fit their widths.
    """
    predictions = LossConfig((), True, law, settings.alpha, temperature_of(settings, law), teacher_weights)
    if law.of_vocabulary:  # layers are matched in encoders alone
        assert isinstance(settings, GenerationSettings)
        return (
            replace(
                predictions,
                divergence=settings.divergence,
                beta=settings.jsd_beta,
                on_policy=settings.on_policy,
            ),
        )
    matched = _layer_losses(settings, student, teacher)
    if settings.intermediate_epochs:
        return LossConfig(matched, predictions=False), predictions
    return (replace(predictions, layer_losses=matched),)


def _layer_losses(settings: LossSettings, student: Any, teacher: Any) -> tuple[LayerLoss, ...]:
    layers = layer_count(student), layer_count(teacher)
    ours, theirs = widths(student), widths(teacher)
    heads = settings.relation_heads or ours.heads
    weighted: tuple[tuple[Feature, Schedule, str, str], ...] = (
        ("hidden", settings.hidden_weight, settings.hidden_loss, settings.layer_map),
        ("attention", settings.attention_weight, settings.attention_loss, settings.layer_map),
        ("relations", settings.relation_weight, "kl", settings.relation_map),
        ("embedding", settings.embedding_weight, "mse", ""),
    )
    found = []
    for kind, weight, loss, named in weighted:
        if weight.highest == 0:
            continue
        if kind == "relations" and (ours.hidden % heads or theirs.hidden % heads):
            raise CompressError(
                f"{heads} relation heads do not divide both the student's width, {ours.hidden}, and the teacher's, "
                f"{theirs.hidden}. Set relation_heads to a divisor of {math.gcd(ours.hidden, theirs.hidden)}."
            )
        found.append(LayerLoss(kind, weight, loss, layer_map(named, *layers) if named else (), heads))
    return tuple(found)
