"""Latency of a model's layers on this machine by heads and neurons, for budgets in milliseconds.

ONNX Runtime runs small graphs of one attention block and of one feed-forward block at several widths, in interleaved rounds.
Times between two widths are interpolated. Kwon et al. 2022, "A fast post-training pruning framework for transformers", fit such
measurements by a line above a threshold; here they stay as they are but for being made monotone.

A classifier's latency is that of one batch of texts. A generative model's is that of one batch of whole outputs, greedy: the
encoder, or the decoder's prefill, once, and a decoding step with a key-value cache for each token that is written.
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
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import Block, attentions, feed_forwards, group_size, head_size, hidden_width
from compress.models.families.families import family
from compress.models.families.read_token import reads_first_token
from compress.models.kinds import kind_of_model
from compress.models.layers import layer_count
from compress.pruning.costs import Costs, Table
from compress.pruning.latency_blocks import Graphs, Shape, StackShape, block_graphs
from compress.pruning.units import own_layers

FORMAT = 2
ROUNDS, SECONDS = (7, 60), 25.0
"""The least and most rounds, and the seconds after which no further one is begun."""
LEAST_SECONDS = 0.005
"""One timing is of as many calls as take this long."""

Timer = Callable[[Graphs, int], Mapping[str, Sequence[float]]]
"""(what makes ONNX models, by name; threads) -> the seconds of one call of each, one entry a round."""
Runs = Mapping[str, int]
"""How often each block is run, by its name (see `compress.pruning.latency_blocks`)."""


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of blocks by their widths, for one batch; embeddings, classifier and output head are not in it."""

    blocks: Mapping[str, Mapping[int, float]]
    """By block, then number of heads or neurons: milliseconds, none less than that of fewer."""
    attention: tuple[Runs, ...]
    """Of each attention of `compress.models.families.blocks`: which blocks it is."""
    ffn: tuple[Runs, ...]
    """Of each feed-forward network, likewise."""

    def costs(self) -> Costs:
        """The table as costs, so that a budget in milliseconds can be kept (`compress.pruning.allocation.everywhere`)."""
        return Costs("milliseconds", tuple(map(self._table, self.attention)), tuple(map(self._table, self.ffn)))

    def _table(self, runs: Runs) -> Table:
        counts = range(max(max(self.blocks[block]) for block in runs) + 1)
        each = [(often, _interpolated(self.blocks[block], counts)) for block, often in runs.items()]
        return tuple(math.fsum(often * times[count] for often, times in each) for count in counts)


def table(
    model: Any, *, batch: int, length: int, written: int = 1, threads: int, cache: Path, timer: Timer | None = None
) -> LatencyTable:
    """The latency table of a model's layers on this machine; measured once, in some tens of seconds.

    An encoder's blocks are those of BERT, gated where the family is. Disentangled and rotary attention take longer than that:
    of DeBERTa and ModernBERT the table shows how times change with the widths, not the times themselves; likewise of rotary
    decoders. Of a classifier that reads its answer off the first token, the last layer computes that token alone; every other
    classifier needs all of them. The decoder of a classifier reads the whole text at once, without a cache to begin with.

    Args:
        model: a classifier or a generative model; its widths are looked at, not its weights.
        batch: rows in a batch, 1 or more.
        length: tokens in a row, 1 or more; of a generative model those that are read.
        written: tokens that a generative model writes, 1 or more. The first token of a decoder comes from its prefill.
        threads: of ONNX Runtime.
        cache: a folder; what is measured is kept there, by processor, version of ONNX Runtime, shape and threads.
        timer: instead of ONNX Runtime.

    Raises:
        CompressError: batch, length, written or threads are below 1.
    """
    for what, value in (("batch", batch), ("length", length), ("new_tokens", written), ("threads", threads)):
        if value < 1:
            raise CompressError(f"Latency is measured at a {what} of 1 or more, not {value}. Raise it.")
    where = {"cpu": cpu_model(), "onnxruntime": packages().get("onnxruntime", "unknown")}
    shape = _shape(model, batch, length, written if kind_of_model(model).generates else 0)
    runs = _all_runs(model, shape)
    timed = sorted({name for some in runs for block in some for name in block})
    graphs = {name: make for name, make in block_graphs(shape).items() if name.split(" ")[0] in timed}
    key = digest([FORMAT, asdict(shape), timed, threads, where])

    def make(_: Path) -> Mapping[str, Any]:
        seconds = {name: list(some) for name, some in (timer or _timed)(graphs, threads).items()}
        return {"shape": asdict(shape), "threads": threads, "where": where, "seconds": seconds}

    seconds = entry(cache / "latency" / key, make).facts["seconds"]
    return LatencyTable({block: _monotone(seconds, block) for block in timed}, *runs)


