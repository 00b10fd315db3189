"""Splits a fused MultiHeadAttention into its two MatMuls, so that each can be observed and quantized.

What `compress.onnx.attention` closed is written out again, by plain operators and with the same result: the split into
heads, queries by keys, scale, position bias, padding, softmax, probabilities by values, and the heads joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from compress.core.errors import CompressError
from compress.onnx.attention import TO_HEADS, TO_KEYS
from compress.onnx.graph import Graph, attribute
from compress.quantization.graphs.layers import matches, module_name

PRODUCTS = SCORES, CONTEXT = "scores", "context"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "scores": (SCORES,),
    "context": (CONTEXT,),
    "both": PRODUCTS,
}
"""Which products are quantized, by the name of the setting."""
FUSED_ONLY = (
    "Attention's products can be quantized where attention is fused: BERT, DistilBERT, RoBERTa, ELECTRA, ALBERT and "
    "MPNet, after `compress export`; choose attention 'none' otherwise."
)
OPERATORS = {"MultiHeadAttention", "Attention", "QAttention", "Softmax"}  # what an attention is known by


@dataclass(frozen=True, eq=False)
class FusedAttention:
    """module: the torch module that holds the query's projection, or that weight's name in a foreign graph.

    query, key, value: [batch, sequence, heads * width]; the query's sequence is 1 where the first token alone is asked.
    """

    module: str
    node: onnx.NodeProto
    query: str
    key: str
    value: str
    padding: str  # int32, [batch, sequence of keys], above 0 for real tokens; or ""
    bias: str  # added to the scores; or ""
    heads: int
    scale: float


@dataclass(frozen=True, eq=False)
class Factor:
    """What a product multiplies. value: before the split into heads, read by `first`. heads: as the product reads it.

    The probabilities are made head by head: their `value` is their `heads`, and `first` the product itself.
    """

    value: str
    first: onnx.NodeProto
    heads: str


@dataclass(frozen=True, eq=False)
class AttentionProduct:
    """[batch, heads, ., .]: the product of two activations, and where each of them comes from."""

    node: onnx.NodeProto
    input: Factor
    other: Factor


def attentions(graph: Graph) -> list[FusedAttention]:
    """The fused attentions that can be opened, in the graph's order; a module that is used more than once has several."""
    found = []
    for node in graph.nodes:
        if node.op_type != "MultiHeadAttention" or attribute(node, "unidirectional", 0):
            continue
        inputs: list[str] = [*node.input, *[""] * 6]
        query, key, value, bias, padding, added = inputs[:6]
        if bias or any(inputs[6:]):
            continue  # never written by `compress.onnx.attention`
        weight = _projection_weight(graph, query)
        if weight is None or not key or not value or len(node.output) > 1 or not _is_padding_mask(graph, padding):
            continue
        heads = int(attribute(node, "num_heads"))
        # 0 is the operator's own default.
        scale = attribute(node, "scale", 0.0) or 1 / np.sqrt(graph.constants[weight].shape[1] / heads)
        found.append(
            FusedAttention(_parent(weight), node, query, key, value, padding, added, heads, float(np.float32(scale)))
        )
    return found


def refuse_unfused(graph: Graph, path: Path) -> None:
    """Raises CompressError where the graph has no attention, or one that cannot be opened."""
    openable = {id(found.node) for found in attentions(graph)}
    others = [node for node in graph.nodes if node.op_type in OPERATORS and id(node) not in openable]
    if others or not openable:
        what = f"{path} has {others[0].op_type} '{others[0].name}'" if others else f"{path} has no attention"
        raise CompressError(f"{what} where a fused attention is wanted. {FUSED_ONLY}")


def open_products(
    graph: Graph, path: Path, choice: str, exclude: Iterable[str] = ()
) -> list[tuple[str, AttentionProduct]]:
    """The products that `choice` names, by their names in a scheme, except those that match a pattern of `exclude`.

    Their attentions are opened in the graph. Raises CompressError for an unknown choice, and as `refuse_unfused`.
    """
    if choice not in CHOICES:
        raise CompressError(f"Unknown choice '{choice}' of attention's products. Known: {', '.join(CHOICES)}.")
    if not CHOICES[choice]:
        return []
    refuse_unfused(graph, path)
    patterns, chosen = tuple(exclude), attentions(graph)
    opened = open_attentions(graph, chosen)
    graph.remove_dead()
    names = [
        (f"{fused.module}.{name}", by_name[name])
        for fused, by_name in zip(chosen, opened, strict=True)
        for name in CHOICES[choice]
    ]
    return [(name, product) for name, product in names if not matches((name,), patterns)]


