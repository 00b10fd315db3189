"""Brings the labels of a file into the order of a model's outputs, and says how often each occurs."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from compress.core.artifact import Artifact
from compress.data.profile import Profile
from compress.models import labels as model_labels
from compress.models.pretrained import raw_config


def put_labels(
    task: dict[str, Any],
    comments: dict[str, str],
    findings: list[str],
    train: Profile,
    model: Artifact,
    has_head: bool,
) -> bool:
    """Puts the task's labels in the model's order, and says how often each occurs; whether the model's head is for them."""
    values = task.get("labels")
    if not values:
        return True
    column = next((one for one in train.columns if one.name == task.get("label")), None)
    counts = dict(column.counts) if column is not None else {}
    raw = raw_config(model.folder)
    own = model_labels.of_config(raw, model.folder) if has_head else ()
    labels: Any = list(values)
    fits = bool(own) and len(own) == len(values)
    if fits:
        fits, labels = _in_models_order(labels, own, bool(counts), findings)
    if own and not fits:
        findings.append(
            f"The model answers {model_labels.shown(own)}, and the data has {model_labels.shown(values)}: the pipeline "
            "begins by fine-tuning it. If its outputs mean these labels, say which under `model_labels` instead."
        )
    if not own and counts and all(value.lstrip("-").isdigit() for value in values) and set(values) != _ids(values):
        labels = {value: f"label {value}" for value in values}
    task["labels"] = labels
    if counts and not task.get("label_separator"):
        total = sum(counts.values())
        shown = ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items(), key=lambda one: -one[1])[:8])
        name, most = max(counts.items(), key=lambda one: one[1])
        comments["labels"] = f"rows of each: {shown}"
        findings.append(f"Labels: {shown}. Always '{name}' would be right in {100 * most / total:.0f} % of the rows.")
    else:
        comments["labels"] = "in the order of the ids"
    return not own or fits


def _in_models_order(values: list[str], own: Sequence[str], has_counts: bool, findings: list[str]) -> tuple[bool, Any]:
    """Whether the model's names tell which label is which, and the labels in the model's order."""
    places = model_labels.order(own, SimpleNamespace(label_names=tuple(values), model_labels={}))
    unnamed = all(model_labels.folded(name) == f"label {index}" for index, name in enumerate(own))
    if set(values) == _ids(values) and not unnamed:
        findings.append(f"The values {', '.join(values)} are the ids of the model's labels {model_labels.shown(own)}.")
        return True, list(own)
    if places is None:
        return False, values
    if unnamed:
        findings.append(
            f"The model calls its outputs {model_labels.shown(own)}: check that these are {model_labels.shown(values)}, in "
            "this order."
        )
    ordered: list[str] = [""] * len(values)
    for label, place in zip(values, places, strict=True):
        ordered[place] = label
    if all(value.lstrip("-").isdigit() for value in values) and set(values) != _ids(values):
        return True, {
            value: name if not unnamed else f"label {value}" for value, name in zip(ordered, own, strict=True)
        }
    return True, ordered


def _ids(values: Sequence[str]) -> set[str]:
    return {str(number) for number in range(len(values))}
