"""Reads the headers and graphs of a model's files, without the weights."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError


def model_files(artifact: Artifact) -> list[Path]:
    """The files that hold the model itself: weights or graphs with their external data, no tokenizer, no config.

    Raises:
        CompressError: there are none.
    """
    if artifact.format == "onnx":
        graphs = [artifact.folder / name for name in artifact.parts.values()]
        files = graphs + [artifact.folder / name for file in graphs if file.is_file() for name in _external(file)]
    elif artifact.format == "openvino":
        graphs = [artifact.folder / name for name in artifact.parts.values()]
        files = [*graphs, *(file.with_suffix(".bin") for file in graphs)]
    elif artifact.format == "config":
        raise CompressError(
            f"{artifact.folder} is a config without weights. `compress finetune` trains a model from it."
        )
    else:
        files = sorted(artifact.folder.glob("*.safetensors"))
    missing = [file for file in files if not file.is_file()]
    if missing or not files:
        raise CompressError(f"{missing[0] if missing else artifact.folder} holds no model. Make the artifact again.")
    return sorted(set(files))


def graph(file: Path) -> Any:
    """An ONNX file's graph; weights beside it in a file of their own are not read.

    Raises:
        CompressError: it is not an ONNX file.
    """
    import onnx

    try:
        return onnx.load(str(file), load_external_data=False).graph
    except Exception as error:  # protobuf's own error, which onnx does not wrap
        raise CompressError(f"{file} is not an ONNX file ({error}). Make the artifact again.") from error


def header(file: Path) -> tuple[dict[str, Any], int]:
    """A safetensors header and where the weights begin: eight bytes of length, then that much JSON, then they.

    Returns:
        Name -> `dtype`, `shape` and `data_offsets` (from that beginning) of each tensor; and the beginning in bytes.

    Raises:
        CompressError: it is not in the safetensors format.
    """
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > file.stat().st_size:
                raise ValueError("its header is longer than the file")
            tensors: dict[str, Any] = json.loads(stream.read(length))
            tensors.pop("__metadata__", None)
            return tensors, 8 + length
    except (struct.error, ValueError, UnicodeDecodeError, AttributeError) as error:
        raise CompressError(f"{file} is not in the safetensors format ({error}). Make the artifact again.") from error


def _external(file: Path) -> set[str]:
    return {
        entry.value
        for one in graph(file).initializer
        for entry in one.external_data
        if entry.key == "location" and one.data_location == 1  # TensorProto.EXTERNAL
    }


def safetensors_parameters(files: list[Path]) -> int:
    """The number of stored weights: a tied weight counts once, as it is stored; integer buffers of positions do not.

    Raises:
        CompressError: a file is not in the safetensors format.
    """
    return sum(
        math.prod(tensor["shape"])
        for file in files
        for tensor in header(file)[0].values()
        if tensor["dtype"] not in ("I64", "BOOL")
    )
