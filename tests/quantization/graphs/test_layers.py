"""Which product is the feed-forward's second layer: by where its input comes from, since pruning changes widths."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.onnx.graph import Graph
from compress.quantization.graphs.layers import products


def weight(name: str, inputs: int, outputs: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones((inputs, outputs), np.float32), name)


@pytest.mark.parametrize("activation", ["gelu", "spelled out", "gated"])
def test_the_layer_behind_an_activation_is_told_by_its_input(activation: str) -> None:
    """The query is narrower than its input and the feed-forward's second layer wider, as after hard pruning."""
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale"], ["normed"]),
        helper.make_node("MatMul", ["normed", "query.weight"], ["query"]),
        helper.make_node("MatMul", ["normed", "in.weight"], ["wide"]),
        helper.make_node("Add", ["wide", "bias"], ["biased"]),
    ]
    if activation == "gelu":
        nodes.append(helper.make_node("Gelu", ["biased"], ["active"]))
    elif activation == "gated":
        nodes += [
            helper.make_node("MatMul", ["normed", "gate.weight"], ["gate"]),
            helper.make_node("Sigmoid", ["gate"], ["open"]),
            helper.make_node("Mul", ["biased", "open"], ["active"]),
        ]
    else:
        nodes += [
            helper.make_node("Div", ["biased", "root"], ["divided"]),
            helper.make_node("Erf", ["divided"], ["erf"]),
            helper.make_node("Add", ["erf", "one"], ["added"]),
            helper.make_node("Mul", ["biased", "added"], ["active"]),
        ]
    nodes += [
        helper.make_node("MatMul", ["active", "out.weight"], ["out"]),
        helper.make_node("Add", ["out", "x"], ["y"]),
        helper.make_node("MatMul", ["y", "next.weight"], ["z"]),  # behind an addition alone
    ]
    constants = [
        weight("query.weight", 128, 64),
        weight("in.weight", 128, 96),
        weight("gate.weight", 128, 96),
        weight("out.weight", 96, 128),
        weight("next.weight", 128, 64),
        *(
            numpy_helper.from_array(np.ones(size, np.float32), name)
            for name, size in (("scale", 128), ("bias", 96), ("root", ()), ("one", ()))
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 128])],
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("query", TensorProto.FLOAT, None),
        ],
        constants,
    )
    found = {product.module: product.narrows for product in products(Graph(helper.make_model(graph)))}
    assert found.pop("gate", False) is False
    assert found == {"query": False, "in": False, "out": True, "next": False}
