"""Removes what a classifier never reads: of the last layer's output only the first token, so the others' attention
output, normalisation and feed-forward are not computed. Keys and values still see every token: the logits are equal.
"""

from __future__ import annotations

import numpy as np
import onnx

from compress.onnx.graph import Graph, attribute

# Each token's result depends on that token alone: [batch, sequence, width] in, the same out.
ELEMENTWISE = {"Add", "Sum", "Sub", "Mul", "Div", "Pow", "Gelu", "Erf", "Tanh", "Relu", "Sigmoid", "Cast", "Identity"}


def keep_first_token(graph: Graph) -> int:
    """Compute only the first token wherever nothing but `Gather(x, 0, axis=1)` reads the result; the nodes changed.

    A node joins when every reader of its output is that Gather or has joined itself, so nothing is computed twice.
    """
    ranks = _ranks(graph)
    graph.sort()
    joined: list[onnx.NodeProto] = []
    members: set[int] = set()
    for node in reversed(graph.nodes):
        carried = _carried(graph, node, ranks)
        if not carried or any(ranks.get(name) != 3 or name in graph.outputs for name in node.output):
            continue
        readers = [(reader, name) for name in node.output for reader in graph.readers(name)]
        if readers and all(
            _takes_first(graph, reader) or (id(reader) in members and name in _carried(graph, reader, ranks))
            for reader, name in readers
        ):
            joined.append(node)
            members.add(id(node))
    if not any(node.op_type == "MatMul" for node in joined):
        return 0  # nothing worth a Gather of its own
    made = {name for node in joined for name in node.output}
    first: dict[str, str] = {}
    for node in joined:
        for name in _carried(graph, node, ranks):
            if name in made:
                continue
            if name not in first:
                zero = graph.add_constant("first_token", np.array([0], np.int64))
                first[name] = graph.add("Gather", [name, zero], stem=f"{name}.first", axis=1)[0]
            graph.replace(name, first[name], readers=[node])
    return len(joined)


def _takes_first(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type != "Gather" or attribute(node, "axis", 0) != 1:
        return False
    index = graph.constant(node.input[1])
    return index is not None and index.size == 1 and int(index.reshape(-1)[0]) == 0


def _carried(graph: Graph, node: onnx.NodeProto, ranks: dict[str, int]) -> list[str]:
    """The inputs of which the node's first token needs the first token only; empty where that is not sure."""
    inputs = [name for name in node.input if name]
    if node.op_type in ELEMENTWISE:
        values = [name for name in inputs if name not in graph.constants]
        # A constant with a sequence axis of its own would have to be cut as well: leave such nodes alone.
        if any(graph.constants[name].ndim > 1 for name in inputs if name in graph.constants):
            return []
        return values if all(ranks.get(name) == 3 for name in values) else []
    first = inputs[0] if inputs else ""
    rest_is_constant = all(name in graph.constants for name in inputs[1:])
    if ranks.get(first) != 3 or first in graph.constants:
        return []
    if node.op_type == "LayerNormalization":
        return [first] if attribute(node, "axis", -1) in (-1, 2) and rest_is_constant else []
    if node.op_type == "MatMul":
        return [first] if rest_is_constant and graph.constants[inputs[1]].ndim == 2 else []
    if node.op_type == "Split":
        return [first] if attribute(node, "axis", 0) in (-1, 2) and rest_is_constant else []
    if node.op_type == "MultiHeadAttention" and (len(node.input) < 6 or not node.input[5]):
        # Each query sees all keys by itself. The same value as query and key would be cut for both: not sure then.
        return [first] if first not in inputs[1:] else []
    return []


def _ranks(graph: Graph) -> dict[str, int]:
    """The number of axes of each value that shape inference can tell."""
    graph.sort()
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.node[:]
    model.graph.node.extend(graph.nodes)
    known = {item.name for item in model.graph.initializer}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value), name)
        for name, value in graph.constants.items()
        if name not in known
    )
    # Microsoft's operators are unknown to ONNX's inference: say what they give.
    for node in graph.nodes:
        if node.op_type == "MultiHeadAttention":
            shape = ["batch", None, None]
            model.graph.value_info.append(
                onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, shape)
            )
    inferred = onnx.shape_inference.infer_shapes(model)
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
        if value.type.tensor_type.HasField("shape")
    }
