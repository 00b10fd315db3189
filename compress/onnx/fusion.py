"""Fuses an exported encoder into the graph that ONNX Runtime's CPU provider runs fastest, with the same logits.

Rewrites that are exact up to the order of float additions; what a rewrite does not recognise stays as exported:

- a weight that several layers share (ALBERT's) is turned once, here, instead of at each call;
- attention's products, softmax, mask and transposes become one MultiHeadAttention;
- what the classifier never reads is not computed: of the last layer it reads the first token only;
- residual additions are written so that ONNX Runtime does not fuse its slow SkipLayerNormalization (see below).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from compress.onnx.attention import fuse_attention
from compress.onnx.first_token import keep_first_token
from compress.onnx.fold_transposes import fold
from compress.onnx.graph import Graph
from compress.onnx.standard_attention import OLDER, OPSET, standardize_attention


@dataclass(frozen=True)
class Fusion:
    """What `fuse` did: attentions fused, nodes that now see the first token only, residual additions rewritten."""

    attentions: int
    first_token_nodes: int
    residuals: int
    not_standard: str = ""
    """Why attention is not ONNX's own operator, where it was asked for."""

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value != ""}


def fuse(path: Path, output: Path, *, opset: int = OLDER) -> Fusion:
    """Write the fp32 graph at `path` to `output`, rewritten where it can be. Heads and widths are read off the graph.

    Fused attention is ONNX Runtime's operator; with `opset` 24 it is ONNX's own where it can be, see
    `compress.onnx.standard_attention`, and then the file needs padding on the right. Compare the result with its source
    (`compress.onnx.parity`) before use, as after every export.

    Raises CompressError where the file cannot be read.
    """
    graph = Graph.load(path)
    fold(graph)
    attentions = fuse_attention(graph)
    first_token_nodes = keep_first_token(graph)
    residuals = _keep_residuals_apart(graph)
    graph.remove_dead()
    not_standard = standardize_attention(graph) if opset >= OPSET else ""
    graph.save(output)
    return Fusion(attentions, first_token_nodes, residuals, not_standard)


def _keep_residuals_apart(graph: Graph) -> int:
    """Write `Add` before LayerNormalization as `Sum`, which computes the same.

    ONNX Runtime (1.32) fuses Add and LayerNormalization into SkipLayerNormalization at load, whose CPU kernel takes
    longer than the two: 15 to 28 % of an int8 encoder's time. Its pattern knows Add only, so this holds for whoever
    opens the file, whatever the session's options.
    """
    count = 0
    for node in graph.nodes:
        if node.op_type != "LayerNormalization":
            continue
        addition = graph.maker(node.input[0], "Add")
        if addition is not None and not any(name in graph.constants for name in addition.input):
            addition.op_type = "Sum"
            count += 1
    return count


def operators(path: Path) -> dict[str, int]:
    """How many nodes of each operator the graph at `path` has, by name."""
    counts: dict[str, int] = {}
    for node in onnx.load(str(path), load_external_data=False).graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts
