"""ONNX graphs of one attention block or one feed-forward block with any number of units, as the exporter writes them.

An encoder's, in a classifier, are fused, as `compress.onnx.fusion` leaves them. All others are plain products: those of a
generative model with a key-value cache, as `compress.onnx.export_with_cache` writes them, and those of a classifier's decoder.
Norms are LayerNormalization, activations GELU, and heads have no rotary positions, whatever the family has: none of these
depends on how many units there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

Graphs = Mapping[str, Callable[[], Any]]
"""By `block count`: makes the ONNX model of a block with so many units. Each is made when it is needed, for they are large."""


@dataclass(frozen=True)
class StackShape:
    """The sizes of one stack of layers, an encoder or a decoder."""

    hidden: int
    head_size: int
    group: int
    """Heads of queries that read one head of keys and values."""
    heads: int
    """Units of a whole attention: heads, or groups of them."""
    neurons: int
    """Of a whole layer."""
    fused_qkv: bool
    """Whether one matrix makes queries, keys and values."""
    gate: Literal["none", "fused", "apart"]
    """Whether neurons have gates, and whether the neurons' matrix makes them too (fused) or one of their own (apart)."""


@dataclass(frozen=True)
class Shape:
    """The sizes that determine the latency of a model's blocks, besides their heads or neurons."""

    encoder: StackShape | None
    decoder: StackShape | None
    batch: int
    length: int
    """Tokens that are read."""
    written: int
    """Tokens that are written; 0 of a classifier."""


