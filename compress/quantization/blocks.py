"""Block-wise quantization of a matrix in 4 or 8 bits: one scale per block of neighbouring inputs, rounding to nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compress.core.errors import CompressError

BITS = (4, 8)


@dataclass(frozen=True)
class Grid:
    """The grid to which weights are rounded.

    bits: 4 or 8. block: inputs that share a scale. symmetric: zero is the middle integer, and the largest value of a block
    by size is the least one (so that a scale may be negative, and all integers are used); otherwise a block has a zero
    point as well. half_scales: scales are numbers of 16 bits, as GPTQ's checkpoints keep them.
    """

    bits: int = 4
    block: int = 32
    symmetric: bool = False
    half_scales: bool = False

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise CompressError(f"Weights in blocks have 4 or 8 bits, not {self.bits}.")
        if self.block < 16 or self.block & (self.block - 1):
            raise CompressError(f"A block has 16, 32, 64, 128 ... inputs, not {self.block}.")

    @property
    def largest(self) -> int:
        return 2**self.bits - 1

    def steps(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and zero point of blocks of values [..., inputs], each [...], in the values' type.

        As ONNX Runtime's quantizer chooses them, which is also llama.cpp's Q4_0 (symmetric) and nearly Q4_1.
        """
        if self.symmetric:
            place = values.abs().argmax(dim=-1, keepdim=True)
            scale = values.gather(-1, place).squeeze(-1) / -(2 ** (self.bits - 1))
            scale = self._storable(scale)
            return scale, torch.full_like(scale, 2 ** (self.bits - 1))
        low, high = values.amin(dim=-1).clamp(max=0), values.amax(dim=-1).clamp(min=0)
        scale = self._storable((high - low) / self.largest)
        return scale, (-low / scale).round().clamp(0, self.largest)

    def round(self, values: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        """The nearest integers, saturated, in the values' type; half is rounded up, as by ONNX Runtime's quantizer."""
        return (values * (1 / scale) + zero_point + 0.5).floor().clamp(0, self.largest)

    def _storable(self, scale: Tensor) -> Tensor:
        """A block of zeros gets the scale 1: any would do but 0, which nothing can be divided by."""
        stored = scale.half() if self.half_scales else scale.float()
        scale = stored.to(scale.dtype)
        if not bool(torch.isfinite(scale).all()):
            raise CompressError("A weight is not finite, or too large for a scale of 16 bits. Train the model again.")
        return torch.where(scale.abs() < torch.finfo(stored.dtype).tiny, torch.ones_like(scale), scale)


@dataclass(frozen=True, eq=False)
class BlockWeight:
    """One matrix as integers: `real = scale * (integer - zero_point)`.

    integers: uint8 [outputs, inputs]; scale: float32 [outputs, blocks]; zero_point: uint8 [outputs, blocks]. Block i holds
    the inputs from i * grid.block on; the last one may be shorter.
    """

    grid: Grid
    integers: Tensor
    scale: Tensor
    zero_point: Tensor

    def __post_init__(self) -> None:
        outputs, inputs = self.integers.shape
        wanted = (outputs, -(-inputs // self.grid.block))
        if tuple(self.scale.shape) != wanted or tuple(self.zero_point.shape) != wanted:
            raise CompressError(
                f"A weight of {outputs} x {inputs} in blocks of {self.grid.block} has {wanted[0]} x {wanted[1]} scales "
                f"and zero points; these are {list(self.scale.shape)} and {list(self.zero_point.shape)}."
            )

    def real(self) -> Tensor:
        """The weight that the integers encode, float32 [outputs, inputs]."""
        inputs = self.integers.shape[1]
        scale = self.scale.repeat_interleave(self.grid.block, dim=1)[:, :inputs]
        zero_point = self.zero_point.repeat_interleave(self.grid.block, dim=1)[:, :inputs]
        return (self.integers.float() - zero_point.float()) * scale


def round_to_nearest(weight: Any, grid: Grid) -> BlockWeight:
    """A matrix [outputs, inputs], a tensor or an array, each weight rounded by itself."""
    real = torch.as_tensor(weight).float()
    outputs, inputs = real.shape
    blocks = -(-inputs // grid.block)
    padded = torch.nn.functional.pad(real, (0, blocks * grid.block - inputs)).view(outputs, blocks, grid.block)
    scale, zero_point = grid.steps(padded)
    integers = grid.round(padded, scale[..., None], zero_point[..., None])
    return BlockWeight(
        grid, integers.view(outputs, -1)[:, :inputs].to(torch.uint8), scale.float(), zero_point.to(torch.uint8)
    )
