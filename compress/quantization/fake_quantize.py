"""Fake quantization: rounds floats to the values that the graph will use, with gradients for the step sizes.

A quantizer gives centred integers n = clip(round(x / s) + z, low, high) - z, so that x is close to n * s. Rounding is
passed straight through in the backward pass; everything else is differentiated as it stands. That is LSQ (Esser et al.
2020, equation 3) for the step size s, and LSQ+ (Bhalgat et al. 2020) for the zero point z.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress.quantization.scheme import LIMITS, SMALLEST_SCALE, Quantizer

LEARNING_RATE_FACTOR = 200.0
"""Step sizes and smoothing are learned by their logarithms, which AdamW moves by about the learning rate in each step,
whatever their gradients' size. Weights want a rate far below fine-tuning's, since what they may move from what they were is
little; at 5e-6 this gives step sizes a tenth of a percent in a step."""
MOMENTUM = 0.05  # of a running range: each batch counts as the last 20 or so do


class _Integers(torch.autograd.Function):
    """Centred integers with the straight-through gradient of rounding: 1 within the range, 0 where values are clipped."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
        steps = values / scale
        integers = steps.round().add_(zero_point).clamp_(low, high).sub_(zero_point)
        ctx.save_for_backward(steps, scale, integers)
        return integers

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        steps, scale, integers = ctx.saved_tensors
        inside = steps.round() == integers
        of_values = torch.where(inside, gradient / scale, 0)
        of_scale = of_zero_point = None
        if ctx.needs_input_grad[1]:
            of_scale = -(of_values * steps).sum_to_size(scale.shape)
        if ctx.needs_input_grad[2]:
            of_zero_point = -torch.where(inside, 0, gradient).sum_to_size(scale.shape)
        return of_values, of_scale, of_zero_point, None, None


class _Scaled(torch.autograd.Function):
    """The same value, its gradient multiplied: written as arithmetic, the value could change in its last bit."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


class _Rounded(torch.autograd.Function):
    """Rounded half to even, with the gradient of no rounding."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def integers(values: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
    """Centred integers of float32 values: their value is `integers * scale`.

    Args:
        values: any shape.
        scale: above 0, of a shape that broadcasts to the values'.
        zero_point: a whole number within low to high, of scale's shape.
        low: the least integer.
        high: the greatest.
    """
    found: Tensor = _Integers.apply(values, scale, zero_point, low, high)
    return found


