"""Outliers of an input move into the weight, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compress.core.errors import CompressError
from compress.onnx.graph import Graph
from compress.onnx.parity import compare
from compress.quantization.graphs.layers import products
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.graphs.smoothing import FARTHEST, Peaks, factors, reciprocal, smooth_inputs
from compress.quantization.graphs.static import StaticSettings, calibrate, quantize_static
from compress.quantization.scheme import Layer, Scheme
from compress.runtimes.sessions import logits, open_session
from tests.exported import Exported, Rows, export_family
from tests.onnx.test_number_types import fake_quantized
from tests.quantization.graphs.test_int8 import QUERY

SMOOTHED = StaticSettings(smooth=0.5, wide="static")
VALUE, CONTEXT_READER = "bert.encoder.layer.0.attention.self.value", "bert.encoder.layer.0.attention.output.dense"


def test_factors_are_those_of_the_paper() -> None:
    peaks, weight = np.array([16.0, 1.0, 4.0], np.float32), np.array([[0.5, -2, 1], [-4, 1, 1]], np.float32)
    np.testing.assert_allclose(factors(peaks, [weight], 0.5), [np.sqrt(16 / 4), np.sqrt(1 / 2), np.sqrt(4 / 1)])
    np.testing.assert_allclose(factors(peaks, [weight], 1.0), peaks)
    np.testing.assert_allclose(factors(peaks, [weight[:1], weight[1:]], 0.0), [1 / 4, 1 / 2, 1])


def test_smoothing_changes_nothing_where_nothing_is_rounded() -> None:
    random = np.random.default_rng(0)
    inputs, weight = random.normal(size=(50, 8)) * 10.0 ** random.integers(-2, 3, 8), random.normal(size=(5, 8))
    smooth = factors(np.abs(inputs).max(axis=0).astype(np.float32), [weight.astype(np.float32)], 0.5).astype(float)
    np.testing.assert_allclose((inputs / smooth) @ (weight * smooth).T, inputs @ weight.T, rtol=1e-9, atol=1e-12)


def test_a_channel_that_was_never_lit_or_is_never_read_gets_the_median() -> None:
    peaks, weight = np.array([0.0, 1.0, 4.0, 9.0, 7.0], np.float32), np.ones((2, 5), np.float32)
    weight[:, 4] = 0
    np.testing.assert_allclose(factors(peaks, [weight], 0.5), [2, 1, 2, 3, 2])
    assert factors(np.zeros(5, np.float32), [weight], 0.5).tolist() == [1] * 5


def test_no_factor_is_without_bound() -> None:
    peaks = np.array([1e-30, 1.0, 1.0, 1.0, 1e30], np.float32)
    assert factors(peaks, [np.ones((2, 5), np.float32)], 1.0).tolist() == [np.float32(1 / FARTHEST), 1, 1, 1, FARTHEST]


def test_peaks_are_of_all_batches_and_refuse_what_is_not_a_number() -> None:
    peaks, random = Peaks(), np.random.default_rng(0)
    seen = [random.normal(size=shape).astype(np.float32) for shape in ((3, 4), (2, 5, 4), (0, 4))]
    for values in seen:
        peaks.see(values)
    assert np.array_equal(peaks.largest, np.abs(np.concatenate([one.reshape(-1, 4) for one in seen])).max(axis=0))
    with pytest.raises(CompressError, match="NaN or infinity"):
        peaks.see(np.array([[0, np.nan, 0, 0]], np.float32))


def test_a_smoothed_graph_in_floating_point_answers_as_before(fused: Exported, batches: Rows, tmp_path: Path) -> None:
    graph = Graph.load(fused.path)
    scheme = calibrate(fused.path, batches, SMOOTHED)
    found = products(graph)
    smooth_inputs(graph, [(one.node, _smooth(scheme, one.module)) for one in found])
    for one in found:
        graph.constants[one.node.input[1]] = (one.weight * _smooth(scheme, one.module)).T
    graph.save(tmp_path / "smoothed.onnx")
    before, after = open_session(fused.path, threads=1), open_session(tmp_path / "smoothed.onnx", threads=1)
    for row in fused.rows:
        batch = {name: value[None] for name, value in row.items()}
        np.testing.assert_allclose(logits(after, batch), logits(before, batch), atol=1e-5)


def test_modules_that_read_one_value_share_one_multiplication(fused: Exported, batches: Rows, tmp_path: Path) -> None:
    scheme = quantize_static(fused.path, tmp_path / "int8.onnx", batches, SMOOTHED)
    smooth = _smooth(scheme, QUERY)
    for other in ("key", "value"):
        assert np.array_equal(_smooth(scheme, QUERY.replace("query", other)), smooth)
    graph = Graph.load(tmp_path / "int8.onnx")
    (product,) = (node for node in Graph.load(fused.path).nodes if node.input[1:2] == [f"{QUERY}.weight.T"])
    multiplied = [node for node in graph.readers(product.input[0]) if node.op_type == "Mul"]
    assert len(multiplied) == 1
    assert np.array_equal(graph.constants[multiplied[0].input[1]], np.float32(1) / smooth)
    # 4 in the first layer; in the last the query reads the first token alone.
    assert sum(name.endswith("smooth_reciprocal") for name in graph.constants) == 4 + 5


def test_the_file_holds_the_scheme_s_integers_and_scales_to_the_bit(
    fused: Exported, batches: Rows, tmp_path: Path
) -> None:
    scheme = quantize_static(fused.path, tmp_path / "int8.onnx", batches, StaticSettings(smooth=0.5, wide="dynamic"))
    held = {item.name: numpy_helper.to_array(item) for item in onnx.load(str(tmp_path / "int8.onnx")).graph.initializer}
    for name, layer in scheme.items():
        if "embeddings" in name:
            assert layer.smooth is None
            continue
        weight = fused.model.get_parameter(f"{name}.weight").detach().numpy()
        assert layer.weight is not None
        wanted = layer.weight.quantize(weight * _smooth(scheme, name))
        assert np.array_equal(held[f"{name}.weight.T.quantized"].T, wanted)
        assert np.array_equal(held[f"{name}.weight.T.scale"], layer.weight.scale)
        if layer.input is not None:
            assert held[f"{name}.weight.T.input.scale"] == layer.input.scale
            assert held[f"{name}.weight.T.input.zero_point"] == layer.input.zero_point


def test_smoothing_brings_back_a_model_with_planted_outliers(fused: Exported, batches: Rows, tmp_path: Path) -> None:
    """Channels of a value up, and down in the weights that read them: in floating point the model is what it was."""
    graph = Graph.load(fused.path)
    graph.constants = {name: value.copy() for name, value in graph.constants.items()}
    for channel in (7, 40):
        graph.constants[f"{VALUE}.weight.T"][:, channel] *= 500
        graph.constants[f"{VALUE}.bias"][channel] *= 500
        graph.constants[f"{CONTEXT_READER}.weight.T"][channel] /= 500
    graph.save(tmp_path / "planted.onnx")
    same = compare(tmp_path / "planted.onnx", fused.path, fused.rows, precision="int8")
    assert max(same.largest_gap.values()) < 1e-5
    gaps = {}
    for smooth in (0.0, 0.5):
        settings = StaticSettings(smooth=smooth, wide="static")
        quantize_static(tmp_path / "planted.onnx", tmp_path / "int8.onnx", batches, settings)
        found = compare(tmp_path / "int8.onnx", tmp_path / "planted.onnx", fused.rows, precision="int8")
        gaps[smooth] = found.largest_gap["batch 1"]
    assert gaps[0.5] < 0.01 * gaps[0.0]


@pytest.mark.slow
def test_a_norm_before_its_readers_alone_takes_the_factors_up(tmp_path: Path, batches: Rows) -> None:
    """As in ModernBERT: its feed-forward reads a LayerNormalization that no residual reads."""
    made = export_family(tmp_path, "modernbert", num_hidden_layers=2)
    scheme = quantize_static(made.path, tmp_path / "int8.onnx", batches, SMOOTHED)
    graph = Graph.load(tmp_path / "int8.onnx")
    multiplied = {name.removesuffix(".weight.T.smooth_reciprocal") for name in graph.constants if "reciprocal" in name}
    smoothed = {name for name, layer in scheme.items() if layer.smooth is not None}
    assert {name for name in smoothed if name.endswith(("mlp.Wi", "1.attn.Wqkv"))} == smoothed - multiplied
    norm = made.model.get_parameter("model.layers.0.mlp_norm.weight").detach().numpy()
    wanted = norm * reciprocal(_smooth(scheme, "model.layers.0.mlp.Wi"))
    assert any(np.array_equal(value, wanted) for value in graph.constants.values())
    session = open_session(tmp_path / "int8.onnx", threads=1)
    gaps = []
    for row in made.rows:
        given = {name: value for name, value in row.items() if name != "token_type_ids"}
        found = logits(session, {name: value[None] for name, value in given.items()})
        gaps.append(np.abs(found - fake_quantized(made.model, scheme, given)).max())
    assert np.median(gaps) < 1e-5


def test_factors_of_another_graph_are_refused(fused: Exported, batches: Rows, tmp_path: Path) -> None:
    layer = calibrate(fused.path, batches)[QUERY]
    wrong = Scheme({QUERY: Layer(layer.weight, layer.input, smooth=np.ones(3, np.float32))})
    with pytest.raises(CompressError, match=r"3 smoothing factors for .*query"):
        write_scheme(fused.path, tmp_path / "int8.onnx", wrong)


def _smooth(scheme: Scheme, module: str) -> Any:
    found = scheme[module].smooth
    assert found is not None
    return found
