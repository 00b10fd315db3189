"""The settings of weight-only quantization: mode `weights` (ONNX), `gptq`, and components in int4."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from compress.core.settings import Settings


def _number(given: Any) -> Any:
    """The command line gives a string."""
    return int(given) if isinstance(given, str) and given.isdigit() else given


class WeightSettings(Settings):
    """How weights are rounded, and to what grid."""

    HEADING = "Weight-only quantization"

    rounding: Literal["nearest", "gptq"] = Field(
        "nearest", description="Round to nearest, or GPTQ, which compensates rounding errors on the calibration set."
    )
    group_size: int = Field(
        32, description="Group size (block size): input channels that share a scale; a power of 2 from 16."
    )
    symmetric: bool | None = Field(
        None,
        description="Symmetric quantization, without zero points. Default: only in GPTQ checkpoints, as most kernels need it.",
    )
    act_order: bool = Field(
        False, description="GPTQ: quantize columns in the order of decreasing activation size (desc_act)."
    )
    accuracy_level: Annotated[Literal[0, 4], BeforeValidator(_number)] = Field(
        0,
        description="Accuracy level of MatMulNBits. 4: activations are rounded to int8 at run time, which is faster. 0: they "
        "stay in floating point.",
    )

    @field_validator("group_size")
    @classmethod
    def _is_a_size(cls, size: int) -> int:
        if size < 16 or size & (size - 1):
            raise ValueError("must be 16, 32, 64, 128 or another power of 2")
        return size
