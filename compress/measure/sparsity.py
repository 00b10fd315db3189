"""Counts exact zeros in a model's stored weights, matrix by matrix and without torch.

Counted are the matrices of the layers: embeddings, norms, biases, pooler and classifier are left out, so that the share is
that of what pruning can prune. A quantized weight is zero where it equals its zero point.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.models.stored import graph, header, model_files

LAYERS = "matrices of the layers, embeddings and head left out"
ALL = "all matrices, since no name has a layer"
BLOCK = 1 << 22
"""Weights of a safetensors file that are read at once."""
FLOATS: dict[str, tuple[Any, int]] = {
    "F64": (np.uint64, 63),
    "F32": (np.uint32, 31),
    "F16": (np.uint16, 15),
    "BF16": (np.uint16, 15),
    "F8_E4M3": (np.uint8, 7),
    "F8_E5M2": (np.uint8, 7),
}
"""How each floating-point type lies in the file, and its bits without the sign: all of these are off in a zero."""


@dataclass(frozen=True)
class Zeros:
    """The zeros of one model."""

    count: int
    of: int
    """Weights counted, zero or not; 1 or more."""
    matrices: int
    counted: str
    """Which matrices, in words."""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.count / self.of


def zeros(artifact: Artifact) -> Zeros:
    """Count the zeros; at most one matrix (of a safetensors file, a block of one) is in memory beside the graph.

    Raises:
        CompressError: the files are not what their names say, hold no matrix, or keep weights in a form in which zeros
            cannot be recognized.
    """
    if artifact.format == "openvino":
        raise CompressError("zeros are not counted in OpenVINO's files: see the artifact that it was made from")
    if artifact.format == "onnx":
        found = [one for name in artifact.parts.values() for one in _of_graph(artifact.folder / name)]
    else:
        found = [one for file in model_files(artifact) for one in _of_safetensors(file)]
    if not found:
        raise CompressError("no matrix that is multiplied with was found among its stored weights")
    named = [one for one in found if in_layers(one.name)]
    counts = [(one.zeros(), one.weights) for one in named or found]
    total = sum(of for _, of in counts)
    return Zeros(sum(count for count, _ in counts), total, len(counts), LAYERS if named else ALL)


def in_layers(name: str) -> bool:
    """Whether a weight's name is that of a numbered layer (`layer.0.`), or says nothing (`onnx::MatMul_78`)."""
    return bool(re.search(r"(^|[./])\d+[./]", name)) or not re.search(r"[./]", name)


@dataclass(frozen=True)
class _Matrix:
    """A matrix that has not been read yet."""

    name: str
    weights: int
    blocks: Callable[[], Iterable[NDArray[Any]]]
    """Gives arrays in which what is zero is False or 0."""

    def zeros(self) -> int:
        return self.weights - sum(int(np.count_nonzero(block)) for block in self.blocks())


def _of_safetensors(file: Path) -> Iterator[_Matrix]:
    tensors, begin = header(file)
    for name, tensor in tensors.items():
        shape, dtype = tensor["shape"], tensor["dtype"]
        size = math.prod(shape)
        # BART's bias of the head is stored as a matrix of one row.
        if len(shape) > 1 and size and dtype not in ("I64", "BOOL") and not name.endswith("bias"):
            yield _Matrix(name, size, _Blocks(name, dtype, size, file, begin + tensor["data_offsets"][0]))


@dataclass(frozen=True)
class _Blocks:
    """The bits of a tensor without their sign, a block at a time."""

    name: str
    dtype: str
    size: int
    file: Path
    offset: int

    def __call__(self) -> Iterator[NDArray[Any]]:
        if self.dtype not in FLOATS:
            raise CompressError(f"{self.name} is stored as {self.dtype}, whose zeros only its own library can count")
        kind, bits = FLOATS[self.dtype]
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            for start in range(0, self.size, BLOCK):
                block = np.fromfile(stream, kind, min(BLOCK, self.size - start))
                yield block & kind((1 << bits) - 1)


