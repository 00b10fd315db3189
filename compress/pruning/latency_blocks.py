"""ONNX graphs of one attention block or one feed-forward block with any number of units, as the exporter writes them.

An encoder's are fused, as `compress.onnx.fusion` leaves them. Those of a generative model are plain products with a key-value
cache, as `compress.onnx.export_with_cache` writes them: what reads a text at once, and what a decoder computes for one more
token. Norms are LayerNormalization, activations GELU, and heads have no rotary positions, whatever the family has: none of
these depends on how many units there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Graphs = Mapping[str, Callable[[], Any]]
"""By `block count`: makes the ONNX model of a block with so many units. Each is made when it is needed, for they are large."""


@dataclass(frozen=True)
class Shape:
    """The sizes that determine the latency of an encoder's blocks, besides their heads or neurons."""

    hidden: int
    head_size: int
    heads: int
    """Of a whole layer."""
    neurons: int
    """Of a whole layer."""
    gated: bool
    batch: int
    length: int


@dataclass(frozen=True)
class StackShape:
    """The sizes of one stack of a generative model."""

    hidden: int
    head_size: int
    group: int
    """Heads of queries that read one head of keys and values."""
    heads: int
    """Units of a whole attention: heads, or groups of them."""
    neurons: int
    gated: bool


@dataclass(frozen=True)
class GenerationShape:
    """The sizes that determine the latency of a generative model's blocks, besides their heads or neurons."""

    encoder: StackShape | None
    """None where there is a decoder alone."""
    decoder: StackShape
    batch: int
    length: int
    """Tokens that are read."""
    written: int
    """Tokens that are written."""


def encoder_graphs(shape: Shape) -> Graphs:
    """Of an encoder: `attention` and `ffn`; of its last layer, where only the first token is read, `last_attention` and
    `last_ffn`."""
    found: dict[str, Callable[[], Any]] = {}
    for prefix, first in (("", False), ("last_", True)):
        for count in widths(shape.heads, 1):
            found[f"{prefix}attention {count}"] = partial(_attention, shape, count, first)
        for count in widths(shape.neurons, 16):
            found[f"{prefix}ffn {count}"] = partial(_ffn, shape, count, first)
    return found


def generation_graphs(shape: GenerationShape) -> Graphs:
    """Of a generative model: what runs once a text, and what runs once a token.

    Of an encoder-decoder `encoder_attention` and `encoder_ffn` over the text, `cross_keys` (the cross-attention's keys and values
    of the text), and by token `step_attention`, `step_cross_attention` and `step_ffn`. Of a decoder `prefill_attention` and
    `prefill_ffn` over the text, `step_attention` and `step_ffn`. The cache of a step holds as many tokens as halfway through.
    """
    found: dict[str, Callable[[], Any]] = {}
    batch, length, decoder = shape.batch, shape.length, shape.decoder

    def add(block: str, most: int, multiple: int, make: Callable[[int], Any]) -> None:
        found.update({f"{block} {count}": partial(make, count) for count in widths(most, multiple)})

    reads, reading = (shape.decoder, "prefill") if shape.encoder is None else (shape.encoder, "encoder")
    add(f"{reading}_attention", reads.heads, 1, partial(_self_attention, reads, batch, length, 0))
    add(f"{reading}_ffn", reads.neurons, 16, partial(_network, reads, batch, length))
    past = shape.written // 2 + (length if shape.encoder is None else 0)
    add("step_attention", decoder.heads, 1, partial(_self_attention, decoder, batch, 1, past))
    add("step_ffn", decoder.neurons, 16, partial(_network, decoder, batch, 1))
    if shape.encoder is not None:
        add("cross_keys", decoder.heads, 1, partial(_cross_keys, decoder, batch, length))
        add("step_cross_attention", decoder.heads, 1, partial(_cross_attention, decoder, batch, length))
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

    def add(self, operator: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> str:
        from onnx import helper

        names = [f"{len(self.nodes)}.{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0]

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"constant {len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def linear(self, name: str, inputs: int, outputs: int) -> str:
        weight = self.generator.standard_normal((inputs, outputs), np.float32) / np.float32(math.sqrt(inputs))
        product = self.add("MatMul", [name, self.constant(weight)])
        return self.add("Add", [product, self.constant(np.zeros(outputs, np.float32))])

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


def _attention(shape: Shape, heads: int, first: bool) -> Any:
    block, inner = _Block(), heads * shape.head_size
    asking = "hidden"
    if first:
        asking = block.add("Gather", ["hidden", block.constant(np.array([0], np.int64))], axis=1)
    query, key, value = (block.linear(name, shape.hidden, inner) for name in (asking, "hidden", "hidden"))
    inputs, scale = [query, key, value, "", "mask"], 1 / math.sqrt(shape.head_size)
    mixed = block.add("MultiHeadAttention", inputs, domain="com.microsoft", num_heads=heads, scale=scale)
    output = block.normed(block.linear(mixed, inner, shape.hidden), asking, shape.hidden)
    text = [shape.batch, shape.length]
    return block.model({"hidden": [*text, shape.hidden], "mask": text}, [output])


def _ffn(shape: Shape, neurons: int, first: bool) -> Any:
    block = _Block()
    made = _neurons(block, "hidden", shape.hidden, neurons, fused=shape.gated)
    output = block.normed(block.linear(made, neurons, shape.hidden), "hidden", shape.hidden)
    return block.model({"hidden": [shape.batch, 1 if first else shape.length, shape.hidden]}, [output])


def _neurons(block: _Block, name: str, hidden: int, neurons: int, *, fused: bool = False, gated: bool = False) -> str:
    """The outputs of neurons; fused: with gates made by the same matrix, gated: by one of their own."""
    made = block.linear(name, hidden, 2 * neurons if fused else neurons)
    if fused:
        value = block.add("Split", [made], outputs=2, axis=-1, num_outputs=2)
        return block.add("Mul", [block.add("Gelu", [value]), value.replace(".0", ".1")])
    if gated:
        return block.add("Mul", [block.add("Gelu", [made]), block.linear(name, hidden, neurons)])
    return block.add("Gelu", [made])


# Blocks of generative models


def _self_attention(stack: StackShape, batch: int, tokens: int, past: int, count: int) -> Any:
    """So many tokens that read one another, and those of a cache before them."""
    block, inner = _Block(), count * stack.head_size
    query = block.linear("hidden", stack.hidden, stack.group * inner)
    inputs = {"hidden": [batch, tokens, stack.hidden], "bias": [batch, 1, tokens, past + tokens]}
    present = []
    for name in ("key", "value"):
        made = block.heads_apart(block.linear("hidden", stack.hidden, inner), batch, tokens, count, stack.head_size)
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


def _cross_attention(stack: StackShape, batch: int, length: int, count: int) -> Any:
    """One token that reads the keys and values of an encoder's states."""
    block = _Block()
    query = block.linear("hidden", stack.hidden, stack.group * count * stack.head_size)
    output = _mixed(block, stack, batch, 1, length, count, query, ["key", "value"])
    whole = [batch, count, length, stack.head_size]
    inputs = {"hidden": [batch, 1, stack.hidden], "bias": [batch, 1, 1, length], "key": whole, "value": whole}
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


def _network(stack: StackShape, batch: int, tokens: int, neurons: int) -> Any:
    block = _Block()
    made = _neurons(block, "hidden", stack.hidden, neurons, gated=stack.gated)
    output = block.normed(block.linear(made, neurons, stack.hidden), "hidden", stack.hidden)
    return block.model({"hidden": [batch, tokens, stack.hidden]}, [output])
