"""Writes a graph whose matrix products run on int8, with the activations' ranges taken at each call."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from compress.errors import CompressError
from compress.onnx.graph import Graph, attribute
from compress.quantization.scheme import Layer, Scheme, symmetric

SMALLEST_WEIGHT = 4096  # values; below (a classifier's last layer, say) int8 saves neither time nor bytes


@dataclass(frozen=True)
class DynamicSettings:
    """embeddings: quantize the embedding tables too. exclude: patterns (as in a shell) of names left in float."""

    embeddings: bool = True
    exclude: tuple[str, ...] = ()


def quantize_dynamic(path: Path, output: Path, settings: DynamicSettings = DynamicSettings()) -> Scheme:
    """Write the fp32 graph at `path` to `output` in int8, and return how each weight was quantized.

    Weights are int8 with a scale for each output channel, symmetric; the inputs of matrix products are uint8, with
    scale and zero point from the values at hand (DynamicQuantizeLinear). The operators are ONNX's own; ONNX Runtime
    fuses them into DynamicQuantizeMatMul at load. Embedding tables are gathered as integers, then dequantized.

    Raises CompressError where nothing in the graph can be quantized, or it is quantized already.
    """
    graph = Graph.load(path)
    refuse_quantized(graph, path)
    layers: dict[str, Layer] = {}
    _split_gemms(graph)
    for node in list(graph.nodes):
        weight = graph.constant(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or weight.ndim != 2 or weight.size < SMALLEST_WEIGHT or is_excluded(node, settings.exclude):
            continue
        layers[module_name(node)] = _integer_product(graph, node, weight)
    if settings.embeddings:
        layers |= quantize_embeddings(graph, settings.exclude)
    if not layers:
        raise CompressError(
            f"{path} has no matrix product with a constant weight to quantize"
            f"{' outside the excluded names' if settings.exclude else ''}. Give a float classifier's export."
        )
    graph.remove_dead()
    graph.save(output)
    return Scheme(layers)


def refuse_quantized(graph: Graph, path: Path) -> None:
    quantized = {"MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul", "DequantizeLinear", "QAttention"}
    found = quantized & {node.op_type for node in graph.nodes}
    if found:
        raise CompressError(f"{path} is quantized already (it has {', '.join(sorted(found))}). Give its float source.")


def module_name(node: onnx.NodeProto) -> str:
    """The torch module whose weight the node multiplies by, or reads rows of; else the weight's own name."""
    table = node.input[0] if node.op_type == "Gather" else node.input[1]
    for ending in (".weight.T", ".weight"):
        if table.endswith(ending):
            return table.removesuffix(ending)
    return table


def is_excluded(node: onnx.NodeProto, patterns: tuple[str, ...]) -> bool:
    names = (node.name, module_name(node))
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def quantize_embeddings(graph: Graph, exclude: tuple[str, ...]) -> dict[str, Layer]:
    """Turn each constant float table that is only gathered from into int8, dequantized behind the Gather.

    The order matters: ONNX Runtime dequantizes a whole table behind DequantizeLinear at every call.
    """
    layers: dict[str, Layer] = {}
    tables: dict[str, str] = {}
    for node in list(graph.nodes):
        if node.op_type != "Gather" or attribute(node, "axis", 0) != 0:
            continue
        table = graph.constant(node.input[0])
        if table is None or table.dtype != np.float32 or table.ndim != 2 or table.size < SMALLEST_WEIGHT:
            continue
        if any(other.op_type != "Gather" for other in graph.readers(node.input[0])) or is_excluded(node, exclude):
            continue
        quantizer = symmetric(table, axis=None)
        name = node.input[0]
        layers[module_name(node)] = Layer(quantizer)
        if name not in tables:
            tables[name] = graph.add_constant(f"{name}.quantized", quantizer.quantize(table))
        scale = graph.add_constant(f"{name}.scale", quantizer.scale)
        zero = graph.add_constant(f"{name}.zero_point", np.int8(0))
        graph.replace(name, tables[name], readers=[node])
        (real,) = (graph.fresh(f"{node.output[0]}.real"),)
        graph.replace(node.output[0], real)
        graph.insert(
            onnx.helper.make_node(
                "DequantizeLinear", [node.output[0], scale, zero], [real], name=graph.fresh(f"{real}/DequantizeLinear")
            )
        )
    return layers


def _integer_product(graph: Graph, node: onnx.NodeProto, weight: np.ndarray) -> Layer:
    quantizer = symmetric(weight, axis=1)
    stem = node.input[1]
    integers, scale, zero_point = _dynamic_input(graph, node.input[0])
    table = graph.add_constant(f"{stem}.quantized", quantizer.quantize(weight))
    zero = graph.add_constant(f"{stem}.zero_point", np.zeros(weight.shape[1], np.int8))
    scales = graph.add_constant(f"{stem}.scale", quantizer.scale)
    (product,) = graph.add("MatMulInteger", [integers, table, zero_point, zero], stem=f"{stem}.product")
    (real,) = graph.add("Cast", [product], stem=f"{stem}.real", to=TensorProto.FLOAT)
    (both,) = graph.add("Mul", [scale, scales], stem=f"{stem}.scales")
    result = graph.fresh(f"{stem}.result")
    graph.replace(node.output[0], result)
    graph.insert(onnx.helper.make_node("Mul", [real, both], [result], name=graph.fresh(f"{stem}/Mul")))
    return Layer(quantizer)


def _dynamic_input(graph: Graph, name: str) -> tuple[str, str, str]:
    for node in graph.readers(name):
        if node.op_type == "DynamicQuantizeLinear":  # products of one input share its integers
            return node.output[0], node.output[1], node.output[2]
    integers, scale, zero_point = graph.add("DynamicQuantizeLinear", [name], stem=f"{name}.quantized", outputs=3)
    return integers, scale, zero_point


def _split_gemms(graph: Graph) -> None:
    """Write `Gemm(x, W, b)` as MatMul and Add, so that there is one kind of product."""
    for node in list(graph.nodes):
        if node.op_type != "Gemm" or attribute(node, "transA", 0) or node.output[0] in graph.outputs:
            continue
        weight = graph.constant(node.input[1])
        if weight is None or attribute(node, "alpha", 1.0) != 1.0 or attribute(node, "beta", 1.0) != 1.0:
            continue
        if weight.size < SMALLEST_WEIGHT:
            continue
        stem = node.input[1]
        if attribute(node, "transB", 0):
            stem = f"{stem}.T"
            if graph.constant(stem) is None:
                graph.constants[stem] = np.ascontiguousarray(weight.T)
        (result,) = graph.add("MatMul", [node.input[0], stem], stem=f"{stem}.matmul")
        if len(node.input) > 2 and node.input[2]:
            (result,) = graph.add("Add", [result, node.input[2]], stem=f"{stem}.biased")
        graph.replace(node.output[0], result)
    graph.remove_dead()
