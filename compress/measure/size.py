"""Size of an artifact: bytes on disk and compressed, parameters, and the number of zero weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.measure import quantities
from compress.measure.quantities import SIZE, measured
from compress.measure.sparsity import LAYERS, zeros
from compress.models.stored import graph, model_files, safetensors_parameters

ZSTD_LEVEL = 3
"""zstd's own default."""

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
    """Bytes, parameters and zeros of a finished artifact; torch is not imported, and no file is read whole but the graph itself.

    Zeros that cannot be counted are absent, with the reason.

    Raises:
        CompressError: the model's files are missing or are not what their names say.
    """
    fingerprint = artifact.fingerprint()
    files = model_files(artifact)
    compressed = {"method": "zstd", "level": ZSTD_LEVEL}
    return [
        measured(fingerprint, "disk_bytes", disk_bytes(artifact), {"files": [file.name for file in files]}),
        measured(fingerprint, "parameters", parameters(artifact)),
        measured(fingerprint, "compressed_bytes", compressed_bytes(files), compressed),
        _zeros(artifact),
    ]


def absent(artifact: Artifact, reason: str) -> list[Measurement]:
    """The size of an artifact whose files are not as they should be."""
    fingerprint = artifact.fingerprint()
    return [quantities.absent(fingerprint, name, {}, reason) for name in SIZE]


def disk_bytes(artifact: Artifact) -> int:
    """Bytes of the model's files on disk, see `model_files`."""
    return sum(file.stat().st_size for file in model_files(artifact))


def parameters(artifact: Artifact) -> int:
    """The number of stored weights, embeddings included.

    Raises:
        CompressError: the model's files are missing or are not what their names say.
    """
    if artifact.format == "openvino":
        from compress.onnx import openvino_file

        return sum(openvino_file.parameters(artifact.folder / name) for name in artifact.parts.values())
    return onnx_parameters(artifact) if artifact.format == "onnx" else safetensors_parameters(model_files(artifact))


def compressed_bytes(files: list[Path]) -> int:
    """The size of the files, each compressed with zstd, as in a download or an image layer."""
    import zstandard

    packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    kept: Any = _Counted()
    for file in files:
        with file.open("rb") as stream:
            packer.copy_stream(stream, kept, size=file.stat().st_size)
    return kept.bytes


class _Counted:
    """A file that keeps nothing of what is written but its length."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.bytes += len(data)
        return len(data)


def _zeros(artifact: Artifact) -> Measurement:
    """The share of zeros; the count, and what was counted, stand in the condition."""
    fingerprint = artifact.fingerprint()
    try:
        found = zeros(artifact)
    except CompressError as error:
        return quantities.absent(fingerprint, "zeros", {}, str(error))
    told = {"zeros": found.count, "weights": found.of, "matrices": found.matrices, "counted": found.counted}
    notes = () if found.counted == LAYERS else (f"Counted: {found.counted}",)
    return measured(fingerprint, "zeros", found.share, told, samples=found.of, notes=notes)


def onnx_parameters(artifact: Artifact) -> int:
    """The number of elements of the graphs' initializers, embeddings included.

    64-bit integers (shapes, axes), single numbers (an epsilon, a square root) and the scales and zero points of
    quantization are left out; four-bit weights are counted as weights, not as the bytes they are packed in. What several
    graphs read from one place of a file counts once.
    """
    seen: set[tuple[str, str]] = set()
    return sum(_graph_parameters(artifact.folder / name, seen) for name in artifact.parts.values())


def _graph_parameters(file: Path, seen: set[tuple[str, str]]) -> int:
    whole = graph(file)
    scales, packed, made_real = set(), {}, set()
    stored = {one.name for one in whole.initializer if len(one.dims) > 1}
    of_inputs = {node.output[1] for node in whole.node if node.op_type == "DynamicQuantizeLinear"}
    for node in whole.node:
        if node.op_type == "Gather" and node.input[0] in stored:
            stored.add(node.output[0])  # rows of an embedding table
        if node.op_type == "Cast" and node.input[0] in stored:
            made_real.add(node.output[0])  # a weight that plain operators make real: cast, zero point off, scaled
        if node.op_type in ("Mul", "Sub") and made_real & set(node.input):
            scales |= set(node.input)
            made_real |= set(node.output) if node.op_type == "Sub" else set()
        if node.op_type == "Mul" and of_inputs & set(node.input):
            scales |= set(node.input)  # an input's scale times the weight's
        scales |= {node.input[at] for at in SCALES.get(node.op_type, ()) if at < len(node.input)}
        if node.op_type == "MatMulNBits":
            shape = {one.name: one.i for one in node.attribute}
            packed[node.input[1]] = shape["K"] * shape["N"]
    shapeless = {7, 9}  # TensorProto.INT64 and BOOL
    count = 0
    for one in whole.initializer:
        place = {entry.key: entry.value for entry in one.external_data}
        where = (place.get("location", ""), place.get("offset", ""))
        if one.data_type in shapeless or one.name in scales or not one.dims or (where[0] and where in seen):
            continue
        seen.add(where)
        count += packed.get(one.name, math.prod(one.dims))
    return count
