"""How large an artifact is: bytes of its model files, and parameters, read from the files' headers alone."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from compress.artifact import Artifact
from compress.errors import CompressError
from compress.measurement import Measurement

SCALES = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "MatMulInteger": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "DynamicQuantizeMatMul": (2, 3),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QAttention": (3, 4, 6, 7),
    "MatMulNBits": (2, 3),
    "GatherBlockQuantized": (2, 3),
}
"""Which inputs of an operator are scales and zero points: they say how a weight is stored and are not parameters."""


def size(artifact: Artifact) -> list[Measurement]:
    """`disk_bytes` and `parameters` of a finished artifact; torch is not imported.

    Raises:
        CompressError: the model's files are missing or are not what their names say.
    """
    fingerprint = artifact.fingerprint()
    files = model_files(artifact)
    stored = disk_bytes(artifact)
    count = onnx_parameters(artifact) if artifact.format == "onnx" else safetensors_parameters(files)
    return [
        Measurement(fingerprint, "disk_bytes", float(stored), "bytes", False, {"files": [file.name for file in files]}),
        Measurement(fingerprint, "parameters", float(count), "count", False),
    ]


def disk_bytes(artifact: Artifact) -> int:
    """Bytes of the model's files on disk, see `model_files`."""
    return sum(file.stat().st_size for file in model_files(artifact))


def model_files(artifact: Artifact) -> list[Path]:
    """The files that hold the model itself: weights or graphs with their external data, no tokenizer, no config.

    Raises:
        CompressError: there are none.
    """
    if artifact.format == "onnx":
        graphs = [artifact.folder / name for name in artifact.parts.values()]
        files = graphs + [artifact.folder / name for graph in graphs if graph.is_file() for name in _external(graph)]
    else:
        files = sorted(artifact.folder.glob("*.safetensors"))
    missing = [file for file in files if not file.is_file()]
    if missing or not files:
        raise CompressError(f"{missing[0] if missing else artifact.folder} holds no model. Make the artifact again.")
    return sorted(set(files))


def safetensors_parameters(files: list[Path]) -> int:
    """The number of stored weights: a tied weight counts once, as it is stored; integer buffers of positions do not.

    Raises:
        CompressError: a file is not in the safetensors format.
    """
    return sum(
        math.prod(tensor["shape"])
        for file in files
        for name, tensor in _header(file).items()
        if name != "__metadata__" and tensor["dtype"] not in ("I64", "BOOL")
    )


def onnx_parameters(artifact: Artifact) -> int:
    """The number of elements of the graphs' initializers, embeddings included.

    64-bit integers (shapes, axes), single numbers (an epsilon, a square root) and the scales and zero points of
    quantization are left out; four-bit weights are counted as weights, not as the bytes they are packed in.
    """
    return sum(_graph_parameters(artifact.folder / name) for name in artifact.parts.values())


def _graph_parameters(file: Path) -> int:
    graph = _graph(file)
    scales, packed = set(), {}
    of_inputs = {node.output[1] for node in graph.node if node.op_type == "DynamicQuantizeLinear"}
    for node in graph.node:
        if node.op_type == "Mul" and of_inputs & set(node.input):
            scales |= set(node.input)  # an input's scale times the weight's
        scales |= {node.input[at] for at in SCALES.get(node.op_type, ()) if at < len(node.input)}
        if node.op_type == "MatMulNBits":
            shape = {one.name: one.i for one in node.attribute}
            packed[node.input[1]] = shape["K"] * shape["N"]
    shapeless = {7, 9}  # TensorProto.INT64 and BOOL
    return sum(
        packed.get(one.name, math.prod(one.dims))
        for one in graph.initializer
        if one.data_type not in shapeless and one.name not in scales and one.dims
    )


def _graph(file: Path) -> Any:
    import onnx

    try:
        return onnx.load(str(file), load_external_data=False).graph
    except Exception as error:  # protobuf's own error, which onnx does not wrap
        raise CompressError(f"{file} is not an ONNX file ({error}). Make the artifact again.") from error


def _external(file: Path) -> set[str]:
    return {
        entry.value
        for one in _graph(file).initializer
        for entry in one.external_data
        if entry.key == "location" and one.data_location == 1  # TensorProto.EXTERNAL
    }


def _header(file: Path) -> dict[str, Any]:
    """A safetensors header: eight bytes of length, then that much JSON."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > file.stat().st_size:
                raise ValueError("its header is longer than the file")
            header: dict[str, Any] = json.loads(stream.read(length))
            return header
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise CompressError(f"{file} is not in the safetensors format ({error}). Make the artifact again.") from error
