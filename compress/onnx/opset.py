"""Converts a graph to a newer opset if this does not change what it computes."""

from __future__ import annotations

import onnx

from compress.core.errors import CompressError
from compress.onnx.graph import Graph

CHANGED_MEANING = {"Split", "GroupNormalization", "GridSample", "Resize", "DFT"}
"""Operators whose signature alone does not tell that they compute something else in a later version."""
IR_VERSIONS = {21: 10, 24: 12}  # the oldest file format that may hold the version


def raise_opset(graph: Graph, version: int, needed: str = "which 4-bit weights and 16-bit activations need") -> None:
    """Declare at least `version` of ONNX's own operators.

    Most of their new versions take more types and nothing else. An operator is left as it is where its newer signature
    begins with the older one, inputs and attributes with their defaults.

    Args:
        needed: what the newer opset is for, as the error says it.

    Raises CompressError where an operator of the graph does not stay what it was.
    """
    before = graph.opset()
    if before >= version:
        return
    for node in graph.nodes:
        if node.domain in ("", "ai.onnx") and not _same(node.op_type, before, version):
            raise CompressError(
                f"The graph is of ONNX's opset {before}, whose {node.op_type} is another one in opset {version}, {needed}. "
                f"Export the model with opset {version} or newer."
            )
    for item in graph.model.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = version
    graph.model.ir_version = max(graph.model.ir_version, IR_VERSIONS[version])


def _same(operator: str, before: int, after: int) -> bool:
    try:
        old, new = (onnx.defs.get_schema(operator, version) for version in (before, after))
    except onnx.defs.SchemaError:
        return False
    if old.since_version == new.since_version:
        return not new.deprecated
    if new.deprecated or operator in CHANGED_MEANING or len(new.inputs) < len(old.inputs):
        return False
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    return (
        all(one.name == other.name for one, other in zip(old.inputs, new.inputs, strict=False))
        and all(added.option == optional for added in new.inputs[len(old.inputs) :])
        and all(
            name in new.attributes
            and new.attributes[name].default_value.SerializeToString() == one.default_value.SerializeToString()
            for name, one in old.attributes.items()
        )
    )
