"""Finds operators of an fp32 graph whose values exceed fp16's range on real rows; these stay in fp32.

fp16 ends at 65,504. ONNX Runtime's CPU provider computes an fp16 graph in fp32 and so gives finite answers where a GPU gives
infinity and NaN: FLAN-T5's feed-forward is the known case (transformers#9295). So every float value of the fp32 graph is
observed on real rows, with the sums that norms and means take of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from compress.onnx.graph import Graph, attribute
from compress.onnx.observed import Runner, observe_values

LARGEST = 65504.0
"""The greatest finite number of fp16."""
MARGIN = 4.0
"""A value counts as this many times as large as it was seen: other rows hold larger ones."""
MASK = 1e30
"""From here on a value is a mask's "minus infinity", which fp16 has in its own way (`compress.onnx.fp16`)."""
MASK_IN_FP16 = 65000.0
SUMS = ("ReduceSum", "ReduceMean", "ReduceL1")
SQUARES = ("ReduceL2", "ReduceSumSquare", "LpNormalization", "LayerNormalization", "RMSNormalization")
MORE_SQUARES = ("SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization")


@dataclass
class Seen:
    """The observations of one value."""

    largest: float = 0.0
    """Its largest magnitude."""
    sum: float = 0.0
    """The largest sum of magnitudes along the last axis."""
    squares: float = 0.0
    """The largest sum of squares along the last axis."""
    is_masked: bool = False
    """Whether a mask's "minus infinity" was among it."""

    def see(self, values: np.ndarray) -> None:
        """Take note of some values, which may be a mask's."""
        if not values.size:
            return
        sizes = np.abs(np.asarray(values, np.float64))
        masked = ~(sizes < MASK)  # of what is no number, too
        if masked.any():
            self.is_masked = True
            sizes = np.where(masked, 0.0, sizes)
        self.largest = max(self.largest, float(sizes.max()))
        if sizes.ndim:
            self.sum = max(self.sum, float(sizes.sum(-1).max()))
            self.squares = max(self.squares, float(np.square(sizes).sum(-1).max()))


def beyond_fp16(path: Path, runner: Runner) -> dict[int, float]:
    """The operators of an fp32 graph that pass fp16's range, by their place among its nodes: the largest magnitude that was
    seen of what they read, give, or sum up on the way.

    Raises:
        CompressError: the graph cannot be read or run.
    """
    model = Graph.load(path).model
    seen = _observed(path, _float_values(model), runner)
    for item in model.graph.initializer:
        if item.data_type == TensorProto.FLOAT:
            seen[item.name] = Seen()
            seen[item.name].see(onnx.numpy_helper.to_array(item, str(path.parent)))
    found: dict[int, float] = {}
    masked: set[str] = set()  # in fp32 alone, since in fp16 they would be infinite and a row of them no number
    for place, node in enumerate(model.graph.node):
        largest = _largest(node, seen)
        if largest * MARGIN > LARGEST or _masks_beyond(node, seen) or masked & set(node.input):
            found[place] = largest
            masked |= {name for name in node.output if name in seen and seen[name].is_masked}
    return found


def _float_values(model: onnx.ModelProto) -> list[str]:
    """The names of all values in fp32 that the graph's nodes give."""
    from compress.onnx.fp16 import typed

    graph = typed(model).graph
    given = {name for node in model.graph.node for name in node.output}
    return [
        value.name
        for value in (*graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT and value.name in given
    ]


def _observed(path: Path, names: list[str], runner: Runner) -> dict[str, Seen]:
    graph = Graph.load(path)
    constant = [name for name in names if name in graph.constants]
    observed = tuple(dict.fromkeys(name for name in names if name not in graph.constants))
    seen = {name: Seen() for name in (*observed, *constant)}
    for name in constant:
        seen[name].see(graph.constants[name])
    observe_values(graph, observed, runner, lambda name, values: seen[name].see(values))
    return seen


def _largest(node: onnx.NodeProto, seen: Mapping[str, Seen]) -> float:
    """The largest magnitude of what a node reads, gives, and sums up on the way."""
    of = [seen[name] for name in (*node.input, *node.output) if name in seen]
    largest = max((one.largest for one in of), default=0.0)
    read = [seen[name] for name in node.input if name in seen]
    if not read:
        return largest
    if node.op_type in SUMS:
        largest = max(largest, read[0].sum)
    if node.op_type in SQUARES:
        largest = max(largest, read[0].squares)
    if node.op_type in MORE_SQUARES:  # the first two are added, and the sum is normed
        first, *second = read[:2] if node.op_type.startswith("Skip") else read[:1]
        largest = max(largest, (first.squares**0.5 + sum(one.squares**0.5 for one in second)) ** 2)
    if node.op_type == "MultiHeadAttention" and len(read) > 1:
        # No product of a query and a key is larger than that of their lengths over all heads.
        largest = max(largest, (read[0].squares * read[1].squares) ** 0.5 * float(attribute(node, "scale", 1.0) or 1.0))
    return largest


def _masks_beyond(node: onnx.NodeProto, seen: Mapping[str, Seen]) -> bool:
    """Whether a mask's least number in fp16 and the score it is added to pass the range together."""
    if node.op_type not in ("Add", "Sum", "Softmax", "Where"):
        return False
    read: list[Any] = [seen[name] for name in (*node.input, *node.output) if name in seen]
    is_masked = any(one.is_masked for one in read)
    return is_masked and max(one.largest for one in read) + MASK_IN_FP16 > LARGEST
