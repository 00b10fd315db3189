"""A quantization scheme: type, axis, scale and zero point by module name, and the rounding that they define.

One scheme serves static quantization after training and training that is aware of it, so that the second starts
exactly where the first ended; one writer (`compress.quantization.graphs.qdq`) turns it into a graph.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.errors import CompressError

LIMITS = {
    "int4": (-8, 7),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "uint16": (0, 65535),
}
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)  # the least normal number; a constant channel must not divide by 0


@dataclass(frozen=True, eq=False)
class Quantizer:
    """An affine map between reals and integers: `real = scale * (integer - zero_point)`.

    type: int4 (weights only), int8, uint8, int16 or uint16. axis: the channel axis, or None for one scale in all.
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
        """Integers for `values`: rounded half to even as ONNX's QuantizeLinear does, then saturated.

        NumPy has no int4: its values are returned as int8, from -8 to 7.
        """
        low, high = LIMITS[self.type]
        scale, zero_point = self._aligned(values.ndim)
        steps = np.rint(np.asarray(values, np.float32) / scale) + zero_point
        return np.clip(steps, low, high).astype("int8" if self.type == "int4" else self.type)

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


@dataclass(frozen=True, eq=False)
class Layer:
    """The quantization of one matrix product, embedding table or product of two activations.

    weight: None for a product of two activations (attention's). input: of the product's first factor; None where its
    range is taken at each call. other: of the second factor where that is an activation. smooth: float32, [inputs],
    above 0: the input is multiplied by its reciprocal before it is quantized and the weight's columns by itself
    (Xiao et al. 2022, SmoothQuant, equation 3), both in float32. float_input: the input stays in floating point, and
    the weight alone is stored in integers.
    """

    weight: Quantizer | None = None
    input: Quantizer | None = None
    other: Quantizer | None = None
    smooth: np.ndarray | None = None
    float_input: bool = False

    def __post_init__(self) -> None:
        if (self.weight is None) == (self.other is None):
            raise CompressError("A scheme's layer has either a weight or a second activation to multiply with.")
        if self.other is not None and self.input is None:
            raise CompressError("A scheme's product of two activations needs a quantizer for each of them.")
        if self.float_input and self.input is not None:
            raise CompressError("A scheme's layer with an input in floating point has no quantizer for it.")
        if self.smooth is not None:
            object.__setattr__(self, "smooth", np.asarray(self.smooth, np.float32))
            if self.smooth.ndim != 1 or not (np.isfinite(self.smooth).all() and (self.smooth > 0).all()):
                raise CompressError("A scheme's smoothing factors must be finite and above 0, one for each input.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layer):
            return NotImplemented
        return (
            all(getattr(self, part) == getattr(other, part) for part in PARTS)
            and self.float_input == other.float_input
            and (self.smooth is None) == (other.smooth is None)
            and (self.smooth is None or other.smooth is None or np.array_equal(self.smooth, other.smooth))
        )

    def integers(self, weight: np.ndarray) -> np.ndarray:
        """The stored integers for a float weight, [outputs, inputs]: smoothed, then quantized."""
        assert self.weight is not None
        return self.weight.quantize(weight if self.smooth is None else weight * self.smooth)


PARTS = ("weight", "input", "other")
"""The quantizers that a layer may have."""


@dataclass(frozen=True)
class Scheme(Mapping[str, Layer]):
    """A `Layer` by the name of its torch module, or of its node where a foreign graph does not tell the module.

    Attention's two products of activations go by the attention module's name with `.scores` (queries by keys, before
    they are scaled) and `.context` (probabilities by values).
    """

    layers: Mapping[str, Layer]

    def __getitem__(self, name: str) -> Layer:
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def to_dict(self) -> dict[str, Any]:
        return {
            name: {
                **{part: quantizer.to_dict() for part, quantizer in _quantizers(layer)},
                **({} if layer.smooth is None else {"smooth": layer.smooth.tolist()}),
                **({"float_input": True} if layer.float_input else {}),
            }
            for name, layer in self.layers.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scheme:
        return cls(
            {
                name: Layer(
                    **{part: Quantizer.from_dict(layer[part]) for part in PARTS if part in layer},
                    smooth=layer.get("smooth"),
                    float_input=layer.get("float_input", False),
                )
                for name, layer in values.items()
            }
        )

    def save(self, path: Path) -> None:
        """Write the scheme to a safetensors file; `load` returns an equal one, bit for bit."""
        from safetensors.numpy import save_file

        tensors: dict[str, np.ndarray] = {}
        facts: dict[str, str] = {}
        for name, layer in self.layers.items():
            for part, quantizer in _quantizers(layer):
                tensors[f"{name}:{part}:scale"] = quantizer.scale
                tensors[f"{name}:{part}:zero_point"] = quantizer.zero_point
                facts[f"{name}:{part}"] = f"{quantizer.type} {'' if quantizer.axis is None else quantizer.axis}".strip()
            if layer.smooth is not None:
                tensors[f"{name}:{SMOOTH}"] = layer.smooth
                facts[f"{name}:{SMOOTH}"] = ""
            if layer.float_input:
                facts[f"{name}:{FLOAT_INPUT}"] = ""
        # One key, since safetensors writes several in any order: the same scheme is the same bytes.
        save_file(tensors, str(path), metadata={LAYERS: json.dumps(facts, sort_keys=True)})

    @classmethod
    def load(cls, path: Path) -> Scheme:
        """Raises CompressError if `save` did not write the file."""
        from safetensors import SafetensorError, safe_open

        found: dict[str, dict[str, Any]] = {}
        try:
            with safe_open(str(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                facts = (
                    json.loads(metadata[LAYERS]) if LAYERS in metadata else metadata
                )  # as it was before there was one key
                for key, fact in sorted(facts.items()):
                    name, part = key.rsplit(":", 1)
                    parts = found.setdefault(name, {})
                    if part == FLOAT_INPUT:
                        parts[part] = True
                    elif part == SMOOTH:
                        parts[part] = file.get_tensor(key)
                    else:
                        kind, *axis = fact.split()
                        parts[part] = Quantizer(
                            kind,
                            int(axis[0]) if axis else None,
                            file.get_tensor(f"{key}:scale"),
                            file.get_tensor(f"{key}:zero_point"),
                        )
            return cls({name: Layer(**parts) for name, parts in found.items()})
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise CompressError(f"{path} is not a quantization scheme: {error}. Calibrate again.") from error


SMOOTH, FLOAT_INPUT = "smooth", "float_input"
LAYERS = "layers"
"""The key of the file's metadata, JSON: what each tensor is of."""


def _quantizers(layer: Layer) -> Iterator[tuple[str, Quantizer]]:
    for part in PARTS:
        quantizer = getattr(layer, part)
        if quantizer is not None:
            yield part, quantizer


def symmetric(weight: np.ndarray, *, axis: int | None, type: str = "int8") -> Quantizer:
    """int8 (or int4) scaled by the largest magnitude of each channel along `axis` (of the whole, for None), zero point 0.

    127 steps each way (7 for int4): the least integer stays unused, so that a weight and its negative round alike.
    """
    others = None if axis is None else tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    largest = np.abs(np.asarray(weight, np.float32)).max(axis=others)
    scale = np.maximum(largest / np.float32(LIMITS[type][1]), np.float32(SMALLEST_SCALE))
    return Quantizer(type, axis, scale, np.zeros(scale.shape, np.int32))


def affine(low: float, high: float, *, type: str = "uint8") -> Quantizer:
    """One scale for values from `low` to `high`; 0 is always in the range and always exact.

    As ONNX's DynamicQuantizeLinear has it: the zero point is rounded and saturated, so the ends may move by half a step.
    """
    least, greatest = LIMITS[type]
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = np.maximum(np.float32((high - low) / (greatest - least)), np.float32(SMALLEST_SCALE))
    zero_point = np.clip(np.rint(least - np.float32(low) / scale), least, greatest)
    return Quantizer(type, None, scale, np.asarray(zero_point, np.int32))
