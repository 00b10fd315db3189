"""Former names of settings: they are still accepted, and manifests and fingerprints keep using them.

A fingerprint is a hash over the names and values of settings. So a setting that gets a better name keeps its stored one for
good, and what was made before is found finished. This table is the one place where the two names meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compress.core.errors import CompressError, shown
from compress.core.progress import warn
from compress.core.settings import COMMAND, Lines


@dataclass(frozen=True)
class Former:
    """A setting's name in manifests; it is also accepted, for one release, on the command line, in YAML and in Python."""

    name: str
    values: Mapping[Any, Any] = field(default_factory=dict)
    """Former value -> the value of today, where that has changed too."""

    def value_now(self, value: Any) -> Any:
        """Today's value; values that were not renamed are unchanged."""
        return self.values.get(value, value) if _is_plain(value) else value

    def value_stored(self, value: Any) -> Any:
        """The stored value, as in manifests."""
        return next((old for old, new in self.values.items() if new == value), value) if _is_plain(value) else value


_TRAINING = {
    "warmup_ratio": Former("warmup"),
    "lr_scheduler_type": Former("schedule"),
    "gradient_accumulation_steps": Former("accumulate"),
    "keep_checkpoint": Former("keep_epoch"),
}
_GENERATION = {"sequence_kd": Former("pseudo_labels")}
_STATIC = {
    "calibration_method": Former("ranges"),
    "outlier_layers": Former("wide"),
    "smoothquant_alpha": Former("smooth"),
    "attention_matmuls": Former("attention"),
    "weight_dtype": Former("weights"),
    "activation_dtype": Former("activations"),
}

FORMER: Mapping[str, Mapping[str, Former]] = {
    "finetune": {
        **_TRAINING,
        "freeze_encoder_epochs": Former("frozen_epochs"),
        "freeze_encoder_learning_rate": Former("frozen_learning_rate"),
        "encoder_lr_multiplier": Former("encoder_rate"),
        "vocab_size": Former("vocabulary"),
    },
    "distill": {
        **_TRAINING,
        **_GENERATION,
        "unlabelled_data": Former("extra_text"),
        "with_baseline": Former("compare_with_plain"),
    },
    "prune": {
        **_TRAINING,
        **_GENERATION,
        "target_ratio": Former("keep"),
        "latency_budget_ms": Former("milliseconds"),
        "new_tokens": Former("written"),
        "units": Former("parts"),
        "exclude": Former("leave"),
    },
    "qat": {
        **_TRAINING,
        **_GENERATION,
        **_STATIC,
        "step_sizes": Former("scales", {"fixed": "moving_average"}),
        "freeze_observers_at": Former("follow"),
    },
    "quantize": {
        **_STATIC,
        "group_size": Former("block"),
        "accuracy_level": Former("integer_inputs", {False: 0, True: 4}),
    },
}
"""Technique -> setting -> what it was called."""


def current(technique: str, values: Mapping[str, Any], where: str, lines: Lines) -> tuple[dict[str, Any], Lines]:
    """A user's settings and their lines under today's names; each former name is reported with the new one.

    Args:
        where, lines: see `compress.core.settings.build`.

    Raises:
        CompressError: a setting was given by both of its names.
    """
    found, places = dict(values), dict(lines)
    for name, former in FORMER.get(technique, {}).items():
        if former.name not in found:
            continue
        line = places.get((former.name,))
        place = f"{where} line {line}" if line else where
        old, new = _spelled(former.name, where), _spelled(name, where)
        if name in found:
            raise CompressError(f"{old} and {new} are one setting, and {place} has both. Remove {old}.")
        given = found.pop(former.name)
        found[name] = former.value_now(given)
        if line:
            places[(name,)] = line
        value = "" if found[name] is given else f" {shown(found[name])}"
        warn(f"{place}: {old} is now {new}{value}. The old name will be removed in the next release.")
    return found, places


def stored(technique: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their stored names, as in manifests and fingerprints."""
    former = FORMER.get(technique, {})
    return {
        former[name].name if name in former else name: former[name].value_stored(value) if name in former else value
        for name, value in values.items()
    }


def shown_as(technique: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a manifest by today's names, for display."""
    now = {former.name: (name, former) for name, former in FORMER.get(technique, {}).items()}
    return {
        now[name][0] if name in now else name: now[name][1].value_now(value) if name in now else value
        for name, value in values.items()
    }


def _spelled(name: str, where: str) -> str:
    return f"--{name.replace('_', '-')}" if where.startswith(COMMAND) else f"'{name}'"


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | int)
