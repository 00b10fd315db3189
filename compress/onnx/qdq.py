"""Writes a quantization scheme into a graph: the one place where a Scheme becomes integers in a file.

A product whose input has a scale gets QuantizeLinear and DequantizeLinear around it (QDQ), one without is quantized
dynamically, and an embedding table is gathered as integers and dequantized after. The operators are ONNX's own; ONNX
Runtime fuses them into its integer kernels at load.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from compress.errors import CompressError
from compress.onnx.attention_products import FUSED_ONLY, PRODUCTS, Factor, attentions, open_attentions
from compress.onnx.graph import Graph
from compress.onnx.integer_attention import fuse_integer_attention
from compress.onnx.layers import Product, Table, products, refuse_quantized, tables
from compress.quantization.scheme import Layer, Quantizer, Scheme


def write_scheme(path: Path, output: Path, scheme: Scheme) -> None:
    """Write the fp32 graph at `path` to `output` with each layer of `scheme` quantized; the others stay float.

    Raises CompressError where a layer of the scheme is not in the graph, or has another shape there.
    """
    graph = Graph.load(path)
    refuse_quantized(graph, path)
    found: list[Product | Table] = [*products(graph), *tables(graph)]
    multiplied = {name: layer for name, layer in scheme.items() if layer.other is not None}
    missing = set(scheme) - set(multiplied) - {layer.module for layer in found}
    if missing:
        raise CompressError(
            f"{path} has no layer '{sorted(missing)[0]}' to quantize, which the scheme names "
            f"({len(missing)} of {len(scheme)} are missing). Calibrate on this graph."
        )
    _write_attention(graph, path, multiplied)
    for layer in found:
        if layer.module not in scheme:
            continue
        chosen = scheme[layer.module]
        if chosen.weight.axis is not None and chosen.weight.scale.shape[0] != layer.weight.shape[chosen.weight.axis]:
            raise CompressError(
                f"The scheme has {chosen.weight.scale.shape[0]} scales for '{layer.module}', whose weight in {path} "
                f"is {list(layer.weight.shape)}. Calibrate on this graph."
            )
        if isinstance(layer, Table):
            _write_table(graph, layer, chosen.weight)
        elif chosen.input is None:
            _write_dynamic(graph, layer, chosen.weight)
        else:
            _write_static(graph, layer, chosen.weight, chosen.input)
    graph.remove_dead()
    fuse_integer_attention(graph)
    graph.save(output)


def _write_table(graph: Graph, table: Table, quantizer: Quantizer) -> None:
    """Gather first: ONNX Runtime dequantizes a whole table behind DequantizeLinear at every call."""
    stem = table.nodes[0].input[0]
    integers = graph.add_constant(f"{stem}.quantized", quantizer.quantize(table.weight))
    if quantizer.axis not in (None, 1):
        raise CompressError(
            f"An embedding table's scale is one in all or one for each column, not axis {quantizer.axis}."
        )
    scale, zero_point = _parameters(graph, stem, quantizer)
    for node in table.nodes:
        graph.replace(stem, integers, readers=[node])
        gathered = node.output[0]
        readers = graph.readers(gathered)
        axis: dict[str, Any] = {} if quantizer.axis is None else {"axis": -1}
        (real,) = graph.add("DequantizeLinear", [gathered, scale, zero_point], stem=f"{gathered}.real", **axis)
        graph.replace(gathered, real, readers=readers)


def _write_dynamic(graph: Graph, product: Product, quantizer: Quantizer) -> None:
    stem, source = product.node.input[1], product.node.input[0]
    integers, scale, zero_point = _dynamic_input(graph, source)
    weight, weight_scale, weight_zero = _weight(graph, stem, product, quantizer)
    (sums,) = graph.add("MatMulInteger", [integers, weight, zero_point, weight_zero], stem=f"{stem}.sums")
    (real,) = graph.add("Cast", [sums], stem=f"{stem}.real", to=TensorProto.FLOAT)
    (scales,) = graph.add("Mul", [scale, weight_scale], stem=f"{stem}.scales")
    (result,) = graph.add("Mul", [real, scales], stem=f"{stem}.result")
    graph.replace(product.node.output[0], result)


def _dynamic_input(graph: Graph, name: str) -> tuple[str, str, str]:
    for node in graph.readers(name):
        if node.op_type == "DynamicQuantizeLinear":  # query, key and value share their input's integers
            return node.output[0], node.output[1], node.output[2]
    integers, scale, zero_point = graph.add("DynamicQuantizeLinear", [name], stem=f"{name}.quantized", outputs=3)
    return integers, scale, zero_point


def _write_static(graph: Graph, product: Product, weight_quantizer: Quantizer, input_quantizer: Quantizer) -> None:
    stem, source = product.node.input[1], product.node.input[0]
    scale, zero_point = _parameters(graph, f"{stem}.input", input_quantizer)
    integers = _static_input(graph, source, scale, zero_point)
    (real,) = graph.add("DequantizeLinear", [integers, scale, zero_point], stem=f"{stem}.input.real")
    weight, weight_scale, weight_zero = _weight(graph, stem, product, weight_quantizer)
    axis: dict[str, Any] = {} if weight_quantizer.axis is None else {"axis": 1}
    (real_weight,) = graph.add("DequantizeLinear", [weight, weight_scale, weight_zero], stem=f"{stem}.real", **axis)
    (result,) = graph.add("MatMul", [real, real_weight], stem=f"{stem}.result")
    graph.replace(product.node.output[0], result)


def _static_input(graph: Graph, name: str, scale: str, zero_point: str) -> str:
    for node in graph.readers(name):
        if node.op_type == "QuantizeLinear" and all(
            np.array_equal(graph.constants[old], graph.constants[new])
            for old, new in zip(node.input[1:], (scale, zero_point), strict=True)
        ):
            return node.output[0]
    return graph.add("QuantizeLinear", [name, scale, zero_point], stem=f"{name}.quantized")[0]


def _write_attention(graph: Graph, path: Path, layers: Mapping[str, Layer]) -> None:
    """Both factors of each product of two activations, between QuantizeLinear and DequantizeLinear."""
    chosen = [one for one in attentions(graph) if {f"{one.module}.{name}" for name in PRODUCTS} & set(layers)]
    missing = set(layers) - {f"{one.module}.{name}" for one in chosen for name in PRODUCTS}
    if missing:
        raise CompressError(f"{path} has no fused attention for '{sorted(missing)[0]}' of the scheme. {FUSED_ONLY}")
    for fused, opened in zip(chosen, open_attentions(graph, chosen), strict=True):
        for name, product in opened.items():
            layer = layers.get(f"{fused.module}.{name}")
            if layer is not None and layer.input is not None and layer.other is not None:
                _write_factor(graph, f"{fused.module}.{name}.input", product.node, product.input, layer.input)
                _write_factor(graph, f"{fused.module}.{name}.other", product.node, product.other, layer.other)


def _write_factor(graph: Graph, stem: str, product: onnx.NodeProto, factor: Factor, quantizer: Quantizer) -> None:
    """Integers are made before the split into heads: moving them costs a quarter of moving floats."""
    if quantizer.axis is not None:
        raise CompressError(f"'{stem}' has scales along axis {quantizer.axis}; an activation has one in all.")
    scale, zero_point = _parameters(graph, stem, quantizer)
    (integers,) = graph.add("QuantizeLinear", [factor.value, scale, zero_point], stem=f"{stem}.quantized")
    graph.replace(factor.value, integers, readers=[factor.first])
    heads = integers if factor.heads == factor.value else factor.heads
    (real,) = graph.add("DequantizeLinear", [heads, scale, zero_point], stem=f"{stem}.real")
    graph.replace(heads, real, readers=[product])


def _weight(graph: Graph, stem: str, product: Product, quantizer: Quantizer) -> tuple[str, str, str]:
    """The integers as ONNX multiplies by them, [inputs, outputs], with scale and zero point for each output."""
    name = f"{stem}.quantized"
    if name in graph.constants:  # a layer that the model uses more than once
        return name, f"{stem}.scale", f"{stem}.zero_point"
    graph.add_constant(name, quantizer.quantize(product.weight).T)
    scale, zero_point = _parameters(graph, stem, quantizer)
    return name, scale, zero_point


def _parameters(graph: Graph, stem: str, quantizer: Quantizer) -> tuple[str, str]:
    names = f"{stem}.scale", f"{stem}.zero_point"
    if names[0] not in graph.constants:
        graph.add_constant(names[0], quantizer.scale)
        graph.add_constant(names[1], quantizer.zero_point.astype(quantizer.type))
    return names
