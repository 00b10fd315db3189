"""Converts a graph to fp16 weights and arithmetic, with token ids as inputs and float32 logits as outputs."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from compress.core.errors import CompressError
from compress.onnx.graph import Graph, attribute


def to_fp16(path: Path, output: Path, keep: Collection[int] = ()) -> dict[str, int]:
    """Write the fp32 graph at `path` to `output` in fp16. Inputs stay int64 and logits float32.

    Values beyond fp16's range (65,504) are cut to it; masks of the least float32 stay "minus infinity" that way.

    Args:
        keep: the places of nodes that compute in fp32 (`compress.onnx.value_ranges.beyond_fp16`). From one to the next their
            values stay in fp32.

    Returns:
        How many nodes of each kind compute in fp32.

    Raises:
        CompressError: the graph holds integers.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = Graph.load(path).model
    if any(item.data_type == onnx.TensorProto.INT8 for item in model.graph.initializer):
        raise CompressError(f"{path} is quantized to int8 already. Convert the fp32 graph to fp16 instead.")
    blocked = _named(model, keep)
    kinds = dict(Counter(model.graph.node[place].op_type for place in sorted(keep)))
    logger = logging.getLogger("onnxruntime.transformers.float16")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of each clipped mask constant, which is meant
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            half = convert_float_to_float16(
                typed(model),
                keep_io_types=True,
                disable_shape_infer=True,
                max_finite_val=6.5e4,
                node_block_list=blocked,
            )
    finally:
        logger.setLevel(level)
    if keep:
        _join_fp32(half.graph)
    whole = Graph(half)
    whole.remove_dead()
    whole.save(output)  # the converter appends its casts behind the nodes that read them
    return kinds


def typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the types of its values. Fused operators are unknown to ONNX's shape inference, so ONNX Runtime's symbolic
    one types them."""
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Any = SymbolicShapeInference.infer_shapes(model, auto_merge=True)
    return model if found is None else found


def _named(model: onnx.ModelProto, places: Collection[int]) -> list[str]:
    """The names of the nodes at these places, each made its own."""
    names = Counter(node.name for node in model.graph.node)
    for place in places:
        node = model.graph.node[place]
        if not node.name or names[node.name] > 1:
            node.name = f"stays in fp32 {place}"
    return [model.graph.node[place].name for place in places]


def _join_fp32(graph: Any) -> None:
    """Let a value go from one operator in fp32 to the next without being rounded to fp16, where it would be infinite."""
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if not _casts(node, TensorProto.FLOAT):
            continue
        before = makers.get(node.input[0])
        if before is not None and _casts(before, TensorProto.FLOAT16):
            node.input[0] = before.input[0]


def _casts(node: onnx.NodeProto, to: int) -> bool:
    return node.op_type == "Cast" and attribute(node, "to") == to
