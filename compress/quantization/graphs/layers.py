"""Finds what can be quantized in a graph: products with a constant weight, and embedding tables, by module name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import onnx

from compress.core.errors import CompressError
from compress.onnx.graph import Graph, attribute

SMALLEST_WEIGHT = 4096  # values; below that int8 saves neither time nor bytes worth a rounding error
ELEMENTWISE = {
    *(
        "Add",
        "Sum",
        "Mul",
        "Div",
        "Pow",
        "Sqrt",
        "Neg",
        "Erf",
        "Exp",
        "Tanh",
        "Sigmoid",
        "Relu",
        "LeakyRelu",
        "Elu",
        "Cast",
    ),
    *("Gelu", "FastGelu", "BiasGelu", "QuickGelu", "HardSwish", "Mish", "Softplus", "Clip", "Split", "Slice"),
}
"""What an activation is made of, gates included."""
LONGEST_ACTIVATION = 24  # operators; the longest spelled-out Gelu has about ten
QUANTIZED = {"MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention"}


@dataclass(frozen=True, eq=False)
class Product:
    """A matrix product `x @ W`. module: the torch module's name, or the weight's own where that cannot be known."""

    module: str
    node: onnx.NodeProto
    weight: np.ndarray  # as torch keeps it, [outputs, inputs]
    narrows: bool
    """Whether it is the feed-forward's second layer, whose input holds a transformer's outliers: another product's output
    reaches it through an activation alone. Widths would not tell, since pruning changes them."""


@dataclass(frozen=True, eq=False)
class Table:
    """An embedding table, [rows, width], and the Gathers that read it."""

    module: str
    nodes: tuple[onnx.NodeProto, ...]
    weight: np.ndarray


def products(graph: Graph, exclude: Iterable[str] = ()) -> list[Product]:
    """The products with a constant weight, except those whose module or node name matches a pattern of `exclude`.

    A classifier's head is a Gemm on one row for each sentence and is not among them: it has no part in the time, and
    its rounding goes straight into the logits.
    """
    found = []
    for node in graph.nodes:
        weight = graph.constant(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or weight.ndim != 2 or weight.dtype != np.float32 or weight.size < SMALLEST_WEIGHT:
            continue
        module = module_name(node.input[1])
        if not matches((module, node.name), exclude):
            found.append(Product(module, node, weight.T, _is_activated(graph, node.input[0])))
    return found


def tables(graph: Graph, exclude: Iterable[str] = ()) -> list[Table]:
    """The float tables from which only rows are gathered, except those whose name matches `exclude`."""
    found = []
    for name, weight in graph.constants.items():
        if weight.ndim != 2 or weight.dtype != np.float32 or weight.size < SMALLEST_WEIGHT:
            continue
        readers = graph.readers(name)
        gathers = [node for node in readers if node.op_type == "Gather" and attribute(node, "axis", 0) == 0]
        if not gathers or len(gathers) < len(readers) or any(node.input[0] != name for node in gathers):
            continue
        module = module_name(name)
        if not matches((module, *(node.name for node in gathers)), exclude):
            found.append(Table(module, tuple(gathers), weight))
    return found


def quantizable(graph: Graph, *, embeddings: bool = True) -> list[str]:
    """The names that a pattern of `exclude` can match: those of modules, and of nodes that use them."""
    found = [name for one in products(graph) for name in (one.module, one.node.name)]
    if embeddings:
        found += [name for one in tables(graph) for name in (one.module, *(node.name for node in one.nodes))]
    return found


def refuse_quantized(graph: Graph, path: Path) -> None:
    """Raises CompressError if the graph at `path` already has quantized products or weights."""
    found = {node.op_type for node in graph.nodes} & QUANTIZED
    integers = [
        name
        for name, value in graph.constants.items()
        if value.dtype.name in ("int8", "uint8", "int4", "uint4") and value.size > 256
    ]
    if found or integers:
        what = ", ".join(sorted(found)) or f"the integer weight {integers[0]}"
        raise CompressError(f"{path} is quantized already (it has {what}). Give its float source.")


def _is_activated(graph: Graph, name: str) -> bool:
    """Whether a value is a constant product's output after elementwise operators, one of them at least no addition."""
    waiting, activated = [name], False
    for _ in range(LONGEST_ACTIVATION):
        if not waiting:
            return False
        node = graph.maker(waiting.pop(0))
        if node is None:
            continue
        if node.op_type in ("MatMul", "Gemm") and graph.constant(node.input[1]) is not None:
            return activated
        if node.op_type in ELEMENTWISE:
            activated = activated or node.op_type not in ("Add", "Sum")
            waiting += [one for one in node.input if one and graph.constant(one) is None]
    return False


def module_name(weight: str) -> str:
    for ending in (".weight.T", ".weight"):
        if weight.endswith(ending):
            return weight.removesuffix(ending)
    return weight


def matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(name and fnmatchcase(name, pattern) for name in names for pattern in patterns)