def block_graphs(shape: Shape) -> Graphs:
    """The graphs of all blocks that such a model may run, by width.

    - Of an encoder in a classifier `attention` and `ffn`; `last_attention` and `last_ffn` where only the first token's output is
      read. Of one in a generative model `encoder_attention` and `encoder_ffn`.
    - Of a decoder over a whole text `prefill_attention` and `prefill_ffn`, and for one more token `step_attention` and
      `step_ffn`. The cache of a step holds as many tokens as halfway through.
    - Of a decoder that reads an encoder's states `cross_keys`, their keys and values, and `prefill_cross_attention` and
      `step_cross_attention`, which use them.
    """
    found: dict[str, Callable[[], Any]] = {}
    batch, length, encoder, decoder = shape.batch, shape.length, shape.encoder, shape.decoder

    def add(block: str, most: int, multiple: int, make: Callable[[int], Any]) -> None:
        found.update({f"{block} {count}": partial(make, count) for count in widths(most, multiple)})

    def over(prefix: str, stack: StackShape, tokens: int, past: int = 0) -> None:
        add(f"{prefix}_attention", stack.heads, 1, partial(_self_attention, stack, batch, tokens, past))
        add(f"{prefix}_ffn", stack.neurons, 16, partial(_ffn, stack, batch, tokens))

    if encoder is not None and shape.written:
        over("encoder", encoder, length)
    elif encoder is not None:
        for prefix, first in (("", False), ("last_", True)):
            add(f"{prefix}attention", encoder.heads, 1, partial(_fused_attention, encoder, batch, length, first))
            add(f"{prefix}ffn", encoder.neurons, 16, partial(_ffn, encoder, batch, 1 if first else length))
    if decoder is not None:
        over("prefill", decoder, length)
        over("step", decoder, 1, shape.written // 2 + (length if encoder is None else 0))
    if encoder is not None and decoder is not None:
        add("cross_keys", decoder.heads, 1, partial(_cross_keys, decoder, batch, length))
        for prefix, tokens in (("prefill", length), ("step", 1)):
            make = partial(_cross_attention, decoder, batch, tokens, length)
            add(f"{prefix}_cross_attention", decoder.heads, 1, make)
    return found


def widths(whole: int, multiple: int) -> list[int]:
    """The measured counts: eighths of all units rounded to multiples, the smallest multiple, and all.

    >>> widths(1536, 16)
    [16, 192, 384, 576, 768, 960, 1152, 1344, 1536]
    >>> widths(12, 1)
    [1, 3, 4, 6, 7, 9, 10, 12]
    """
    eighths = (max(int(whole * part / 8) // multiple * multiple, multiple) for part in range(8))
    return sorted({min(count, whole) for count in (*eighths, whole)})


class _Block:
    """Builds a graph: nodes and random weights."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.generator = np.random.default_rng(0)

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        return self._node(operator, inputs, 1, **attributes)[0]

    def _node(self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        from onnx import helper

        names = [f"{len(self.nodes)}.{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"constant {len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def linear(self, name: str, inputs: int, outputs: int) -> str:
        weight = self.generator.standard_normal((inputs, outputs), np.float32) / np.float32(math.sqrt(inputs))
        product = self.add("MatMul", [name, self.constant(weight)])
        return self.add("Add", [product, self.constant(np.zeros(outputs, np.float32))])

    def linear_parts(self, name: str, inputs: int, parts: Sequence[int], *, fused: bool) -> list[str]:
        """What several matrices make, or, fused, one matrix whose outputs are split."""
        if not fused:
            return [self.linear(name, inputs, width) for width in parts]
        made = self.linear(name, inputs, sum(parts))
        return self._node("Split", [made, self.constant(np.array(parts, np.int64))], len(parts), axis=-1)

    def first_token(self, name: str) -> str:
        """Of [batch, tokens, width] the first token, [batch, 1, width]."""
        return self.add("Gather", [name, self.constant(np.array([0], np.int64))], axis=1)

    def normed(self, name: str, residual: str, width: int) -> str:
        scale, bias = self.constant(np.ones(width, np.float32)), self.constant(np.zeros(width, np.float32))
        # Sum, as our fusion writes it: see `compress.onnx.fusion`.
        return self.add("LayerNormalization", [self.add("Sum", [name, residual]), scale, bias], epsilon=1e-12)

    def heads_apart(self, name: str, batch: int, tokens: int, heads: int, size: int) -> str:
        """[batch, tokens, heads * size] as [batch, heads, tokens, size]."""
        shape = self.constant(np.array([batch, tokens, heads, size], np.int64))
        return self.add("Transpose", [self.add("Reshape", [name, shape])], perm=[0, 2, 1, 3])

    def model(self, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str]) -> Any:
        """The graph; inputs are floats of these shapes, but for an integer `mask`."""
        from onnx import TensorProto, helper

        read = [
            helper.make_tensor_value_info(name, TensorProto.INT32 if name == "mask" else TensorProto.FLOAT, list(sizes))
            for name, sizes in inputs.items()
        ]
        found = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "block", read, found, initializer=self.weights)
        domains = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=10)


def _fused_attention(stack: StackShape, batch: int, length: int, first: bool, count: int) -> Any:
    """Tokens that read one another; first: only the first of them does."""
    block, inner = _Block(), count * stack.head_size
    residual = block.first_token("hidden") if first else "hidden"
    if stack.fused_qkv or not first:
        query, key, value = block.linear_parts("hidden", stack.hidden, [inner] * 3, fused=stack.fused_qkv)
        query = block.first_token(query) if first else query
    else:
        query = block.linear(residual, stack.hidden, inner)
        key, value = block.linear_parts("hidden", stack.hidden, [inner] * 2, fused=False)
    inputs, scale = [query, key, value, "", "mask"], 1 / math.sqrt(stack.head_size)
    mixed = block.add("MultiHeadAttention", inputs, domain="com.microsoft", num_heads=count, scale=scale)
    output = block.normed(block.linear(mixed, inner, stack.hidden), residual, stack.hidden)
    return block.model({"hidden": [batch, length, stack.hidden], "mask": [batch, length]}, [output])


def _ffn(stack: StackShape, batch: int, tokens: int, neurons: int) -> Any:
    block = _Block()
    parts = [neurons] if stack.gate == "none" else [neurons, neurons]
    value, *gates = block.linear_parts("hidden", stack.hidden, parts, fused=stack.gate == "fused")
    made = block.add("Gelu", [value])
    for gate in gates:
        made = block.add("Mul", [made, gate])
    output = block.normed(block.linear(made, neurons, stack.hidden), "hidden", stack.hidden)
    return block.model({"hidden": [batch, tokens, stack.hidden]}, [output])


def _self_attention(stack: StackShape, batch: int, tokens: int, past: int, count: int) -> Any:
    """So many tokens that read one another, and those of a cache before them."""
    block, inner = _Block(), count * stack.head_size
    parts = [stack.group * inner, inner, inner]
    query, *new = block.linear_parts("hidden", stack.hidden, parts, fused=stack.fused_qkv)
    inputs = {"hidden": [batch, tokens, stack.hidden], "bias": [batch, 1, tokens, past + tokens]}
    present = []
    for name, part in zip(("key", "value"), new, strict=True):
        made = block.heads_apart(part, batch, tokens, count, stack.head_size)
        if past:
            inputs[f"past {name}"] = [batch, count, past, stack.head_size]
            made = block.add("Concat", [f"past {name}", made], axis=2)
        present.append(made)
    output = _mixed(block, stack, batch, tokens, past + tokens, count, query, present)
    return block.model(inputs, [output, *present])


def _cross_keys(stack: StackShape, batch: int, length: int, count: int) -> Any:
    """The keys and values of an encoder's states, made once a text."""
    block = _Block()
    inner = count * stack.head_size
    made = [
        block.heads_apart(block.linear("states", stack.hidden, inner), batch, length, count, stack.head_size)
        for _ in ("key", "value")
    ]
    return block.model({"states": [batch, length, stack.hidden]}, made)


def _cross_attention(stack: StackShape, batch: int, tokens: int, length: int, count: int) -> Any:
    """So many tokens that read the keys and values of an encoder's states."""
    block = _Block()
    query = block.linear("hidden", stack.hidden, stack.group * count * stack.head_size)
    output = _mixed(block, stack, batch, tokens, length, count, query, ["key", "value"])
    whole = [batch, count, length, stack.head_size]
    inputs = {"hidden": [batch, tokens, stack.hidden], "bias": [batch, 1, tokens, length], "key": whole, "value": whole}
    return block.model(inputs, [output])


def _mixed(
    block: _Block,
    stack: StackShape,
    batch: int,
    tokens: int,
    seen: int,
    count: int,
    query: str,
    present: Sequence[str],
) -> str:
    """Attention of `count` units from queries and from keys and values [batch, units, seen, head size] on; each head of keys and
    values is repeated for the queries of its group."""
    heads, size = stack.group * count, stack.head_size
    key, value = (_repeated(block, name, stack, batch, seen, count) for name in present)
    scores = block.add(
        "MatMul",
        [block.heads_apart(query, batch, tokens, heads, size), block.add("Transpose", [key], perm=[0, 1, 3, 2])],
    )
    scores = block.add("Mul", [scores, block.constant(np.float32(1 / math.sqrt(size)))])
    shares = block.add("Softmax", [block.add("Add", [scores, "bias"])], axis=-1)
    mixed = block.add("Transpose", [block.add("MatMul", [shares, value])], perm=[0, 2, 1, 3])
    joined = block.add("Reshape", [mixed, block.constant(np.array([batch, tokens, heads * size], np.int64))])
    return block.normed(block.linear(joined, heads * size, stack.hidden), "hidden", stack.hidden)


def _repeated(block: _Block, name: str, stack: StackShape, batch: int, seen: int, count: int) -> str:
    if stack.group == 1:
        return name
    apart = block.add("Unsqueeze", [name, block.constant(np.array([2], np.int64))])
    wide = block.constant(np.array([batch, count, stack.group, seen, stack.head_size], np.int64))
    flat = block.constant(np.array([batch, count * stack.group, seen, stack.head_size], np.int64))
    return block.add("Reshape", [block.add("Expand", [apart, wide]), flat])