def _shape(model: Any, batch: int, length: int, written: int) -> Shape:
    encoder: StackShape | None = None
    decoder: StackShape | None = None
    for stack in family(model.config).stacks:
        if stack.cross is None and not _is_decoder(model):
            encoder = _stack_shape(model, stack)
        else:
            decoder = _stack_shape(model, stack)
    return Shape(encoder, decoder, batch, length, written)


def _is_decoder(model: Any) -> bool:
    """Whether it has a decoder alone; encoders have a classifier of their family's."""
    return not model.config.is_encoder_decoder and not family(model.config).classifier


def _stack_shape(model: Any, stack: Architecture) -> StackShape:
    heads, neurons = (
        max(block.count for block in blocks if block.stack.layers == stack.layers)
        for blocks in (attentions(model), feed_forwards(model))
    )
    return StackShape(
        hidden=hidden_width(model.config),
        head_size=head_size(model.config, stack),
        group=group_size(model.config, stack),
        heads=heads,
        neurons=neurons,
        fused_qkv=stack.fused_qkv,
        gate="fused" if stack.gated_ffn else "apart" if stack.ffn_gate else "none",
    )


def _all_runs(model: Any, shape: Shape) -> tuple[tuple[Runs, ...], tuple[Runs, ...]]:
    """Which blocks each attention runs, and each feed-forward network."""
    of_encoder = None if shape.encoder is None else family(model.config).layers
    layers = len(own_layers(model))
    each = (
        layer_count(model.config) // layers if shape.decoder is None else 1
    )  # a shared layer is applied several times
    first_alone = reads_first_token(model)
    # A classifier's decoder reads the text at once. A generative one's first token is written by its prefill, or is a step.
    prefills = 0 if shape.encoder and shape.written else 1
    steps = max(shape.written - prefills, 0)

    def runs(block: Block, what: str) -> Runs:
        if block.stack.layers == of_encoder:
            if shape.written:
                return {f"encoder_{what}": 1}
            last = int(first_alone and block.layer == layers - 1)
            found = {what: each - last, f"last_{what}": last}
        else:
            what = "cross_attention" if block.is_cross else what
            found = {"cross_keys": int(block.is_cross), f"prefill_{what}": prefills, f"step_{what}": steps}
        return {name: often for name, often in found.items() if often}

    return (
        tuple(runs(block, "attention") for block in attentions(model)),
        tuple(runs(block, "ffn") for block in feed_forwards(model)),
    )


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


def _timed(graphs: Graphs, threads: int) -> dict[str, list[float]]:
    """The seconds of one call of each graph, in rounds that visit all of them in turn."""
    import onnx

    from compress.runtimes.session_choices import SessionChoice
    from compress.runtimes.sessions import open_session

    # Many sessions are open at once: the threads of one must not spin while another is timed.
    quiet = SessionChoice("one of many", config={"session.force_spinning_stop": "1"})
    calls: dict[str, Callable[[], Any]] = {}
    generator = np.random.default_rng(0)
    with temporary_folder() as folder:
        for number, (name, make) in enumerate(graphs.items()):
            path = folder / f"{number}.onnx"
            onnx.save(make(), str(path))
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
