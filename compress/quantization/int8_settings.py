"""How a model is quantized with fixed ranges: the settings that quantizing after training and during it share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from compress.core.settings import Settings


class Int8Settings(Settings):
    """Which layers become integers, of which type, and what their ranges are taken from."""

    calibration: str = Field("task-256", description="Static: a calibration set by name, or a YAML file.")
    ranges: Literal["minmax", "percentile", "entropy", "mse"] = Field(
        "percentile",
        description="Static: how a range is taken from the values seen; minmax suits models that write text.",
    )
    wide: Literal["dynamic", "static", "float", "uint16"] = Field(
        "dynamic",
        description="Static: layers whose input holds outliers (the feed-forward's second) get a range at each call, a "
        "fixed one as all others, stay in floating point, or get a fixed one in 16 bits.",
    )
    smooth: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Static: how much of the inputs' outliers moves into the weights (SmoothQuant's alpha, 0.5 say); 0 is "
        "none.",
    )
    attention: Literal["none", "scores", "context", "both"] = Field(
        "none", description="Static: which of attention's two products are quantized as well."
    )
    weights: Literal["int8", "int4"] = Field(
        "int8", description="Static: the type that weights are stored in; embedding tables stay int8."
    )
    activations: Literal["uint8", "float"] = Field(
        "uint8", description="Static: what the layers' inputs become; float quantizes the weights alone."
    )
    embeddings: bool = Field(
        True, description="int8: quantize the embedding tables too, most of a small model's bytes."
    )
    exclude: tuple[str, ...] = Field((), description="int8: patterns of layers' names that stay in floating point.")

    @model_validator(mode="after")
    def _weights_alone_have_no_input(self) -> Int8Settings:
        if self.activations == "float" and (self.smooth or self.attention != "none"):
            name = "smooth" if self.smooth else "attention"
            raise ValueError(f"'{name}' is about quantized inputs, and activations: float quantizes weights alone")
        return self

    @property
    def calibrates(self) -> bool:
        """Whether rows are needed to take ranges from."""
        return self.activations != "float"
