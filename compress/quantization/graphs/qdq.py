"""Writes a quantization scheme into a graph: the one place where a Scheme becomes stored integers.

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
from onnx import TensorProto, helper

from compress.core.errors import CompressError
from compress.onnx.graph import Graph
from compress.onnx.opset import raise_opset
from compress.onnx.standard_attention import restore_attention, standardize_attention
from compress.quantization.graphs.attention_products import FUSED_ONLY, PRODUCTS, Factor, attentions, open_attentions
from compress.quantization.graphs.integer_attention import fuse_integer_attention
from compress.quantization.graphs.layers import Product, Table, products, refuse_quantized, tables
from compress.quantization.graphs.smoothing import smooth_inputs
from compress.quantization.scheme import Layer, Quantizer, Scheme

INT4 = helper.tensor_dtype_to_np_dtype(TensorProto.INT4)  # NumPy has none of its own


def write_scheme(path: Path, output: Path, scheme: Scheme) -> None:
    """Write the fp32 graph at `path` to `output` with each layer of `scheme` quantized; the others stay float.

    Attention stays ONNX's own operator where it is in `path`, over three integer products; ONNX Runtime's is fused with them.

    Raises CompressError where a layer of the scheme is not in the graph, or has another shape there.
    """
    graph = Graph.load(path)
    refuse_quantized(graph, path)
    is_standard = restore_attention(graph) > 0
    found: list[Product | Table] = [*products(graph), *tables(graph)]
    multiplied = {name: layer for name, layer in scheme.items() if layer.other is not None}
    missing = set(scheme) - set(multiplied) - {layer.module for layer in found}
    if missing:
        raise CompressError(
            f"{path} has no layer '{sorted(missing)[0]}' to quantize, which the scheme names "
            f"({len(missing)} of {len(scheme)} are missing). Calibrate on this graph."
        )
    _write_attention(graph, path, multiplied)
    _prepare(graph, path, found, scheme)
    for layer in found:
        if layer.module not in scheme:
            continue
        chosen = scheme[layer.module]
        if chosen.weight is None:
            raise CompressError(f"The scheme has no weight for '{layer.module}', a layer of {path} with one.")
        if chosen.weight.axis is not None and chosen.weight.scale.shape[0] != layer.weight.shape[chosen.weight.axis]:
            raise CompressError(
                f"The scheme has {chosen.weight.scale.shape[0]} scales for '{layer.module}', whose weight in {path} "
                f"is {list(layer.weight.shape)}. Calibrate on this graph."
            )
        if isinstance(layer, Table):
            _write_table(graph, layer, chosen.weight)
        elif chosen.float_input:
            _write_weight_only(graph, layer, chosen)
        elif chosen.input is None:
            _write_dynamic(graph, layer, chosen)
        else:
            _write_static(graph, layer, chosen, chosen.input)
    graph.remove_dead()
    if is_standard:
        standardize_attention(graph)
    else:
        fuse_integer_attention(graph)
    graph.save(output)


def _prepare(graph: Graph, path: Path, found: list[Product | Table], scheme: Scheme) -> None:
    """Smooth the inputs that the scheme smooths, and declare the opset that its types need."""
    smoothed = []
    for layer in found:
        smooth = scheme[layer.module].smooth if layer.module in scheme else None
        if smooth is None:
            continue
        if isinstance(layer, Table) or smooth.shape != layer.weight.shape[1:]:
            raise CompressError(
                f"The scheme has {smooth.size} smoothing factors for '{layer.module}', whose weight in {path} is "
                f"{list(layer.weight.shape)}. Calibrate on this graph."
            )
        smoothed.append((layer.node, smooth))
    smooth_inputs(graph, smoothed)
    types = {one.type for layer in scheme.values() for one in (layer.weight, layer.input, layer.other) if one}
    if types & {"int4", "int16", "uint16"}:
        raise_opset(graph, 21)


def _write_table(graph: Graph, table: Table, quantizer: Quantizer) -> None:
    """Gathers first: after DequantizeLinear, ONNX Runtime would dequantize the whole table at every call.

    Where each column has a scale, Cast and Mul give the same as DequantizeLinear in a quarter of the time (1.32); where there
    is one scale, they take longer.
    """
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
        if quantizer.axis is None:
            (real,) = graph.add("DequantizeLinear", [gathered, scale, zero_point], stem=f"{gathered}.real")
        else:
            real = _real(graph, gathered, scale, zero_point, gathered, f"{gathered}.real")
        graph.replace(gathered, real, readers=readers)


def _write_weight_only(graph: Graph, product: Product, layer: Layer) -> None:
    stem = product.node.input[1]
    weight = _float_weight(graph, stem, product, layer)
    (result,) = graph.add("MatMul", [product.node.input[0], weight], stem=f"{stem}.result")
    graph.take_over(product.node, result)


def _write_dynamic(graph: Graph, product: Product, layer: Layer) -> None:
    stem, source = product.node.input[1], product.node.input[0]
    integers, scale, zero_point = _dynamic_input(graph, source)
    weight, weight_scale, weight_zero = _weight(graph, stem, product, layer)
    (sums,) = graph.add("MatMulInteger", [integers, weight, zero_point, weight_zero], stem=f"{stem}.sums")
    (real,) = graph.add("Cast", [sums], stem=f"{stem}.real", to=TensorProto.FLOAT)
    (scales,) = graph.add("Mul", [scale, weight_scale], stem=f"{stem}.scales")
    (result,) = graph.add("Mul", [real, scales], stem=f"{stem}.result")
    graph.take_over(product.node, result)


def _dynamic_input(graph: Graph, name: str) -> tuple[str, str, str]:
    for node in graph.readers(name):
        if node.op_type == "DynamicQuantizeLinear":  # query, key and value share their input's integers
            return node.output[0], node.output[1], node.output[2]
    integers, scale, zero_point = graph.add("DynamicQuantizeLinear", [name], stem=f"{name}.quantized", outputs=3)
    return integers, scale, zero_point


def _write_static(graph: Graph, product: Product, layer: Layer, quantizer: Quantizer) -> None:
    stem, source = product.node.input[1], product.node.input[0]
    scale, zero_point = _parameters(graph, f"{stem}.input", quantizer)
    integers = _static_input(graph, source, scale, zero_point)
    (real,) = graph.add("DequantizeLinear", [integers, scale, zero_point], stem=f"{stem}.input.real")
    if quantizer.type in ("int8", "uint8"):
        weight, weight_scale, weight_zero = _weight(graph, stem, product, layer)
        axis: dict[str, Any] = {} if graph.constants[weight_scale].ndim == 0 else {"axis": 1}
        (real_weight,) = graph.add("DequantizeLinear", [weight, weight_scale, weight_zero], stem=f"{stem}.real", **axis)
    else:  # no processor multiplies 16 bits by 8
        real_weight = _float_weight(graph, stem, product, layer)
    (result,) = graph.add("MatMul", [real, real_weight], stem=f"{stem}.result")
    graph.take_over(product.node, result)


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


def _weight(graph: Graph, stem: str, product: Product, layer: Layer) -> tuple[str, str, str]:
    """The integers as ONNX multiplies by them, int8, [inputs, outputs], with scale and zero point for each output.

    int4 is cast to int8, which ONNX Runtime does once at load: its integer products take 8 bits, and without the cast it
    dequantizes the weight at every call and multiplies in floating point (1.32).
    """
    name, scale, zero_point = _stored(graph, stem, product, layer)
    if graph.constants[name].dtype == INT4:
        name = _cast(graph, name, f"{stem}.int8", TensorProto.INT8)
    return name, scale, zero_point


def _float_weight(graph: Graph, stem: str, product: Product, layer: Layer) -> str:
    """The weight in floating point, [inputs, outputs], from stored integers: what DequantizeLinear computes.

    It is written as Cast and Mul, which ONNX Runtime computes once at load: DequantizeLinear and MatMul it makes one
    MatMulNBits, which rounds the input to 8 bits unless a session option says otherwise (1.32).
    """
    name, scale, zero_point = _stored(graph, stem, product, layer)
    output = f"{stem}.float"
    return output if graph.maker(output) is not None else _real(graph, name, scale, zero_point, stem, output)


def _real(graph: Graph, integers: str, scale: str, zero_point: str, stem: str, output: str) -> str:
    """What DequantizeLinear computes, along the last axis, by other operators."""
    (steps,) = graph.add("Cast", [integers], stem=f"{stem}.steps", to=TensorProto.FLOAT)
    if graph.constants[zero_point].any():
        zero = graph.add_constant(f"{zero_point}.float", graph.constants[zero_point].astype(np.float32))
        (steps,) = graph.add("Sub", [steps, zero], stem=f"{stem}.shifted")
    return graph.add("Mul", [steps, scale], stem=output)[0]


def _stored(graph: Graph, stem: str, product: Product, layer: Layer) -> tuple[str, str, str]:
    assert layer.weight is not None
    name = f"{stem}.quantized"
    if name in graph.constants:  # a layer that the model uses more than once
        return name, f"{stem}.scale", f"{stem}.zero_point"
    integers = layer.integers(product.weight).T
    graph.add_constant(name, integers.astype(INT4) if layer.weight.type == "int4" else integers)
    scale, zero_point = _parameters(graph, stem, layer.weight)
    return name, scale, zero_point


def _cast(graph: Graph, name: str, output: str, to: int) -> str:
    return output if graph.maker(output) is not None else graph.add("Cast", [name], stem=output, to=to)[0]


def _parameters(graph: Graph, stem: str, quantizer: Quantizer) -> tuple[str, str]:
    names = f"{stem}.scale", f"{stem}.zero_point"
    if names[0] not in graph.constants:
        graph.add_constant(names[0], quantizer.scale)
        graph.add_constant(
            names[1], quantizer.zero_point.astype("int8" if quantizer.type == "int4" else quantizer.type)
        )
    return names
