"""How weights alone are stored in fewer bits: the settings of mode `weights` (ONNX), `gptq` and of a component in int4."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from compress.core.settings import Settings


class WeightSettings(Settings):
    """What weights are rounded to, and by what."""

    rounding: Literal["nearest", "gptq"] = Field(
        "nearest",
        description="Weights: each to the nearest integer, or GPTQ, which makes good on the calibration set what rounding costs.",
    )
    block: int = Field(
        32, description="Weights: neighbouring inputs that share a scale: 32, 64 or 128, or another power of 2."
    )
    symmetric: bool | None = Field(
        None,
        description="Weights: blocks without a zero point, slightly smaller. By default only in GPTQ checkpoints, which most "
        "kernels read so.",
    )
    act_order: bool = Field(False, description="GPTQ: round the columns with the largest inputs first.")
    integer_inputs: bool = Field(
        False,
        description="Weights, ONNX: round a product's inputs to int8 while it is computed (accuracy level 4), which is faster.",
    )

    @field_validator("block")
    @classmethod
    def _is_a_block(cls, block: int) -> int:
        if block < 16 or block & (block - 1):
            raise ValueError("a block has 16, 32, 64, 128 ... inputs")
        return block