class FakeQuantizer(nn.Module):
    """One quantizer of a scheme, in training: its step size, and its zero point where it is affine, are parameters.

    The step size is s0 * exp(growth), the zero point round(z0 + levels * shift): at the start, with both 0, they are the
    scheme's to the bit. LSQ's gradient scale, 1 / sqrt(count * high) with `count` the values that share a step size, is
    applied to s (Esser et al. 2020, section 2.2).
    """

    start_scale: Tensor
    start_zero: Tensor
    watching: Tensor
    growth: nn.Parameter
    shift: nn.Parameter

    def __init__(self, quantizer: Quantizer, *, count: int, learned: bool = True) -> None:
        """
        Args:
            quantizer: what to start from.
            count: how many values share a step size: of a weight's channel, or of a token's features.
            learned: whether training moves it; else its range follows the values seen, until `freeze`.
        """
        super().__init__()
        self.type, self.axis = quantizer.type, quantizer.axis
        self.low, self.high = LIMITS[quantizer.type]
        self.affine = bool(self.low == 0)
        self.learned = learned
        self.gradient_scale = 1 / math.sqrt(count * self.high)
        self.register_buffer("start_scale", torch.from_numpy(np.array(quantizer.scale)))
        self.register_buffer("start_zero", torch.from_numpy(np.array(quantizer.zero_point, np.float32)))
        if not learned:  # a buffer, so that a checkpoint knows whether it still follows
            self.register_buffer("watching", torch.tensor(False))
        else:
            self.growth = _parameter(torch.zeros_like(self.start_scale))
            if self.affine:
                self.shift = _parameter(torch.zeros_like(self.start_scale))

    @property
    def scale(self) -> Tensor:
        """The step size, [] or [channels], float32."""
        if not self.learned:
            return self.start_scale.clone()  # what a gradient needs must not change when the range follows
        grown: Tensor = (self.start_scale * self.growth.exp()).clamp_min(SMALLEST_SCALE)
        scaled: Tensor = _Scaled.apply(grown, self.gradient_scale)
        return scaled

    @property
    def zero_point(self) -> Tensor:
        """A whole number within the type's range, of the scale's shape."""
        if not (self.learned and self.affine):
            return self.start_zero.clone()
        moved = self.start_zero + (self.high - self.low) * self.shift
        rounded: Tensor = _Rounded.apply(moved.clamp(self.low, self.high))
        return rounded

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Centred integers, float32 of the values' shape, and the step size as it broadcasts to them."""
        values = values.float()
        if not self.learned and self.training and self.watching:
            self._observe(values.detach())
        scale, zero_point = self.scale, self.zero_point
        if self.axis is not None:
            shape = [1] * values.ndim
            shape[self.axis] = -1
            scale, zero_point = scale.view(shape), zero_point.view(shape)
        return integers(values, scale, zero_point, self.low, self.high), scale

    def quantizer(self) -> Quantizer:
        """The current value, for a scheme."""
        with torch.no_grad():
            return Quantizer(
                self.type, self.axis, self.scale.cpu().numpy(), self.zero_point.cpu().numpy().astype(np.int32)
            )

    def _observe(self, values: Tensor) -> None:
        """Updates the range: a weight's largest magnitude, or the moving minimum and maximum of an activation."""
        if not self.affine:
            others = [axis for axis in range(values.ndim) if self.axis is None or axis != self.axis % values.ndim]
            largest = values.abs().amax(others) / self.high
            if self.axis is None:  # an activation's: its batches differ
                largest = torch.lerp(self.start_scale, largest, MOMENTUM)
            self.start_scale.copy_(largest.clamp_min(SMALLEST_SCALE))
            return
        low = (self.low - self.start_zero) * self.start_scale
        high = (self.high - self.start_zero) * self.start_scale
        low = torch.lerp(low, values.amin(), MOMENTUM).clamp_max(0)
        high = torch.lerp(high, values.amax(), MOMENTUM).clamp_min(0)
        self.start_scale.copy_(((high - low) / (self.high - self.low)).clamp_min(SMALLEST_SCALE))
        self.start_zero.copy_((self.low - low / self.start_scale).round().clamp(self.low, self.high))


class DynamicQuantizer(nn.Module):
    """uint8 with the range of each call's values, as ONNX's DynamicQuantizeLinear has it; nothing is learned."""

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Centred integers and their step size [], as `FakeQuantizer` gives them."""
        values = values.float()
        with torch.no_grad():
            low, high = values.amin().clamp_max(0), values.amax().clamp_min(0)
            scale = ((high - low) / 255).clamp_min(SMALLEST_SCALE)
            zero_point = (-low / scale).round().clamp(0, 255)
        return integers(values, scale, zero_point, 0, 255), scale


class Smoothing(nn.Module):
    """Smoothing factors that divide inputs before rounding and multiply weights: learned as logarithms.

    Xiao et al. 2022 (SmoothQuant), equation 3; learned with the step sizes, as Shao et al. 2023 (OmniQuant) do.
    """

    start: Tensor
    growth: nn.Parameter

    def __init__(self, factors: np.ndarray, *, learned: bool = True) -> None:
        """factors: float32, [inputs], above 0."""
        super().__init__()
        self.learned = learned
        self.register_buffer("start", torch.from_numpy(np.array(factors, np.float32)))
        if learned:
            self.growth = _parameter(torch.zeros_like(self.start))

    @property
    def factors(self) -> Tensor:
        """[inputs], float32, above 0."""
        return self.start * self.growth.exp() if self.learned else self.start


def _parameter(start: Tensor) -> nn.Parameter:
    """A learned logarithm or share: without weight decay, and with a higher learning rate than weights."""
    made = nn.Parameter(start)
    made.no_weight_decay = True  # read by the training loop, as the next one is
    made.learning_rate_factor = LEARNING_RATE_FACTOR
    return made
