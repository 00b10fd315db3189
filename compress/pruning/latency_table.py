"""Latency of an encoder's layers on this machine by heads and neurons, for budgets in milliseconds.

ONNX Runtime runs small graphs of one attention block and of one feed-forward block at several widths, as the exporter and
the fusion write them, in interleaved rounds. Times between two widths are interpolated. Kwon et al. 2022, "A fast
post-training pruning framework for transformers", fit such measurements by a line above a threshold; here they stay as they
are but for being made monotone.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import digest
from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.core.machine import cpu_model, packages
from compress.core.temporary import temporary_folder
from compress.models.families.families import family
from compress.models.layers import layer_count
from compress.pruning.costs import Costs, Table
from compress.pruning.units import Units, units

FORMAT = 1
ROUNDS, SECONDS = (7, 60), 25.0
"""The least and most rounds, and the seconds after which no further one is begun."""
LEAST_SECONDS = 0.005
"""One timing is of as many calls as take this long."""
BLOCKS = ("attention", "ffn", "last_attention", "last_ffn")
"""What is timed. Of the last layer the exported graph computes the one token alone that the classifier reads."""

Timer = Callable[[Mapping[str, Any], int], Mapping[str, Sequence[float]]]
"""(ONNX models by name, threads) -> the seconds of one call of each, one entry a round."""


@dataclass(frozen=True)
class Shape:
    """The sizes that determine the latency of blocks, besides their heads or neurons."""

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
class LatencyTable:
    """Milliseconds of one layer's two blocks by their widths, for one batch; embeddings and classifier are not in it."""

    shape: Shape
    threads: int
    layers: int
    """How many have weights of their own."""
    applied: int
    """How often they are applied, all together."""
    reads_first: bool
    """Whether the classifier reads the first token alone."""
    blocks: Mapping[str, Mapping[int, float]]
    """By block (`BLOCKS`), then number of heads or neurons: milliseconds, none less than that of fewer."""
    where: Mapping[str, str]
    """The processor and the version of ONNX Runtime."""

    def milliseconds(self, counts: Units) -> float:
        """The latency of an encoder's layers with these counts."""
        return self.costs().of(counts)

    def costs(self) -> Costs:
        """The table as costs, so that a budget in milliseconds can be kept (`compress.pruning.allocation.everywhere`)."""
        heads, neurons = range(self.shape.heads + 1), range(self.shape.neurons + 1)
        attention = [_interpolated(self.blocks["attention"], heads)] * self.applied
        ffn = [_interpolated(self.blocks["ffn"], neurons)] * self.applied
        if self.reads_first:
            attention[-1] = _interpolated(self.blocks["last_attention"], heads)
            ffn[-1] = _interpolated(self.blocks["last_ffn"], neurons)
        return Costs("milliseconds", _by_layer(attention, self.layers), _by_layer(ffn, self.layers))


def table(
    model: Any, *, batch: int, length: int, threads: int, cache: Path, timer: Timer | None = None
) -> LatencyTable:
    """The latency table of a model's layers on this machine; measured once, in some tens of seconds.

    The blocks are those of BERT, gated where the family is. Disentangled and rotary attention take longer than that: of
    DeBERTa and ModernBERT the table shows how times change with the widths, not the times themselves.

    Args:
        model: a sequence classifier; its widths are looked at, not its weights.
        batch: rows in a batch, 1 or more.
        length: tokens in a row, 1 or more.
        threads: of ONNX Runtime.
        cache: a folder; what is measured is kept there, by processor, version of ONNX Runtime, shape and threads.
        timer: instead of ONNX Runtime.

    Raises:
        CompressError: batch, length or threads are below 1.
    """
    for what, value in (("batch", batch), ("length", length), ("threads", threads)):
        if value < 1:
            raise CompressError(f"Latency is measured at a {what} of 1 or more, not {value}. Raise it.")
    architecture, counts = family(model.config), units(model)
    shape = Shape(
        hidden=int(getattr(model.config, architecture.hidden_width)),
        head_size=counts.head_size,
        heads=max(counts.heads),
        neurons=max(counts.neurons),
        gated=architecture.gated_ffn,
        batch=batch,
        length=length,
    )
    where = {"cpu": cpu_model(), "onnxruntime": packages().get("onnxruntime", "unknown")}
    key = digest([FORMAT, asdict(shape), threads, where])

    def make(_: Path) -> Mapping[str, Any]:
        seconds = {name: list(some) for name, some in (timer or _timed)(_graphs(shape), threads).items()}
        return {"shape": asdict(shape), "threads": threads, "where": where, "seconds": seconds}

    seconds = entry(cache / "latency" / key, make).facts["seconds"]
    return LatencyTable(
        shape=shape,
        threads=threads,
        layers=len(counts.heads),
        applied=layer_count(model.config),
        reads_first=getattr(model.config, "classifier_pooling", "cls") != "mean",  # ModernBERT's choice
        blocks={block: _monotone(seconds, block) for block in BLOCKS},
        where=where,
    )


