"""Checks the patterns of `exclude`: those that match nothing that would be quantized are refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from compress.core import name_patterns
from compress.onnx.fold_transposes import fold
from compress.onnx.graph import Graph
from compress.quantization.graphs.attention_products import open_products
from compress.quantization.graphs.layers import quantizable
from compress.quantization.int8_settings import Int8Settings


def check(settings: Int8Settings, graphs: Iterable[Path]) -> None:
    """Raises a CompressError where a pattern matches no layer of any of the graphs that would be quantized.

    Args:
        settings: `exclude`, `embeddings` and `attention_matmuls`.
        graphs: those that become integers, in fp32.
    """
    if not settings.exclude:
        return
    names: list[str] = []
    for path in graphs:
        graph = Graph.load(path)
        fold(graph)
        names += quantizable(graph, embeddings=settings.embeddings)
        if settings.attention_matmuls != "none":
            names += [name for name, _ in open_products(graph, path, settings.attention_matmuls)]
    name_patterns.check(settings.exclude, names, "exclude", "quantized")
