"""What can be quantized or left in floating point by itself, and what quantizing it brings: bytes and integer products."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compress.onnx.graph import Graph
from compress.onnx.standard_attention import restore_attention
from compress.quantization.graphs.attention_products import PRODUCTS as NAMES
from compress.quantization.graphs.attention_products import attentions
from compress.quantization.graphs.layers import ELEMENTWISE, Product, products, tables
from compress.quantization.scheme import LIMITS, Layer, Scheme

ATTENTION, PRODUCTS, FEED_FORWARD = "attention", "attention products", "feed-forward"
EMBEDDINGS, HEAD = "embeddings", "head"
IN_A_LAYER = re.compile(r"(^|\.)\d+(\.|$)")
"""A module's name within a numbered layer."""
FARTHEST = 24
"""Operators between two feed-forward layers, as `compress.quantization.graphs.layers` looks for them."""


@dataclass(frozen=True)
class Unit:
    """One layer of a scheme, or all layers of one group."""

    name: str
    group: str
    """`attention` (its projections), `attention products`, `feed-forward`, `embeddings`; or `head`, which is in no numbered
    layer."""
    layers: tuple[str, ...]
    """By their names in the scheme."""
    bytes: int
    """What quantizing it saves of the weights."""
    multiply_adds: float
    """Of its matrix products, for each token."""


def units(graph: Path, scheme: Scheme, tokens: float, by: str = "layer") -> list[Unit]:
    """What a scheme quantizes.

    Args:
        graph: in fp32, of which the scheme was made.
        tokens: of a usual text: how many keys each query of an attention is multiplied with.
        by: `layer` or `group`.
    """
    loaded = Graph.load(graph)
    restore_attention(loaded)
    by_module: dict[str, list[Product]] = defaultdict(list)
    for product in products(loaded):
        by_module[product.module].append(product)
    embeddings = {table.module: table for table in tables(loaded)}
    feed_forward = _feed_forward(loaded, by_module)
    multiplied = any(layer.other is not None for layer in scheme.values())
    widths = {
        f"{one.module}.{name}": loaded.constants[_weight(loaded, one.query)].shape[1]
        for one in (attentions(loaded) if multiplied else ())
        for name in NAMES
    }
    found = []
    for name, layer in scheme.items():
        if layer.other is not None:
            found.append(Unit(name, PRODUCTS, (name,), 0, widths.get(name, 0) * tokens))
        elif name in embeddings:
            found.append(Unit(name, EMBEDDINGS, (name,), _saved(embeddings[name].weight.size, layer), 0))
        else:
            uses = by_module[name]
            inside = FEED_FORWARD if name in feed_forward else ATTENTION
            group = inside if IN_A_LAYER.search(name) else HEAD
            size = uses[0].weight.size
            found.append(Unit(name, group, (name,), _saved(size, layer), float(size * len(uses))))
    return found if by == "layer" else _grouped(found)


def shares(found: Iterable[Unit]) -> dict[str, float]:
    """The share of each unit, 0 to 1, in what quantizing all of them brings: the mean of its shares of the bytes saved and of the
    multiply-adds."""
    several = list(found)
    totals = [sum(one.bytes for one in several), sum(one.multiply_adds for one in several)]
    known = [total for total in totals if total]
    return {
        one.name: sum(part / total for part, total in zip((one.bytes, one.multiply_adds), totals, strict=True) if total)
        / len(known)
        for one in several
    }


def _grouped(found: Iterable[Unit]) -> list[Unit]:
    groups: dict[str, list[Unit]] = defaultdict(list)
    for one in found:
        groups[one.group].append(one)
    return [
        Unit(
            group,
            group,
            tuple(name for one in some for name in one.layers),
            sum(one.bytes for one in some),
            sum(one.multiply_adds for one in some),
        )
        for group, some in groups.items()
    ]


def _saved(values: int, layer: Layer) -> int:
    """The bytes of fp32 weights less those of the integers, scales and zero points."""
    assert layer.weight is not None
    low, high = LIMITS[layer.weight.type]
    stored = values * (high - low).bit_length() // 8
    return 4 * values - stored - 5 * layer.weight.scale.size


def _feed_forward(graph: Graph, by_module: dict[str, list[Product]]) -> set[str]:
    """The feed-forward's second layers, and those whose output reaches one of them through an activation."""
    by_output = {id(one.node): one.module for some in by_module.values() for one in some}
    found = set()
    for module, some in by_module.items():
        for product in (one for one in some if one.narrows):
            found.add(module)
            waiting = [product.node.input[0]]
            for _ in range(FARTHEST):
                node = graph.maker(waiting.pop(0)) if waiting else None
                if node is not None and id(node) in by_output:
                    found.add(by_output[id(node)])
                elif node is not None and node.op_type in ELEMENTWISE:
                    waiting += [name for name in node.input if name and graph.constant(name) is None]
    return found


def _weight(graph: Graph, name: str) -> str:
    """The constant of the projection that makes an attention's query."""
    node = graph.maker(name)
    while node is not None and node.op_type != "MatMul":
        node = next((made for one in node.input if (made := graph.maker(one)) is not None), None)
    assert node is not None
    return str(node.input[1])
