"""What is quantized and how: by module name the type, axis, scale and zero point, and the rounding that they mean.

One scheme serves static quantization after training and training that is aware of it, so that the second starts
exactly where the first ended; one writer (`compress.onnx.qdq`) turns it into a graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import CompressError

LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535)}
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)  # the least normal number; a constant channel must not divide by 0


@dataclass(frozen=True, eq=False)
class Quantizer:
    """An affine map between reals and integers: `real = scale * (integer - zero_point)`.

    type: int8, uint8, int16 or uint16. axis: the channel axis, or None for one scale in all.
    scale: float32, [] or [channels]; zero_point: int32 of the same shape.
    """

    type: str
    axis: int | None
    scale: np.ndarray
    zero_point: np.ndarray

    def __post_init__(self) -> None:
        if self.type not in LIMITS:
            raise CompressError(
                f"Unknown integer type '{self.type}' in a quantization scheme. Known: {', '.join(LIMITS)}."
            )
        object.__setattr__(self, "scale", np.asarray(self.scale, np.float32))
        object.__setattr__(self, "zero_point", np.asarray(self.zero_point, np.int32))
        low, high = LIMITS[self.type]
        if self.scale.shape != self.zero_point.shape or self.scale.ndim != (0 if self.axis is None else 1):
            raise CompressError(
                f"A scheme's scale of shape {self.scale.shape} and zero point of shape {self.zero_point.shape} "
                f"do not fit axis {self.axis}."
            )
        if not (np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise CompressError("A scheme's scales must be finite and above 0; the calibration saw NaN or infinity.")
        if (self.zero_point < low).any() or (self.zero_point > high).any():
            raise CompressError(f"A scheme's zero point is outside {self.type}'s range of {low} to {high}.")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Quantizer)
            and (self.type, self.axis) == (other.type, other.axis)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Integers for `values`: rounded half to even as ONNX's QuantizeLinear does, then saturated."""
        low, high = LIMITS[self.type]
        scale, zero_point = self._aligned(values.ndim)
        steps = np.rint(np.asarray(values, np.float32) / scale) + zero_point
        return np.clip(steps, low, high).astype(self.type)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        scale, zero_point = self._aligned(integers.ndim)
        return np.asarray((integers.astype(np.int32) - zero_point).astype(np.float32) * scale)

    def _aligned(self, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
        if self.axis is None:
            return self.scale, self.zero_point
        shape = [1] * dimensions
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "axis": self.axis,
            "scale": self.scale.tolist(),
            "zero_point": self.zero_point.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Quantizer:
        return cls(values["type"], values["axis"], values["scale"], values["zero_point"])


@dataclass(frozen=True)
class Layer:
    """How one matrix product (or one embedding table, which has no input) is quantized."""

    weight: Quantizer
    input: Quantizer | None = None


@dataclass(frozen=True)
class Scheme(Mapping[str, Layer]):
    """A `Layer` by the name of its torch module, or of its node where a foreign graph does not tell the module."""

    layers: Mapping[str, Layer]

    def __getitem__(self, name: str) -> Layer:
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def to_dict(self) -> dict[str, Any]:
        return {
            name: {"weight": layer.weight.to_dict(), "input": layer.input.to_dict() if layer.input else None}
            for name, layer in self.layers.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scheme:
        return cls(
            {
                name: Layer(
                    Quantizer.from_dict(layer["weight"]),
                    Quantizer.from_dict(layer["input"]) if layer["input"] else None,
                )
                for name, layer in values.items()
            }
        )

    def save(self, path: Path) -> None:
        """Write the scheme to a safetensors file; `load` gives back an equal one, to the bit."""
        from safetensors.numpy import save_file

        tensors: dict[str, np.ndarray] = {}
        facts: dict[str, str] = {}
        for name, part, quantizer in self._parts():
            tensors[f"{name}:{part}:scale"] = quantizer.scale
            tensors[f"{name}:{part}:zero_point"] = quantizer.zero_point
            facts[f"{name}:{part}"] = f"{quantizer.type} {'' if quantizer.axis is None else quantizer.axis}".strip()
        save_file(tensors, str(path), metadata=facts)

    @classmethod
    def load(cls, path: Path) -> Scheme:
        """Raises CompressError where the file is not one that `save` wrote."""
        from safetensors import SafetensorError, safe_open

        found: dict[str, dict[str, Quantizer]] = {}
        try:
            with safe_open(str(path), framework="numpy") as file:
                for key, fact in (file.metadata() or {}).items():
                    name, part = key.rsplit(":", 1)
                    kind, *axis = fact.split()
                    found.setdefault(name, {})[part] = Quantizer(
                        kind,
                        int(axis[0]) if axis else None,
                        file.get_tensor(f"{key}:scale"),
                        file.get_tensor(f"{key}:zero_point"),
                    )
            return cls({name: Layer(parts["weight"], parts.get("input")) for name, parts in found.items()})
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise CompressError(f"{path} is not a quantization scheme: {error}. Calibrate again.") from error

    def _parts(self) -> Iterator[tuple[str, str, Quantizer]]:
        for name, layer in self.layers.items():
            yield name, "weight", layer.weight
            if layer.input is not None:
                yield name, "input", layer.input


def symmetric(weight: np.ndarray, *, axis: int | None) -> Quantizer:
    """int8 over the largest magnitude of each channel along `axis` (of the whole, for None), zero point 0.

    127 steps each way: -128 stays unused, so that a weight and its negative round alike.
    """
    others = None if axis is None else tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    largest = np.abs(np.asarray(weight, np.float32)).max(axis=others)
    scale = np.maximum(largest / np.float32(127), np.float32(SMALLEST_SCALE))
    return Quantizer("int8", axis, scale, np.zeros(scale.shape, np.int32))


def affine(low: float, high: float, *, type: str = "uint8") -> Quantizer:
    """One scale for values from `low` to `high`; 0 is always in the range and always exact.

    As ONNX's DynamicQuantizeLinear has it: the zero point is rounded and saturated, so the ends may move by half a step.
    """
    least, greatest = LIMITS[type]
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = np.maximum(np.float32((high - low) / (greatest - least)), np.float32(SMALLEST_SCALE))
    zero_point = np.clip(np.rint(least - np.float32(low) / scale), least, greatest)
    return Quantizer(type, None, scale, np.asarray(zero_point, np.int32))
