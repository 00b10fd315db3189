"""When the settings of `compress quantize` and `compress qat` are read; any other that is given is refused."""

from __future__ import annotations

from typing import Any

from compress.core.unread_settings import ReadWhen

INTEGERS = ("int8", "int4", "nf4")


def has_integers(settings: Any) -> bool:
    """Whether anything is stored in fewer than 16 bits."""
    return any(one in INTEGERS for one in (settings.precision, settings.encoder, settings.decoder))


def is_static(settings: Any) -> bool:
    """Whether anything becomes int8 by mode static."""
    return settings.mode == "static" and "int8" in (settings.precision, settings.encoder, settings.decoder)


def calibrates(settings: Any) -> bool:
    """Whether calibration rows are read: for fixed ranges, or by GPTQ."""
    return bool(settings.reads_rows_for_weights or (is_static(settings) and settings.calibrates))


QUANTIZE = (
    ReadWhen(("mode", "embeddings", "exclude", "allow_disagreement"), has_integers, "with int8, int4 or nf4"),
    ReadWhen(("embeddings",), lambda one: not one.is_torch, "with modes dynamic, static and weights"),
    ReadWhen(
        (
            "calibration_method",
            "outlier_layers",
            "smoothquant_alpha",
            "attention_matmuls",
            "weight_dtype",
            "activation_dtype",
        ),
        is_static,
        "with int8 and mode static",
    ),
    ReadWhen(("calibration_method",), lambda one: one.calibrates, "with activation_dtype uint8"),
    ReadWhen(("calibration",), calibrates, "by GPTQ, and with int8, mode static and activation_dtype uint8"),
    ReadWhen(("act_order",), lambda one: one.reads_rows_for_weights, "by GPTQ (rounding gptq, or mode gptq)"),
    ReadWhen(("rounding",), lambda one: one.mode != "gptq" or one.rounding == "gptq", "with mode weights"),
    ReadWhen(("accuracy_level",), lambda one: not one.is_torch, "with mode weights"),
)

QAT = (
    ReadWhen(("calibration_method", "calibration"), lambda one: one.calibrates, "with activation_dtype uint8"),
    ReadWhen(
        ("freeze_observers_at",), lambda one: one.step_sizes == "moving_average", "with step_sizes moving_average"
    ),
)
