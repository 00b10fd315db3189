"""The settings of `compress quantize`: the target precision, and the method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from compress.core.unread_settings import ReadWhen
from compress.onnx.graph_settings import GraphSettings
from compress.quantization.agreement_settings import AgreementSettings
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.weight_settings import WeightSettings

INTEGERS = ("int8", "int4", "nf4")
NNCF_SMOOTHING = 0.95
"""NNCF's own migration strength of SmoothQuant for transformers."""
PRECISIONS = {
    "dynamic": ("int8", "fp16", "bf16"),
    "static": ("int8", "fp16", "bf16"),
    "weights": ("int4", "int8"),
    "gptq": ("int4", "int8"),
    "bitsandbytes": ("nf4", "int8"),
}


class Quantize(WeightSettings, Int8Settings, AgreementSettings, GraphSettings):
    """The target precision, and how it is reached."""

    HEADING = "Quantization"

    precision: Literal["int8", "int4", "nf4", "fp16", "bf16"] = Field("int8", description="Target precision.")
    mode: Literal["dynamic", "static", "weights", "gptq", "bitsandbytes"] = Field(
        "dynamic",
        description="int8: dynamic or static quantization of activations. Weight-only: ONNX blocks (weights), a GPTQ "
        "checkpoint, or bitsandbytes.",
    )

    target: Literal["onnx_runtime", "openvino"] = Field(
        "onnx_runtime",
        # A fingerprint without it is what it was before there was one.
        exclude_if=lambda value: value == "onnx_runtime",
        description="Runtime that the artifact is for; openvino: OpenVINO's own files, bf16, or int8 by NNCF (mode static, "
        "smoothquant_alpha 0.95 by default). Not for generative models.",
    )
    encoder: Literal["int8", "int4", "fp16", "fp32"] | None = Field(
        None, description="Precision of a generative model's encoder. Default: --precision."
    )
    decoder: Literal["int8", "int4", "fp16", "fp32"] | None = Field(
        None, description="Precision of a generative model's decoder. Default: --precision."
    )
    max_drop: float | None = Field(
        None,
        ge=0,
        description="Maximum drop of the task's metric, in points, on held-out rows; the layers that lose most stay in floating "
        "point. int8, dynamic or static.",
        exclude_if=lambda value: value is None,  # a fingerprint without it is what it was before there was one
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_for_openvino(cls, given: Any) -> Any:
        """int8 for OpenVINO has fixed ranges, and NNCF's own smoothing."""
        if (
            not isinstance(given, Mapping)
            or given.get("target") != "openvino"
            or given.get("precision", "int8") != "int8"
        ):
            return given
        return {"mode": "static", "smoothquant_alpha": NNCF_SMOOTHING, **given}

    @model_validator(mode="after")
    def _openvino_fits(self) -> Quantize:
        if self.target == "openvino":
            if self.precision not in ("int8", "bf16"):
                raise ValueError(f"target openvino takes precision int8 or bf16, not {self.precision}")
            if self.precision == "int8" and self.mode != "static":
                raise ValueError(f"int8 for OpenVINO has mode static, not {self.mode}: leave mode out")
            if self.encoder or self.decoder:
                raise ValueError("target openvino is for models that do not generate: leave encoder and decoder out")
        return self

    @model_validator(mode="after")
    def _mode_fits(self) -> Quantize:
        if self.precision not in PRECISIONS[self.mode]:
            fitting = [mode for mode, precisions in PRECISIONS.items() if self.precision in precisions]
            raise ValueError(f"{self.precision} does not go with mode {self.mode}: set mode to {' or '.join(fitting)}")
        if not self.stores_blocks:
            for name in WeightSettings.model_fields:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"'{name}' is for int4 and for modes weights and gptq")
        if self.max_drop is not None and (self.precision != "int8" or self.mode not in ("dynamic", "static")):
            raise ValueError("'max_drop' is for int8 with mode dynamic or static")
        if self.max_drop is not None and self.target != "onnx_runtime":
            raise ValueError("'max_drop' is for target onnx_runtime: NNCF chooses what OpenVINO's int8 quantizes")
        if self.is_torch and (self.encoder or self.decoder):
            raise ValueError(f"mode {self.mode} gives a torch checkpoint, which has one precision")
        return self

    @property
    def stores_blocks(self) -> bool:
        """Whether some weights are stored in blocks with their own scales."""
        return self.mode in ("weights", "gptq") or "int4" in (self.encoder, self.decoder)

    @property
    def is_torch(self) -> bool:
        """Whether a torch checkpoint is made by another mode than bf16."""
        return self.mode in ("gptq", "bitsandbytes")

    @property
    def reads_rows_for_weights(self) -> bool:
        """Whether GPTQ chooses the integers."""
        return self.mode == "gptq" or self.rounding == "gptq"

    @model_validator(mode="after")
    def _dynamic_has_no_fixed_ranges(self) -> Quantize:
        if "int8" in (self.precision, self.encoder, self.decoder) and self.mode == "dynamic":
            for name in ("smoothquant_alpha", "attention_matmuls", "weight_dtype", "activation_dtype"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"'{name}' is for static quantization: set mode to static too")
        return self


def has_integers(settings: Quantize) -> bool:
    """Whether anything is stored in fewer than 16 bits."""
    return any(one in INTEGERS for one in (settings.precision, settings.encoder, settings.decoder))


def is_static(settings: Quantize) -> bool:
    """Whether anything becomes int8 by mode static."""
    return settings.mode == "static" and "int8" in (settings.precision, settings.encoder, settings.decoder)


def calibrates(settings: Quantize) -> bool:
    """Whether calibration rows are read: for fixed ranges, or by GPTQ."""
    return bool(settings.reads_rows_for_weights or (is_static(settings) and settings.calibrates))


READ = (
    ReadWhen(
        ("opset",), lambda one: one.precision in ("int8", "int4") and not one.is_torch, "for int8 and int4 in ONNX"
    ),
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
    ReadWhen(
        ("calibration_method", "outlier_layers", "attention_matmuls", "weight_dtype", "activation_dtype", "opset"),
        lambda one: one.target == "onnx_runtime",
        "with target onnx_runtime",
    ),
    ReadWhen(("calibration_method",), lambda one: one.calibrates, "with activation_dtype uint8"),
    ReadWhen(("calibration",), calibrates, "by GPTQ, and with int8, mode static and activation_dtype uint8"),
    ReadWhen(("act_order",), lambda one: one.reads_rows_for_weights, "by GPTQ (rounding gptq, or mode gptq)"),
    ReadWhen(("rounding",), lambda one: one.mode != "gptq" or one.rounding == "gptq", "with mode weights"),
    ReadWhen(("accuracy_level",), lambda one: not one.is_torch, "with mode weights"),
)
