"""Makes constants of transposed constants, so that a product by one of them is seen and quantized like any other.

The tracer leaves the transposition of a large weight in the graph. For a head that is tied to the embeddings this saves
space: both read the same tensor, and ONNX Runtime transposes it once, at load. Quantizers look for a product with a
constant weight, and give the embeddings and the head scales of their own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compress.onnx.graph import Graph, attribute


def fold_transposes(path: Path, output: Path) -> tuple[str, ...]:
    """Write the graph at `path` to `output` with each transposed constant as a constant of its own; their names.

    A constant is called as the transposed value was: `lm_head.weight.T` in an export of ours, which quantizers then know
    as the module `lm_head`. Weights lie in the file itself; `share_weights` puts them beside it again.

    Raises CompressError where the file cannot be read.
    """
    graph = Graph.load(path)
    folded = []
    for node in list(graph.nodes):
        value = graph.constant(node.input[0]) if node.op_type == "Transpose" else None
        if value is None or node.output[0] in graph.outputs:
            continue
        graph.constants[node.output[0]] = np.ascontiguousarray(np.transpose(value, attribute(node, "perm")))
        graph.nodes.remove(node)
        folded.append(node.output[0])
    graph.refresh()
    graph.save(output)
    return tuple(folded)
