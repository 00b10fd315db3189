"""Stores the weights of several graphs in one file, equal tensors once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, numpy_helper

from compress.core.errors import CompressError

WEIGHTS_FILE = "weights.bin"
SMALLEST_SHARED_BYTES = 1024  # what is smaller stays in the graph: shapes and axes, which the optimizer must see
PAGE_BYTES = 4096  # ONNX Runtime maps a tensor from the page it starts on; one of its own keeps the map exact


@dataclass(frozen=True)
class WeightsFile:
    """The file that the graphs of a folder share. stored_bytes: its size. referenced_bytes: what the graphs point to
    in all, which is what they would take with a file for each of them."""

    path: Path
    stored_bytes: int
    referenced_bytes: int


def save_together(graphs: Mapping[str, onnx.ModelProto], folder: Path, *, weights: str = WEIGHTS_FILE) -> WeightsFile:
    """Write each graph to `folder` under its name (`encoder.onnx`, ...), the weights of all into one file beside them.

    A weight keeps its bits; the same bytes in several graphs, or under several names, are stored once. The graphs given
    are changed: their weights are no longer in them. ONNX Runtime and `onnx.load` open each graph from the folder.
    Files of these names are replaced whole, the graphs last; sessions that are open on the old ones keep them.

    Raises CompressError where a name is no plain file name, or two of them are the same file.
    """
    for name in (*graphs, weights):
        if Path(name).name != name:
            raise CompressError(f"'{name}' is no file name. Graphs that share weights lie in one folder, beside them.")
    if weights in graphs:
        raise CompressError(f"'{weights}' cannot be a graph and the file of weights. Give one of them another name.")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{weights}.partial"
    offsets: dict[str, int] = {}
    referenced = 0
    with partial.open("wb") as stream:
        for graph in graphs.values():
            for tensor in _weights(graph):
                content = _bytes(tensor)
                if len(content) < SMALLEST_SHARED_BYTES:
                    continue
                referenced += len(content)
                key = hashlib.sha256(content).hexdigest()
                if key not in offsets:
                    offsets[key] = stream.seek(-(-stream.tell() // PAGE_BYTES) * PAGE_BYTES)
                    stream.write(content)
                _point(tensor, weights, offsets[key], len(content))
        stored = stream.tell()
    for name, graph in graphs.items():
        (folder / f"{name}.partial").write_bytes(graph.SerializeToString())
    for name in (weights, *graphs):
        (folder / f"{name}.partial").replace(folder / name)
    return WeightsFile(folder / weights, stored, referenced)


def share_weights(paths: Sequence[Path], *, weights: str = WEIGHTS_FILE) -> WeightsFile:
    """Rewrite the graphs at `paths`, which lie in one folder, so that they share one file of weights.

    For graphs that were written one by one, after quantizing each of them, say. Files of weights that they pointed to
    before are left in place.

    Raises CompressError where they lie in several folders, or one cannot be read.
    """
    folders = {path.parent.resolve() for path in paths}
    if len(folders) != 1:
        raise CompressError(f"Graphs that share weights lie in one folder; these lie in {len(folders)}.")
    graphs = {}
    for path in paths:
        try:
            graphs[path.name] = onnx.load(str(path))
        except Exception as error:  # protobuf's DecodeError, OSError, onnx's own: all mean the same to the user
            raise CompressError(f"{path} cannot be read as ONNX: {error}. Export the model again.") from error
    return save_together(graphs, paths[0].parent, weights=weights)


def weight_files(path: Path) -> tuple[Path, ...]:
    """The files beside the graph at `path` that its weights lie in, sorted; none where all are in the graph itself."""
    graph = onnx.load(str(path), load_external_data=False)
    names = {entry.value for item in _weights(graph) for entry in item.external_data if entry.key == "location"}
    return tuple(path.parent / name for name in sorted(names))


def _weights(graph: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from graph.graph.initializer


def _bytes(tensor: TensorProto) -> bytes:
    """The values as the file format keeps them: little-endian, row by row, two 4-bit values to a byte."""
    if tensor.data_type == TensorProto.STRING:
        return b""  # they have no raw form, and stay in the graph
    if not tensor.HasField("raw_data"):
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), name))
    return tensor.raw_data


def _point(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
