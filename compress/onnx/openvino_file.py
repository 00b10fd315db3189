"""Writes an ONNX graph as OpenVINO's own files: `model.xml`, the graph, and `model.bin` beside it, the weights."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from math import prod
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.runtimes.openvino_ import imported, read_model

MODEL = "model.xml"
COUNTED = {"f32", "f16", "bf16", "i8", "u8", "i4", "u4"}
"""Types of weights; 64-bit and 32-bit integers are shapes, axes and positions."""


def convert(graph: Path, target: Path) -> None:
    """Write the ONNX graph to `target` (`.xml`), with its weights beside it, in the types that they have.

    Raises:
        CompressError: OpenVINO is not installed, or does not know an operator of the graph.
    """
    write(read_model(graph), target)


def write(model: Any, target: Path) -> None:
    """Write a model of OpenVINO's to `target` (`.xml`), with its weights beside it."""
    imported().save_model(model, target, compress_to_fp16=False)


def weights_of(file: Path) -> Path:
    """The file of weights beside a `.xml`."""
    return file.with_suffix(".bin")


def parameters(file: Path) -> int:
    """The number of stored weights in a `.xml` and the file beside it, embeddings included.

    Single numbers, and the scales and zero points of quantization, are left out. OpenVINO is not needed.

    Raises:
        CompressError: it is not one of OpenVINO's files.
    """
    try:
        net = Xml.parse(file).getroot()
        layers = {one.get("id"): one for one in net.iter("layer")}
        readers: dict[str | None, list[tuple[str, str | None]]] = {}
        for edge in net.iter("edge"):
            to = edge.get("to-layer")
            readers.setdefault(edge.get("from-layer"), []).append((layers[to].get("type") or "", to))
        made_real = {to for number in layers for kind, to in readers.get(number, ()) if kind == "Convert"}
        scaled = {to for number in made_real for kind, to in readers.get(number, ()) if kind in SCALING}
        scaled |= {to for number in scaled for kind, to in readers.get(number, ()) if kind in SCALING}
        count = 0
        for number, layer in layers.items():
            stored = layer.find("data") if layer.get("type") == "Const" else None
            if stored is None or stored.get("element_type") not in COUNTED:
                continue
            if any(kind == "FakeQuantize" or to in scaled for kind, to in readers.get(number, ())):
                continue
            shape = [int(one) for one in (stored.get("shape") or "").split(",") if one.strip()]
            count += prod(shape) if prod(shape) > 1 else 0
    except (Xml.ParseError, ValueError, KeyError, OSError) as error:
        raise CompressError(f"{file} is not a model of OpenVINO ({error}). Make the artifact again.") from error
    return count


SCALING = ("Multiply", "Subtract")
