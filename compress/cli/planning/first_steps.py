"""The steps of a first pipeline: those that suit the kind of task and the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.tasks import kinds

ENOUGH_FOR_RANGES = 256
"""Training rows from which a static quantization is proposed."""


def first_steps(
    model: Artifact, kind: kinds.Kind, has_head: bool, rows: int, cut: int
) -> tuple[tuple[str, Mapping[str, Any], str], ...]:
    """Steps that suit the kind and the model."""
    from compress.models.layers import layer_count
    from compress.models.pretrained import config

    its_config = config(model.folder)
    reads = {} if kind.generates and kind.has_references else {"max_length": 256 if kind.generates else cut}
    found: list[tuple[str, Mapping[str, Any], str]] = []
    start: dict[str, Any] = {}
    if not has_head:
        start = {"from": "teacher"}
        found.append(
            (
                "teacher",
                {"finetune": {"epochs": 3, "batch_size": 32, "learning_rate": 5e-5, **reads}},
                "the model learns the task first: it has no head for it",
            )
        )
    sides = (("encoder_layers", "encoder"), ("decoder_layers", "decoder"))
    try:
        if its_config.is_encoder_decoder:
            half = {name: max(1, -(-layer_count(its_config, side) // 2)) for name, side in sides}
        else:
            half = {"layers": max(1, -(-layer_count(its_config) // 2))}
    except (CompressError, AttributeError):
        half = {}
    named = "teacher" if not has_head else "model"
    dynamic = {"quantize": {"precision": "int8", "mode": "dynamic"}}
    found.append((f"{named}-int8", {**start, **dynamic}, "8-bit weights, without training; most of the speed on a CPU"))
    if kind.generates and not kind.has_references:
        weights = {"quantize": {"precision": "int8", "mode": "weights"}}
        found.append((f"{named}-int8-weights", {**start, **weights}, "8-bit weights in blocks: closer to the original"))
    elif not kind.generates and rows >= 2 * ENOUGH_FOR_RANGES:
        static = {"quantize": {"precision": "int8", "mode": "static", "calibration": "task-256"}}
        found.append((f"{named}-static", {**start, **static}, "ranges fixed beforehand on 256 training rows"))
    if half:
        distil = {"distill": {**half, "epochs": 3, "batch_size": 32, **reads}}
        found.append(("student", {**start, **distil}, "half the layers, trained to answer as the teacher does"))
        found.append(("student-int8", {"from": "student", **dynamic}, "both: fewer layers and 8-bit weights"))
    return tuple(found)
