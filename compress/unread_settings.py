"""Settings that were given and that nothing would read are refused by name: what is asked is done, or refused.

A technique says when each of its settings is read. Only what a user gave is looked at, on the command line or in YAML: defaults
decide nothing, and a preset's choices are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from compress.distillation.presets import PRESETS
from compress.errors import CompressError


@dataclass(frozen=True)
class ReadWhen:
    """When some settings are read."""

    names: tuple[str, ...]
    test: Callable[[Any], bool]
    """(settings) -> whether they are."""
    words: str
    """The same in words, after "is read": `with mode static`."""


def refuse_unread(settings: Any, table: Iterable[ReadWhen]) -> None:
    """Raises a CompressError for the first setting that was given and that nothing would read."""
    preset = PRESETS.get(getattr(settings, "preset", "none"), {})
    given = settings.model_fields_set - set(preset)
    for rule in table:
        for name in rule.names:
            if name in given and not rule.test(settings):
                raise CompressError(
                    f"'{name}' was given, and nothing would read it: it is read {rule.words}. Leave it out."
                )


def weight_of(name: str) -> Callable[[Any], bool]:
    """Whether the weight of that name is above 0 at any time."""
    return lambda settings: bool(getattr(settings, name).highest > 0)


LOSSES = (
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
    ReadWhen(("beams",), lambda one: one.pseudo_labels > 0, "with pseudo_labels above 0"),
)
"""Of `compress.distillation.generation_settings`."""
