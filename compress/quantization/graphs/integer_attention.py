"""Fuses dynamic int8 attention: query, key and value in one integer product, followed by the attention.

ONNX Runtime's QAttention does what three integer products and a MultiHeadAttention do. On short inputs each operator costs
more to start than to run, so fewer of them are faster; the numbers are the same up to the order of float additions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from compress.onnx.graph import Graph, attribute

CONTRIB = "com.microsoft"


@dataclass(frozen=True)
class _Projection:
    """One dynamically quantized product with its bias, as `compress.quantization.graphs.qdq` writes it."""

    integers: str
    scale: str
    zero_point: str
    weight: np.ndarray  # int8, [inputs, outputs]
    weight_scale: np.ndarray
    weight_zero_point: np.ndarray
    bias: np.ndarray
    stem: str


def fuse_integer_attention(graph: Graph) -> int:
    """Replace each MultiHeadAttention whose query, key and value are int8 products of one input; how many there were."""
    count = 0
    for node in [one for one in graph.nodes if one.op_type == "MultiHeadAttention"]:
        inputs = [*node.input, *[""] * (6 - len(node.input))]
        if any(inputs[3:4] + inputs[5:]) or attribute(node, "unidirectional", 0):
            continue  # a bias by position or a past, which are not looked into here
        parts = [part for part in (_projection(graph, name) for name in inputs[:3]) if part is not None]
        if len(parts) < 3 or len({(part.integers, part.weight.shape) for part in parts}) > 1:
            continue
        (result,) = graph.add(
            "QAttention",
            [
                parts[0].integers,
                _joined(graph, parts, "weight"),
                _joined(graph, parts, "bias"),
                parts[0].scale,
                _joined(graph, parts, "weight_scale"),
                inputs[4],
                parts[0].zero_point,
                _joined(graph, parts, "weight_zero_point"),
            ],
            stem=f"{node.output[0]}.integer",
            domain=CONTRIB,
            num_heads=attribute(node, "num_heads"),
            mask_filter_value=attribute(node, "mask_filter_value", -10000.0),
            scale=attribute(node, "scale", 0.0),  # 0 is the usual one, in both operators
            doc_string=" ".join(part.stem for part in parts),  # whose weights are joined here
        )
        graph.replace(node.output[0], result)
        count += 1
    graph.remove_dead()
    return count


def _joined(graph: Graph, parts: list[_Projection], name: str) -> str:
    """A constant of query, key and value, one behind the other."""
    stem = f"{parts[0].stem}.query_key_value.{name}"
    return graph.add_constant(stem, np.concatenate([getattr(part, name) for part in parts], axis=-1))


def _projection(graph: Graph, name: str) -> _Projection | None:
    """The integer product behind `name`, where it has a scale for each output and nothing else reads its results."""
    product, bias = graph.maker(name, "Mul"), None
    added = graph.maker(name, "Add")
    if added is not None:
        bias = next((graph.constants[one] for one in added.input if one in graph.constants), None)
        product = next((made for one in added.input if (made := graph.maker(one, "Mul"))), None)
        if bias is None:
            return None
    if product is None:
        return None
    cast = next((made for one in product.input if (made := graph.maker(one, "Cast"))), None)
    scales = next((made for one in product.input if (made := graph.maker(one, "Mul"))), None)
    sums = graph.maker(cast.input[0], "MatMulInteger") if cast is not None else None
    if scales is None or sums is None or sums.input[1] not in graph.constants:
        return None
    quantized: onnx.NodeProto | None = graph.maker(sums.input[0], "DynamicQuantizeLinear")
    weight_scale = next((graph.constants[one] for one in scales.input if one in graph.constants), None)
    weight = graph.constants[sums.input[1]]
    outputs = (weight.shape[1],)
    weight_zero_point = graph.constants.get(sums.input[3]) if len(sums.input) > 3 else None
    if quantized is None or weight_scale is None or weight_zero_point is None:
        return None
    if (
        weight_scale.shape != outputs
        or weight_zero_point.shape != outputs
        or (bias is not None and bias.shape != outputs)
    ):
        return None
    return _Projection(
        integers=quantized.output[0],
        scale=quantized.output[1],
        zero_point=quantized.output[2],
        weight=weight,
        weight_scale=weight_scale,
        weight_zero_point=weight_zero_point,
        bias=np.zeros(outputs, np.float32) if bias is None else bias,
        stem=sums.input[1].removesuffix(".quantized"),
    )
