"""Dynamic int8: activation ranges are computed at each call, so nothing is calibrated; the most accurate int8 here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.core.errors import CompressError
from compress.onnx.graph import Graph
from compress.quantization.graphs.layers import products, refuse_quantized, tables
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.scheme import Layer, Quantizer, Scheme, symmetric

# The rounding error of a table with one scale, as a share of its median column's size, from which each column gets its
# own. MiniLM's words have 4 %, which is harmless; its positions 20 %, a part of the int8 model's error that showed.
LARGEST_TABLE_ERROR = 0.1


@dataclass(frozen=True)
class DynamicSettings:
    """embeddings: quantize the embedding tables too. exclude: patterns (as in a shell) of names left in float."""

    embeddings: bool = True
    exclude: tuple[str, ...] = ()


def quantize_dynamic(path: Path, output: Path, settings: DynamicSettings = DynamicSettings()) -> Scheme:
    """Write the fp32 graph at `path` to `output` in int8, and return how each weight was quantized.

    Weights are int8 with a scale for each output channel, symmetric; a product's input is uint8, with scale and zero
    point from the values at hand (DynamicQuantizeLinear). Patterns match module names, or nodes' in a foreign graph.

    Raises CompressError where nothing in the graph can be quantized, or it is quantized already.
    """
    graph = Graph.load(path)
    refuse_quantized(graph, path)
    scheme = weights_scheme(graph, embeddings=settings.embeddings, exclude=settings.exclude)
    if not scheme:
        raise CompressError(
            f"{path} has no matrix product with a constant weight of a worthwhile size to quantize"
            f"{' outside the excluded names' if settings.exclude else ''}. Give a float classifier's export."
        )
    write_scheme(path, output, scheme)
    return scheme


def weights_scheme(graph: Graph, *, embeddings: bool, exclude: tuple[str, ...]) -> Scheme:
    """Quantizes every quantizable weight to int8; inputs are quantized at each call."""
    layers = {found.module: Layer(symmetric(found.weight, axis=0)) for found in products(graph, exclude)}
    return Scheme(layers | (tables_scheme(graph, exclude) if embeddings else {}))


def tables_scheme(graph: Graph, exclude: tuple[str, ...]) -> dict[str, Layer]:
    """Quantizes every embedding table to int8."""
    return {found.module: Layer(_table(found.weight)) for found in tables(graph, exclude)}


def _table(weight: np.ndarray) -> Quantizer:
    """One scale for a table, which is cheapest; one for each column if outlier columns need it.

    BERT's position table is such a one: single columns of the first position are far larger than all others.
    """
    whole = symmetric(weight, axis=None)
    rounding = float(whole.scale) / np.sqrt(12)  # root mean square of an error that is even within a step
    usual = np.median(np.sqrt(np.mean(np.square(weight, dtype=np.float64), axis=0)))
    return symmetric(weight, axis=1) if rounding > LARGEST_TABLE_ERROR * usual else whole