def widths(whole: int, multiple: int) -> list[int]:
    """The measured counts: eighths of all units rounded to multiples, the smallest multiple, and all.

    >>> widths(1536, 16)
    [16, 192, 384, 576, 768, 960, 1152, 1344, 1536]
    >>> widths(12, 1)
    [1, 3, 4, 6, 7, 9, 10, 12]
    """
    eighths = (max(int(whole * part / 8) // multiple * multiple, multiple) for part in range(8))
    return sorted({min(count, whole) for count in (*eighths, whole)})


def _graphs(shape: Shape) -> dict[str, Any]:
    """An ONNX model of each block at each width, by `block count`."""
    found: dict[str, Any] = {}
    for block in BLOCKS:
        first = block.startswith("last_")
        if block.endswith("attention"):
            found |= {f"{block} {count}": _attention(shape, count, first) for count in widths(shape.heads, 1)}
        else:
            found |= {f"{block} {count}": _ffn(shape, count, first) for count in widths(shape.neurons, 16)}
    return found


def _monotone(seconds: Mapping[str, Sequence[float]], block: str) -> dict[int, float]:
    """The median milliseconds by width, adjusted minimally so that they never decrease with the width (isotonic regression)."""
    from sklearn.isotonic import isotonic_regression

    medians = {}
    for name, rounds in seconds.items():
        of, count = name.split(" ")
        if of == block:
            medians[int(count)] = 1000 * statistics.median(rounds)
    counts = sorted(medians)
    smoothed = isotonic_regression([medians[count] for count in counts])
    return {count: float(value) for count, value in zip(counts, smoothed, strict=True)}


def _interpolated(measured: Mapping[int, float], counts: range) -> Table:
    known = sorted(measured)
    return tuple(float(one) for one in np.interp(counts, known, [measured[count] for count in known]))


def _by_layer(tables: Sequence[Table], layers: int) -> tuple[Table, ...]:
    """The tables of all applications, added up by the layers whose weights they use."""
    each = len(tables) // layers
    return tuple(
        tuple(math.fsum(costs) for costs in zip(*tables[start : start + each], strict=True))
        for start in range(0, each * layers, each)
    )


def _timed(graphs: Mapping[str, Any], threads: int) -> dict[str, list[float]]:
    """The seconds of one call of each graph, in rounds that visit all of them in turn."""
    import onnx

    from compress.runtimes.session_choices import SessionChoice
    from compress.runtimes.sessions import open_session

    # Many sessions are open at once: the threads of one must not spin while another is timed.
    quiet = SessionChoice("one of many", config={"session.force_spinning_stop": "1"})
    calls: dict[str, Callable[[], Any]] = {}
    generator = np.random.default_rng(0)
    with temporary_folder() as folder:
        for number, (name, graph) in enumerate(graphs.items()):
            path = folder / f"{number}.onnx"
            onnx.save(graph, str(path))
            session = open_session(path, threads=threads, options=quiet)
            feeds = {
                one.name: generator.standard_normal(one.shape, np.float32)
                if one.type == "tensor(float)"
                else np.ones(one.shape, np.int32)
                for one in session.get_inputs()
            }
            calls[name] = partial(session.run, None, feeds)
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, math.ceil(LEAST_SECONDS / max(_seconds(call, 1), 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in graphs}
    began, (least, most) = time.perf_counter(), ROUNDS
    for done in range(most):
        if done >= least and time.perf_counter() - began > SECONDS:
            break
        for name, call in calls.items():
            found[name].append(_seconds(call, repeats[name]))
    return found


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


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

    def model(self, shape: Shape, output: str, tokens: int, *, mask: bool = False) -> Any:
        from onnx import TensorProto, helper

        inputs = [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [shape.batch, tokens, shape.hidden])]
        if mask:
            inputs.append(helper.make_tensor_value_info("mask", TensorProto.INT32, [shape.batch, shape.length]))
        found = helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape.batch, None, shape.hidden])
        graph = helper.make_graph(self.nodes, "block", inputs, [found], initializer=self.weights)
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
    return block.model(shape, output, shape.length, mask=True)


def _ffn(shape: Shape, neurons: int, first: bool) -> Any:
    block = _Block()
    made = block.linear("hidden", shape.hidden, 2 * neurons if shape.gated else neurons)
    if shape.gated:
        value = block.add("Split", [made], outputs=2, axis=-1, num_outputs=2)
        made = block.add("Mul", [block.add("Gelu", [value]), value.replace(".0", ".1")])
    else:
        made = block.add("Gelu", [made])
    output = block.normed(block.linear(made, neurons, shape.hidden), "hidden", shape.hidden)
    return block.model(shape, output, 1 if first else shape.length)
