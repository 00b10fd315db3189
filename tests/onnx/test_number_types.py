"""4-bit weights, weights alone, and 16-bit inputs: the file holds what the scheme says and computes what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from compress.core.errors import CompressError
from compress.onnx.graph import Graph
from compress.onnx.parity import compare
from compress.quantization.graphs.static import StaticSettings, calibrate, quantize_static
from compress.quantization.scheme import Layer, Scheme
from compress.runtimes.sessions import logits, open_session
from tests.exported import Exported, Rows
from tests.quantization.graphs.test_int8 import QUERY

WIDE = "bert.encoder.layer.0.output.dense"


def fake_quantized(model: Any, scheme: Scheme, row: dict[str, np.ndarray]) -> np.ndarray:
    """The logits of the torch model, [1, labels], with each layer of the scheme rounded as the scheme says."""
    handles, kept = [], {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for name, layer in scheme.items():
            module = model.get_submodule(name)
            assert layer.weight is not None
            module.weight.copy_(torch.from_numpy(layer.weight.dequantize(layer.integers(module.weight.numpy()))))
            handles.append(module.register_forward_pre_hook(_rounds(layer)))
        found = model(**{name: torch.from_numpy(value[None]) for name, value in row.items()}).logits.numpy()
    for handle in handles:
        handle.remove()
    model.load_state_dict(kept)
    return np.asarray(found)


def _rounds(layer: Layer) -> Any:
    """What a layer does to its input. One without a range takes it from the values at hand, as DynamicQuantizeLinear."""

    def hook(module: Any, inputs: tuple[torch.Tensor, ...]) -> Any:
        value = inputs[0]
        if layer.smooth is not None:
            value = value * (1 / torch.from_numpy(layer.smooth))
        if layer.input is not None:
            value = torch.from_numpy(layer.input.dequantize(layer.input.quantize(value.numpy())))
        elif not layer.float_input and value.is_floating_point():
            low, high = value.amin().clamp(max=0), value.amax().clamp(min=0)
            scale = (high - low) / 255
            zero = torch.clamp(torch.round(-low / scale), 0, 255)
            value = (torch.clamp(torch.round(value / scale) + zero, 0, 255) - zero) * scale
        return (value,)

    return hook


CHOICES = [
    StaticSettings(wide="static"),
    StaticSettings(smooth=0.5, wide="static"),
    StaticSettings(weights="int4", wide="static"),
    StaticSettings(activations="float"),
    StaticSettings(activations="float", weights="int4"),
    StaticSettings(wide="uint16"),
    StaticSettings(wide="uint16", weights="int4", smooth=0.7),
    StaticSettings(smooth=0.5),
    StaticSettings(weights="int4"),
]


@pytest.mark.parametrize(
    "settings", CHOICES, ids=lambda one: f"{one.wide} {one.weights} by {one.activations}, smoothed by {one.smooth}"
)
def test_the_file_answers_as_the_scheme_does_in_torch(
    bert: Exported, batches: Rows, tmp_path: Path, settings: StaticSettings
) -> None:
    """Not the fused graph, which gives its last layer the first token alone and so another range at each call."""
    scheme = quantize_static(bert.path, tmp_path / "int8.onnx", batches, settings)
    session, real = open_session(tmp_path / "int8.onnx", threads=1), open_session(bert.path, threads=1)
    gaps, errors = [], []
    for row in bert.rows:
        batch = {name: value[None] for name, value in row.items()}
        wanted = fake_quantized(bert.model, scheme, row)
        gaps.append(np.abs(logits(session, batch) - wanted).max())
        errors.append(np.abs(logits(real, batch) - wanted).max())
    # A value on a rounding boundary may fall to the other side in one row or another, a whole step away.
    assert np.median(gaps) < 1e-5
    assert max(errors) > 3e-4  # what rounding itself does is far above that


def test_four_bit_weights_are_stored_in_four_bits_and_are_those_of_the_scheme(
    fused: Exported, batches: Rows, tmp_path: Path
) -> None:
    eight = quantize_static(fused.path, tmp_path / "int8.onnx", batches, StaticSettings(wide="static"))
    four = quantize_static(fused.path, tmp_path / "int4.onnx", batches, StaticSettings(wide="static", weights="int4"))
    held = {item.name: item for item in onnx.load(str(tmp_path / "int4.onnx")).graph.initializer}
    values = 0
    for name, layer in four.items():
        assert layer.weight is not None
        if "embeddings" in name:
            assert layer == eight[name]
            continue
        weight = fused.model.get_parameter(f"{name}.weight").detach().numpy()
        item = held[f"{name}.weight.T.quantized"]
        assert (item.data_type, len(item.raw_data)) == (TensorProto.INT4, weight.size // 2)
        assert np.array_equal(numpy_helper.to_array(item).astype(np.int8).T, layer.integers(weight))
        assert np.array_equal(numpy_helper.to_array(held[f"{name}.weight.T.scale"]), layer.weight.scale)
        assert np.abs(layer.integers(weight)).max() == 7
        values += weight.size
    saved = (tmp_path / "int8.onnx").stat().st_size - (tmp_path / "int4.onnx").stat().st_size
    assert saved == pytest.approx(values / 2, rel=0.1)


def test_weights_alone_need_no_batch_and_no_layer_gets_a_range(fused: Exported, tmp_path: Path) -> None:
    settings = StaticSettings(activations="float")
    scheme = quantize_static(fused.path, tmp_path / "weights.onnx", (), settings)
    assert all(layer.float_input or "embeddings" in name for name, layer in scheme.items())
    held = {item.name: item.data_type for item in onnx.load(str(tmp_path / "weights.onnx")).graph.initializer}
    assert held[f"{QUERY}.weight.T.quantized"] == TensorProto.INT8
    assert f"{QUERY}.weight.T" not in held


def test_sixteen_bits_keep_an_input_with_outliers_nearer_than_eight(
    fused: Exported, batches: Rows, tmp_path: Path
) -> None:
    """One neuron of the feed-forward is far larger than all others; its reader alone is quantized."""
    graph = Graph.load(fused.path)
    graph.constants = {name: value.copy() for name, value in graph.constants.items()}
    graph.constants["bert.encoder.layer.0.intermediate.dense.bias"][5] = 3000.0
    graph.constants[f"{WIDE}.weight.T"][5] /= 3000.0
    graph.save(tmp_path / "planted.onnx")
    exclude, gaps = ("*.attention.*", "*intermediate*", "*.1.*"), {}
    for wide in ("static", "uint16"):
        settings = StaticSettings(wide=wide, exclude=exclude, embeddings=False)
        scheme = quantize_static(tmp_path / "planted.onnx", tmp_path / f"{wide}.onnx", batches, settings)
        assert [layer.input and layer.input.type for layer in scheme.values()] == [
            "uint8" if wide == "static" else wide
        ]
        found = compare(tmp_path / f"{wide}.onnx", tmp_path / "planted.onnx", fused.rows, precision="int8")
        gaps[wide] = found.largest_gap["batch 1"]
    assert gaps["uint16"] < 0.2 * gaps["static"]


@pytest.mark.parametrize("choice", [{"wide": "no"}, {"weights": "int3"}, {"activations": "int2"}, {"smooth": 1.5}])
def test_a_choice_that_there_is_not_is_told(fused: Exported, batches: Rows, choice: dict[str, Any]) -> None:
    with pytest.raises(CompressError, match=r"Unknown choice|not within 0 to 1"):
        calibrate(fused.path, batches, StaticSettings(**choice))


def test_a_file_with_four_bit_weights_is_quantized_already(fused: Exported, tmp_path: Path) -> None:
    settings = StaticSettings(activations="float", weights="int4", embeddings=False)
    quantize_static(fused.path, tmp_path / "int4.onnx", (), settings)
    with pytest.raises(CompressError, match="quantized already"):
        calibrate(tmp_path / "int4.onnx", (), settings)
