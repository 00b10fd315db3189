"""Weight-only 4 and 8 bit: products with a constant weight become ONNX Runtime's MatMulNBits, embedding tables int8.

ONNX Runtime's own `MatMulNBitsQuantizer` only rounds to nearest and takes no integers that were chosen elsewhere, as GPTQ
chooses them. So the operator is written here, for both; a test holds the integers equal to that quantizer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.errors import CompressError
from compress.onnx.fold_transposes import fold
from compress.onnx.graph import Graph
from compress.quantization.blocks import BlockWeight, Grid, round_to_nearest
from compress.quantization.graphs.dynamic import tables_scheme
from compress.quantization.graphs.layers import Product, products, refuse_quantized
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.scheme import Scheme

DOMAIN = "com.microsoft"
INTEGER_INPUTS = 4
"""MatMulNBits' `accuracy_level` at which its input is rounded to int8, block by block, for integer products."""


@dataclass(frozen=True)
class WeightOnly:
    """How a graph's weights are stored.

    grid: of the products' weights. embeddings: embedding tables become int8 (gathered, then dequantized). exclude: patterns
    (as in a shell) of modules' names that stay in float: `lm_head` say, `*.mlp.*`. integer_inputs: round the products'
    inputs to int8 while they are multiplied, which is faster and no longer weight-only in the strict sense.
    """

    grid: Grid = field(default_factory=Grid)
    embeddings: bool = True
    exclude: tuple[str, ...] = ()
    integer_inputs: bool = False


def quantize_weights(
    path: Path, output: Path, settings: WeightOnly = WeightOnly(), chosen: Mapping[str, BlockWeight] = {}
) -> dict[str, str]:
    """Write the fp32 graph at `path` to `output` with its products' weights in 4 or 8 bits; activations stay float.

    chosen: weights by module name whose integers are known (GPTQ's); every other one is rounded to nearest. A name that
    the graph lacks is no mistake, since a model's weights may lie in several graphs.

    Returns how each weight was stored, by module name: "gptq", "nearest" or "int8 table". Weights lie in the file itself;
    `share_weights` puts them beside it again.

    Raises CompressError where the graph is quantized already, nothing in it can be, or a chosen weight has another shape.
    """
    graph = Graph.load(path)
    refuse_quantized(graph, path)
    fold(graph)
    found = products(graph, settings.exclude)
    tables = tables_scheme(graph, settings.exclude) if settings.embeddings else {}
    if not found and not tables:
        raise CompressError(
            f"{path} has no matrix product with a constant weight of a worthwhile size to quantize"
            f"{' outside the excluded names' if settings.exclude else ''}. Give a float model's export."
        )
    if tables:
        graph.save(output)
        write_scheme(output, output, Scheme(tables))
        graph = Graph.load(output)
        found = products(graph, settings.exclude)
    done = dict.fromkeys(tables, "int8 table")
    for product in found:
        weight = chosen.get(product.module)
        if weight is None:
            done[product.module] = "nearest"
            weight = round_to_nearest(np.ascontiguousarray(product.weight), settings.grid)
        elif tuple(weight.integers.shape) != product.weight.shape:
            raise CompressError(
                f"The weight chosen for '{product.module}' is {list(weight.integers.shape)}, but {path} has "
                f"{list(product.weight.shape)} there. Choose it for this model."
            )
        else:
            done[product.module] = "gptq"
        _write(graph, product, weight, settings.integer_inputs)
    graph.remove_dead()
    graph.save(output)
    return done


def _write(graph: Graph, product: Product, weight: BlockWeight, integer_inputs: bool) -> None:
    stem = product.node.input[1]
    if f"{stem}.blocks" not in graph.constants:  # a layer that the model uses more than once
        integers, scale, zero_point = packed(weight)
        graph.add_constant(f"{stem}.blocks", integers)
        graph.add_constant(f"{stem}.scale", scale)
        if not weight.grid.symmetric:
            graph.add_constant(f"{stem}.zero_point", zero_point)
    names = [f"{stem}.blocks", f"{stem}.scale", *([] if weight.grid.symmetric else [f"{stem}.zero_point"])]
    outputs, inputs = weight.integers.shape
    attributes: dict[str, Any] = {"K": inputs, "N": outputs, "bits": weight.grid.bits, "block_size": weight.grid.block}
    if integer_inputs:
        attributes["accuracy_level"] = INTEGER_INPUTS
    (result,) = graph.add(
        "MatMulNBits", [product.node.input[0], *names], stem=f"{stem}.result", domain=DOMAIN, **attributes
    )
    graph.take_over(product.node, result)


def packed(weight: BlockWeight) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The operator's constants: integers uint8 [outputs, blocks, bytes of a block], scales float32 [outputs, blocks], zero
    points uint8 [outputs, bytes]. Of two 4-bit values in a byte the first is the lower one. A last block that is cut short is
    filled with its zero point."""
    outputs, inputs = weight.integers.shape
    blocks = weight.scale.shape[1]
    zero_point = weight.zero_point.cpu().numpy()
    integers = np.repeat(zero_point, weight.grid.block, axis=1)
    integers[:, :inputs] = weight.integers.cpu().numpy()
    stored = _bytes(integers, weight.grid.bits).reshape(outputs, blocks, -1)
    return stored, weight.scale.cpu().numpy(), _bytes(zero_point, weight.grid.bits)


def _bytes(values: np.ndarray, bits: int) -> np.ndarray:
    """uint8 [rows, values] -> [rows, bytes]."""
    if bits == 8:
        return values
    even = np.pad(values, ((0, 0), (0, values.shape[1] % 2)))
    return np.asarray(even[:, 0::2] | (even[:, 1::2] << 4))
