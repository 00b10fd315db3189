"""Folds transposes of constants, so that products with them are found and quantized like any other.

The tracer leaves the transposition of a weight with several readers in the graph: one that layers share (ALBERT's), or a head
that is tied to the embeddings, where it saves space. Quantizers look for a product with a constant weight, and give the
embeddings and the head scales of their own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compress.onnx.graph import Graph, attribute


def fold_transposes(path: Path, output: Path) -> tuple[str, ...]:
    """Write the graph at `path` to `output` with each transposed weight as a constant of its own; their names.

    Weights lie in the file itself; `share_weights` puts them beside it again.

    Raises CompressError where the file cannot be read.
    """
    graph = Graph.load(path)
    folded = fold(graph)
    graph.save(output)
    return folded


def fold(graph: Graph) -> tuple[str, ...]:
    """Make a constant of each transposed matrix that is one; their names.

    One is called as the transposed value was where that is a weight's name (`lm_head.weight.T`, which quantizers know as
    the module `lm_head`), else by its source (`layer.weight.T`), once for all that read it.
    """
    folded = []
    for node in [node for node in graph.nodes if node.op_type == "Transpose"]:
        matrix = graph.constant(node.input[0])
        turns = attribute(node, "perm", [1, 0]) == [1, 0]
        if matrix is None or matrix.ndim != 2 or not turns or node.output[0] in graph.outputs:
            continue
        name = node.output[0] if node.output[0].endswith(".T") else f"{node.input[0]}.T"
        if name not in graph.constants:
            graph.constants[name] = np.ascontiguousarray(matrix.T)
            folded.append(name)
        graph.replace(node.output[0], name)
        graph.nodes.remove(node)
    graph.refresh()
    return tuple(folded)