MULTIPLIED: dict[str, dict[int, int | None]] = {
    **{name: {0: None, 1: None} for name in ("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "GemmFastGelu")},
    **{name: {1: None} for name in ("Attention", "Conv", "FusedConv")},
    "MatMulInteger": {0: 2, 1: 3},
    "MatMulIntegerToFloat": {0: 4, 1: 5},
    "DynamicQuantizeMatMul": {1: 3},
    "QLinearMatMul": {0: 2, 3: 5},
    "QGemm": {0: 2, 3: 5},
    "QAttention": {1: 7},
    "MatMulNBits": {1: 3},
}
"""Operators that multiply with a matrix: its input -> the input of its zero point."""
MADE_REAL: dict[str, dict[int, int | None]] = {"DequantizeLinear": {0: 2}, "Sub": {0: 1}, "Mul": {0: None}}
"""Operators that make reals of integers, by themselves or behind a Cast: the integers -> the input of their zero point."""
THROUGH = ("QuantizeLinear", "DequantizeLinear", "Transpose", "Cast", "Reshape", "Identity", "Squeeze", "Unsqueeze")
"""Operators that pass their first input on, whatever its form."""


def _of_graph(file: Path) -> Iterator[_Matrix]:
    whole = graph(file)
    if whole.sparse_initializer:
        raise CompressError(f"{file.name} stores weights as sparse tensors, which are not counted here")
    constants = {one.name: one for one in whole.initializer}
    for node in whole.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    readers: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for node in whole.node:
        for at, name in enumerate(node.input):
            readers[name].append((node, at))
    for one in whole.initializer:
        use = next((use for use in readers[one.name] if _multiplies(*use, readers)), None)
        if len(one.dims) > 1 and math.prod(one.dims) and use:
            node, at = use
            behind, place = readers[node.output[0]][0] if node.op_type == "Cast" else (node, at)
            if behind.op_type in MADE_REAL or MULTIPLIED.get(behind.op_type, {}).get(place):  # it tells the zero point
                node, at = behind, place
            yield _Matrix(one.name, _weights(one, node), _Read(file, one, node, at, constants))


def _multiplies(node: Any, at: int, readers: dict[str, list[tuple[Any, int]]]) -> bool:
    """Whether what an operator takes as that input is multiplied with, by it or by one it is passed on to."""
    if at in MULTIPLIED.get(node.op_type, ()):
        return True
    passed = node.op_type in (*THROUGH, *MADE_REAL) and at == 0
    return passed and any(_multiplies(*use, readers) for use in readers.get(node.output[0], ()))


def _weights(tensor: Any, node: Any) -> int:
    if node.op_type == "MatMulNBits":
        return int(_attribute(node, "K", 0) * _attribute(node, "N", 0))
    return math.prod(tensor.dims)


@dataclass(frozen=True)
class _Read:
    """The weights of an initializer, as a mask of those that are not zero."""

    file: Path
    tensor: Any
    node: Any
    """The operator that reads it."""
    at: int
    """As which of its inputs."""
    constants: dict[str, Any]

    def __call__(self) -> Iterable[NDArray[Any]]:
        values = self._array(self.tensor)
        if self.node.op_type == "MatMulNBits":
            return self._packed(values)
        # The small integer and float types are ml_dtypes', of kind V.
        integer = values.dtype.kind in "iu" or "int" in values.dtype.name
        if not integer:
            return [values]
        inputs = MULTIPLIED.get(self.node.op_type, MADE_REAL.get(self.node.op_type, {}))
        if self.at not in inputs:
            raise CompressError(f"{self.tensor.name} is read by {self.node.op_type}, which has no zero point for it")
        zero = self._zero_point(inputs[self.at], values)
        return [values.astype(np.int32) != zero]

    def _zero_point(self, at: int | None, values: NDArray[Any]) -> NDArray[Any]:
        given = self._given(at)
        if given is None:
            return np.zeros(1, np.int32)
        points = given.astype(np.int32)
        if points.size == 1:
            return points.reshape(1)
        dequantizes = self.node.op_type == "DequantizeLinear"
        axis = _attribute(self.node, "axis", 1) if dequantizes else values.ndim - 1
        if self.node.op_type == "QGemm" and _attribute(self.node, "transB", 0):
            axis = 0
        axis %= values.ndim
        block = _attribute(self.node, "block_size", 0) if dequantizes else 0
        if block:
            return np.repeat(points, block, axis).take(np.arange(values.shape[axis]), axis)
        return points.reshape([-1 if n == axis else 1 for n in range(values.ndim)])

    def _packed(self, values: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """MatMulNBits (com.microsoft): [outputs, blocks, bytes], lower bits first, the inputs padded to whole blocks."""
        bits, inputs = _attribute(self.node, "bits", 4), _attribute(self.node, "K", 0)
        block = _attribute(self.node, "block_size", 32)
        outputs, blocks = _attribute(self.node, "N", 0), -(-inputs // block)
        packed, given = values.reshape(outputs, -1), self._given(3)
        if given is None:
            points = np.full((outputs, blocks), 1 << (bits - 1), np.int32)
        elif given.dtype == np.uint8:
            points = _unpacked(given.reshape(outputs, -1), bits)[:, :blocks]
        else:
            points = given.reshape(outputs, blocks)
        step = max(1, BLOCK // max(inputs, 1))
        for start in range(0, outputs, step):
            some = _unpacked(packed[start : start + step], bits)[:, :inputs]
            yield some != np.repeat(points[start : start + step], block, 1)[:, :inputs]

    def _given(self, at: int | None) -> NDArray[Any] | None:
        name = self.node.input[at] if at is not None and at < len(self.node.input) else ""
        if not name:
            return None
        if name not in self.constants:
            raise CompressError(f"the zero point of {self.tensor.name} is computed, not stored")
        return self._array(self.constants[name])

    def _array(self, tensor: Any) -> NDArray[Any]:
        from onnx import numpy_helper

        if tensor.data_location == 1:  # TensorProto.EXTERNAL: what is read would stay in the tensor
            tensor = type(tensor).FromString(tensor.SerializeToString())
        array: NDArray[Any] = numpy_helper.to_array(tensor, base_dir=str(self.file.parent))
        return array


def _unpacked(packed: NDArray[Any], bits: int) -> NDArray[Any]:
    """[rows, bytes] -> [rows, bytes * 8 / bits], of 8, 4 or 2 bits each."""
    parts = (packed[:, :, None] >> np.arange(0, 8, bits, dtype=np.uint8)) & np.uint8((1 << bits) - 1)
    return parts.reshape(len(packed), -1).astype(np.int32)


def _attribute(node: Any, name: str, otherwise: int) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), otherwise)