def open_attentions(graph: Graph, chosen: Iterable[FusedAttention]) -> list[dict[str, AttentionProduct]]:
    """Rewrite fused attentions as plain operators, and return each one's products by `scores` and `context`.

    Equal to the operator up to the order of float additions. The fused nodes are left without readers.
    """
    masks: dict[tuple[str, float], str] = {}  # one for all layers that fill alike
    return [_open(graph, fused, masks) for fused in chosen]


def _open(graph: Graph, fused: FusedAttention, masks: dict[tuple[str, float], str]) -> dict[str, AttentionProduct]:
    stem = fused.node.output[0]
    query = _split_heads(graph, fused, fused.query, TO_HEADS, f"{stem}.query")
    key = _split_heads(graph, fused, fused.key, TO_KEYS, f"{stem}.key")
    value = _split_heads(graph, fused, fused.value, TO_HEADS, f"{stem}.value")
    (product,) = graph.add("MatMul", [query.heads, key.heads], stem=f"{stem}.scores")
    scale = graph.add_constant(f"{stem}.scale", np.array(fused.scale, np.float32))
    (scores,) = graph.add("Mul", [product, scale], stem=f"{stem}.scaled")
    if fused.bias:
        (scores,) = graph.add("Add", [scores, fused.bias], stem=f"{stem}.biased")
    if fused.padding:
        key_and_fill = fused.padding, attribute(fused.node, "mask_filter_value", -10000.0)
        if key_and_fill not in masks:
            masks[key_and_fill] = _padding(graph, *key_and_fill)
        (scores,) = graph.add("Add", [scores, masks[key_and_fill]], stem=f"{stem}.masked")
    (probabilities,) = graph.add("Softmax", [scores], stem=f"{stem}.probabilities", axis=-1)
    (context,) = graph.add("MatMul", [probabilities, value.heads], stem=f"{stem}.context")
    (tokens,) = graph.add("Transpose", [context], stem=f"{stem}.tokens", perm=TO_HEADS)
    joined = graph.add_constant(f"{stem}.joined", np.array([0, 0, -1], np.int64))
    (result,) = graph.add("Reshape", [tokens, joined], stem=f"{stem}.opened")
    graph.replace(stem, result)
    by_keys, by_values = _made(graph, product), _made(graph, context)
    return {
        SCORES: AttentionProduct(by_keys, query, key),
        CONTEXT: AttentionProduct(by_values, Factor(probabilities, by_values, probabilities), value),
    }


def _split_heads(graph: Graph, fused: FusedAttention, name: str, perm: list[int], stem: str) -> Factor:
    shape = graph.add_constant(f"{stem}.shape", np.array([0, 0, fused.heads, -1], np.int64))
    (split,) = graph.add("Reshape", [name, shape], stem=f"{stem}.split")
    (heads,) = graph.add("Transpose", [split], stem=f"{stem}.heads", perm=perm)
    return Factor(name, _made(graph, split), heads)


def _padding(graph: Graph, mask: str, fill: float) -> str:
    """What is added to the scores of padded keys, [batch, 1, 1, sequence]."""
    stem = f"{mask}.padding"
    axes = graph.add_constant(f"{stem}.axes", np.array([1, 2], np.int64))
    (keys,) = graph.add("Unsqueeze", [mask, axes], stem=f"{stem}.keys")
    (real,) = graph.add(
        "Greater", [keys, graph.add_constant(f"{stem}.zero", np.array(0, np.int32))], stem=f"{stem}.real"
    )
    added = [
        graph.add_constant(f"{stem}.{name}", np.array(to, np.float32)) for name, to in (("none", 0), ("fill", fill))
    ]
    return graph.add("Where", [real, *added], stem=f"{stem}.added")[0]


def _made(graph: Graph, name: str) -> onnx.NodeProto:
    node = graph.maker(name)
    assert node is not None
    return node


def _projection_weight(graph: Graph, name: str) -> str | None:
    """The constant, [inputs, heads * width], of the projection `x @ W` or `x @ W + b` that makes a value."""
    node = graph.maker(name, "MatMul", "Add")
    if node is not None and node.op_type == "Add":
        node = next((made for side in node.input if (made := graph.maker(side, "MatMul")) is not None), None)
    weight = graph.constant(node.input[1]) if node is not None else None
    return node.input[1] if node is not None and weight is not None and weight.ndim == 2 else None


def _parent(weight: str) -> str:
    module = module_name(weight)
    return weight if module == weight else module.rpartition(".")[0]


def _is_padding_mask(graph: Graph, name: str) -> bool:
    """Whether it is nothing, or a cast of a model input, [batch, sequence]: the operator knows other kinds too."""
    cast = graph.maker(name, "Cast")
    sources = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.model.graph.input}
    return not name or (cast is not None and sources.get(cast.input[0]) == 2)
