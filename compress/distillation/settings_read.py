"""Which distillation settings have an effect; any other given setting is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compress.core.unread_settings import ReadWhen


def weight_of(name: str) -> Callable[[Any], bool]:
    """Whether the weight of that name is above 0 at any time."""
    return lambda settings: bool(getattr(settings, name).highest > 0)


LOSSES = (
    ReadWhen(("temperature",), weight_of("alpha"), "with an alpha above 0"),
    ReadWhen(("hidden_loss",), weight_of("hidden_weight"), "with a hidden_weight above 0"),
    ReadWhen(("attention_loss",), weight_of("attention_weight"), "with an attention_weight above 0"),
    ReadWhen(
        ("layer_map",),
        lambda one: weight_of("hidden_weight")(one) or weight_of("attention_weight")(one),
        "with a hidden_weight or attention_weight above 0",
    ),
    ReadWhen(("relation_heads", "relation_map"), weight_of("relation_weight"), "with a relation_weight above 0"),
)
"""Of `compress.distillation.loss_settings`."""


GENERATION = (
    ReadWhen(("jsd_beta",), lambda one: one.divergence == "jsd", "with divergence jsd"),
    ReadWhen(("beams",), lambda one: one.sequence_kd > 0, "with sequence_kd above 0"),
)
"""Of `compress.distillation.generation_settings`."""

ANOTHER_TEACHER = ReadWhen(
    ("teacher",),
    lambda one: weight_of("alpha")(one) or one.matches or one.on_policy > 0 or one.sequence_kd > 0,
    "where its outputs are used: with alpha or another weight above 0",
)
"""Where the teacher is the model itself unless another is given."""
