"""Finds which ONNX Runtime kernel computes each quantized product, from the optimized graph."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx

from compress.core.temporary import temporary_folder
from compress.onnx.graph import Graph
from compress.onnx.shared_weights import weight_files
from compress.quantization.graphs.layers import module_name
from compress.runtimes.session_choices import DEFAULT
from compress.runtimes.sessions import open_session

PRODUCTS = {"MatMul", "MatMulInteger", "QAttention"}  # as `compress.quantization.graphs.qdq` writes them
PREPARE = {"Cast", "DequantizeLinear", "Mul", "Sub", "Reshape", "Transpose"}  # what stands between integers and product
FINISH = {"Cast", "Mul", "Add", "Sum"}  # what an operator of ONNX Runtime takes in with the product
INTEGERS = {"int8", "uint8", "int4", "uint4"}


def integer_kernels(path: Path) -> dict[str, str]:
    """The operator that computes each quantized product of the file at `path`, by module, with default session options.

    MatMulIntegerToFloat, QLinearMatMul, DynamicQuantizeMatMul and QAttention multiply integers; MatMul and FusedMatMul floats.
    Modules are named as in the scheme that was written. Embedding tables are no products and are left out.

    Raises CompressError where the file cannot be opened.
    """
    with temporary_folder() as folder:
        optimized = folder / "optimized.onnx"
        for file in weight_files(path):  # the optimized graph points to them as this one does
            shutil.copyfile(file, optimized.with_name(file.name))
        open_session(path, threads=1, options=DEFAULT, optimized_graph=optimized)
        runs = Graph.load(optimized)
    graph = Graph.load(path)
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type in PRODUCTS:
            for module, names in _modules(graph, node):
                operator = _operator(graph, runs, node, names)
                kept = found.get(module, operator)  # a layer that is used more than once may run in several ways
                found[module] = operator if kept == operator else f"{kept}, {operator}"
    return found


def _modules(graph: Graph, node: onnx.NodeProto) -> Iterator[tuple[str, set[str]]]:
    """The modules that a product computes, each with the names that its second factor has on the way; none for floats."""
    names = _back(graph, node.input[1])
    weight = next((name for name in names if name in graph.constants), None)
    if weight is None:  # two activations
        made = graph.maker(names[0], "DequantizeLinear")
        if made is not None and node.op_type == "MatMul" and made.input[1].endswith(".other.scale"):
            yield made.input[1].removesuffix(".other.scale"), set(names)
    elif node.op_type == "QAttention":
        for stem in node.doc_string.split():
            yield module_name(stem), set(names)
    elif graph.constants[weight].dtype.name in INTEGERS:
        yield module_name(weight.removesuffix(".quantized")), set(names)


def _back(graph: Graph, name: str) -> list[str]:
    """The names from a product's factor back to the integers that it is made of."""
    names = [name]
    while (node := graph.maker(names[-1])) is not None and node.op_type in PREPARE:
        names.append(node.input[0])
    return names


def _operator(graph: Graph, runs: Graph, node: onnx.NodeProto, factor: set[str]) -> str:
    for name in sorted(factor):
        readers = [reader.op_type for reader in runs.readers(name) if reader.op_type not in PREPARE]
        if readers:
            return str(readers[0])
    # Its weight was packed into another constant: the result's name tells as well.
    result: str | None = node.output[0]
    while result is not None:
        made = runs.maker(result)
        if made is not None:
            return str(made.op_type)
        reader = next((one for one in graph.readers(result) if one.op_type in FINISH), None)
        result = reader.output[0] if reader is not None else None
    return "unknown"
