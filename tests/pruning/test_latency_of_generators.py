"""Milliseconds by widths of generative models and of classifiers with a decoder: what is added up, and that the timed graphs
multiply by the matrices that the model has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from compress.models.families.blocks import Block, attentions, feed_forwards
from compress.models.families.matrices import inputs_of, outputs_of
from compress.pruning import latency_table
from compress.pruning.allocation import everywhere
from compress.pruning.importance import magnitude
from compress.pruning.latency_blocks import Graphs
from compress.pruning.latency_table import LatencyTable, table
from compress.pruning.removal import remove
from compress.pruning.units import Units, units
from tests.families import ENCODERS, GENERATIVE, is_seq2seq
from tests.models.families.test_read_token import strong_classifier
from tests.pruning.generators import strong
from tests.pruning.pruned import some

EACH = {
    "attention": 5.0,
    "ffn": 6.0,
    "encoder_attention": 1.0,
    "prefill_attention": 2.0,
    "encoder_ffn": 3.0,
    "prefill_ffn": 4.0,
    "step_attention": 0.1,
    "step_cross_attention": 0.2,
    "prefill_cross_attention": 7.0,
    "cross_keys": 0.3,
    "step_ffn": 0.4,
}
"""Milliseconds of one unit; neurons come in sixteens."""


def fake(graphs: Graphs, threads: int) -> dict[str, Sequence[float]]:
    found = {}
    for name in graphs:
        block, count = name.split(" ")
        found[name] = [EACH[block.removeprefix("last_")] * int(count) / (16 if "ffn" in block else 1) / 1000]
    return found


class Watching:
    """A timer that keeps the graphs that it was given."""

    def __init__(self) -> None:
        self.graphs: dict[str, Any] = {}

    def __call__(self, graphs: Graphs, threads: int) -> dict[str, Sequence[float]]:
        self.graphs |= graphs
        return fake(graphs, threads)


def measured(folder: Path, name: str, **changes: int) -> LatencyTable:
    conditions = {"batch": 2, "length": 16, "written": 10, "threads": 1, **changes}
    return table(strong(name), cache=folder, timer=fake, **conditions)


def test_an_encoder_decoder_reads_once_and_takes_a_step_for_each_token(tmp_path: Path) -> None:
    found = measured(tmp_path, "bart")  # two layers of 4 heads and 64 neurons on each side
    whole = Units((4, 4, 4, 4, 4, 4), (64,) * 4, 8)
    reads = 2 * (4 * 1.0 + 4 * 3.0)
    steps = 2 * (10 * 4 * 0.1 + 4 * 0.3 + 10 * 4 * 0.2 + 10 * 4 * 0.4)
    assert found.costs().of(whole) == pytest.approx(reads + steps)
    less = Units((4, 3, 4, 2, 1, 4), (64, 48, 32, 64), 8)
    gone = 1.0 + 2 * (0.3 + 2.0) + 3 * 1.0 + 3.0 + 2 * 4.0
    assert found.costs().of(less) == pytest.approx(reads + steps - gone)


def test_a_decoder_gets_its_first_token_from_the_prefill(tmp_path: Path) -> None:
    found = measured(tmp_path, "llama")  # two layers of 2 groups of heads and 64 neurons
    assert found.costs().of(Units((2, 2), (64, 64), 8)) == pytest.approx(2 * (4 + 9 * 0.2 + 16 + 9 * 1.6))
    one = measured(tmp_path, "llama", written=1)
    assert one.costs().of(Units((2, 2), (64, 64), 8)) == pytest.approx(2 * (4 + 16))


def test_a_decoder_s_classifier_takes_as_long_as_a_prefill(tmp_path: Path) -> None:
    timer = Watching()
    for name in ("llama", "gpt2"):
        model = strong_classifier(name)
        found = table(model, batch=1, length=16, threads=1, cache=tmp_path / name, timer=timer)
        units_ = units(model)
        assert found.costs().of(units_) == pytest.approx(2.0 * units_.heads[0] + 4.0 * units_.neurons[0] / 16)
    assert {name.split(" ")[0] for name in timer.graphs} == {"prefill_attention", "prefill_ffn"}  # no step is timed


def test_the_decoder_of_a_classifier_reads_the_whole_text_at_once(tmp_path: Path) -> None:
    model, timer = strong_classifier("bart"), Watching()  # one layer on each side
    found = table(model, batch=1, length=16, threads=1, cache=tmp_path, timer=timer)
    heads, neurons = units(model).heads, units(model).neurons
    assert found.costs().of(units(model)) == pytest.approx(
        5.0 * heads[0] + 6.0 * neurons[0] / 16 + 2.0 * heads[1] + (0.3 + 7.0) * heads[2] + 4.0 * neurons[1] / 16
    )
    (cross,) = [make() for name, make in timer.graphs.items() if name == f"prefill_cross_attention {heads[2]}"]
    (hidden,) = [one for one in cross.graph.input if one.name == "hidden"]
    assert [size.dim_value for size in hidden.type.tensor_type.shape.dim] == [1, 16, units(model).head_size * heads[2]]


def matrices(graphs: Graphs, *names: str) -> list[tuple[int, ...]]:
    """The sizes of the matrices that they multiply by, [inputs, outputs]."""
    weights = [weight for name in names for weight in graphs[name]().graph.initializer]
    return sorted(tuple(weight.dims) for weight in weights if len(weight.dims) == 2)


def linears(block: Block) -> list[tuple[int, ...]]:
    modules = [*(maker.module for maker in block.makers), block.output]
    return sorted((inputs_of(module), outputs_of(module)) for module in modules)


@pytest.mark.parametrize("name", GENERATIVE)
def test_the_graphs_multiply_by_as_many_and_as_large_matrices_as_the_model_s_blocks(name: str, tmp_path: Path) -> None:
    model, timer = strong(name), Watching()
    table(model, batch=2, length=16, written=10, threads=1, cache=tmp_path, timer=timer)
    heads, networks = attentions(model), feed_forwards(model)
    reads = "encoder" if is_seq2seq(name) else "prefill"
    count, neurons = heads[0].count, networks[0].count
    assert matrices(timer.graphs, f"{reads}_attention {count}") == linears(heads[0])
    assert matrices(timer.graphs, f"{reads}_ffn {neurons}") == linears(networks[0])
    decoder = [block for block in heads if block.stack.layers == heads[-1].stack.layers]
    assert matrices(timer.graphs, f"step_attention {count}") == linears(decoder[0])
    assert matrices(timer.graphs, f"step_ffn {neurons}") == linears(networks[-1])
    if is_seq2seq(name):
        assert matrices(timer.graphs, f"cross_keys {count}", f"step_cross_attention {count}") == linears(decoder[1])


@pytest.mark.parametrize("name", ENCODERS)
def test_so_do_those_of_an_encoder_s_classifier(name: str, tmp_path: Path) -> None:
    model, timer = strong_classifier(name, "SequenceClassification"), Watching()
    table(model, batch=2, length=16, threads=1, cache=tmp_path, timer=timer)
    (attention, *_), (network, *_) = attentions(model), feed_forwards(model)
    for block, which in ((attention, "attention"), (network, "ffn")):
        assert matrices(timer.graphs, f"last_{which} {block.count}") == linears(block)


@pytest.mark.parametrize("name", ["bart", "llama", "phi3"])
def test_the_graphs_run_in_onnx_runtime(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_table, "ROUNDS", (2, 2))
    monkeypatch.setattr(latency_table, "LEAST_SECONDS", 0.0)
    for model in (strong(name), strong_classifier(name)):
        found = table(model, batch=2, length=8, written=4, threads=1, cache=tmp_path)
        assert all(value > 0 for some in found.blocks.values() for value in some.values())
        assert set(found.blocks) == {block for runs in (*found.attention, *found.ffn) for block in runs}


@pytest.mark.parametrize("name", ["bart", "llama"])
def test_a_step_s_graph_gives_the_next_state_and_the_longer_cache(name: str, tmp_path: Path) -> None:
    import onnxruntime

    timer = Watching()
    table(strong(name), batch=2, length=16, written=10, threads=1, cache=tmp_path, timer=timer)
    graph: onnx.ModelProto = timer.graphs["step_attention 2"]()
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {one.name: np.ones(one.shape, np.float32) for one in session.get_inputs()}
    past = 5 if name == "bart" else 16 + 5  # halfway through ten tokens; a decoder's text is in its cache
    assert feeds["past key"].shape == (2, 2, past, 8)
    output, key, value = session.run(None, feeds)
    assert output.shape == (2, 1, 32)
    assert key.shape == value.shape == (2, 2, past + 1, 8)


def test_what_was_measured_is_kept_for_the_same_text_and_output_alone(tmp_path: Path) -> None:
    calls = []

    def timer(graphs: Graphs, threads: int) -> dict[str, Sequence[float]]:
        calls.append(threads)
        return fake(graphs, threads)

    def again(**changes: int) -> LatencyTable:
        conditions = {"batch": 2, "length": 16, "written": 10, "threads": 1, **changes}
        return table(strong("bart"), cache=tmp_path, timer=timer, **conditions)

    assert again() == again()
    assert len(calls) == 1
    for changes in ({"written": 11}, {"length": 17}, {"batch": 1}, {"threads": 2}):
        again(**changes)
    assert len(calls) == 5


@pytest.mark.parametrize("name", ["t5", "gpt2"])
def test_a_budget_in_milliseconds_is_kept_by_a_model_that_was_pruned_before(name: str, tmp_path: Path) -> None:
    model = remove(strong(name), some(strong(name), 2))
    found = table(model, batch=1, length=16, written=10, threads=1, cache=tmp_path, timer=fake)
    whole = found.costs().of(units(model))
    allocation = everywhere(magnitude(model), found.costs(), 0.8 * whole, neuron_multiple=1)
    left = units(remove(model, allocation.kept))
    assert found.costs().of(left) == pytest.approx(allocation.delivered)
    assert 0.6 * whole < allocation.delivered <= 0.8 * whole
