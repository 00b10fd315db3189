"""The settings of static quantization that post-training quantization and QAT share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from compress.core.headings import DATA, under
from compress.core.settings import Settings

QUANTIZATION = under("Quantization")


class Int8Settings(Settings):
    """Which layers are quantized, to which data type, and how ranges are calibrated."""

    HEADING = "Static quantization"

    calibration: str = Field("task-256", description="Calibration set: a name or a YAML file.", json_schema_extra=DATA)
    calibration_method: Literal["minmax", "percentile", "entropy", "mse"] = Field(
        "percentile",
        description="How activation ranges are calibrated. minmax suits generative models.",
    )
    outlier_layers: Literal["dynamic", "static", "float", "uint16"] = Field(
        "dynamic",
        description="Activations of layers with outliers (the second feed-forward layer): dynamic or static int8, floating "
        "point, or static uint16.",
    )
    smoothquant_alpha: float = Field(
        0.0, ge=0, le=1, description="Migration strength of SmoothQuant (0.5 is usual); 0: no smoothing."
    )
    attention_matmuls: Literal["none", "scores", "context", "both"] = Field(
        "none", description="Attention MatMuls to quantize too: scores is QK^T, context is the probabilities times V."
    )
    weight_dtype: Literal["int8", "int4"] = Field(
        "int8", description="Data type of the weights; embedding tables stay int8."
    )
    activation_dtype: Literal["uint8", "float"] = Field(
        "uint8", description="Data type of the activations; float quantizes the weights only."
    )
    embeddings: bool = Field(
        True,
        description="Quantize the embedding tables too, which are most of a small model's size.",
        json_schema_extra=QUANTIZATION,
    )
    exclude: tuple[str, ...] = Field(
        (), description="Patterns of layer names that are not quantized.", json_schema_extra=QUANTIZATION
    )

    @model_validator(mode="after")
    def _weights_alone_have_no_input(self) -> Int8Settings:
        if self.activation_dtype == "float" and (self.smoothquant_alpha or self.attention_matmuls != "none"):
            name = "smoothquant_alpha" if self.smoothquant_alpha else "attention_matmuls"
            raise ValueError(
                f"'{name}' is for quantized activations, and activation_dtype: float quantizes weights only"
            )
        return self

    @property
    def calibrates(self) -> bool:
        """Whether calibration rows are needed."""
        return self.activation_dtype != "float"
