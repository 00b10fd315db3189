from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.onnx.attention import Trials
from compress.onnx.first_token import keep_first_token
from compress.onnx.fusion import fuse, operators
from compress.onnx.graph import Graph
from compress.onnx.parity import check, compare
from compress.quantization.graphs.layers import products
from compress.runtimes.sessions import open_session
from tests.exported import Exported, export_family


def test_fusion_keeps_the_logits_of_torch_padded_and_not(fused: Exported) -> None:
    check(fused.path, fused.model, fused.rows, padding=fused.padding)


def test_left_padding_and_holes_in_the_mask_are_kept_too(bert: Exported, fused: Exported) -> None:
    import torch

    from compress.runtimes.sessions import logits

    random = np.random.default_rng(4)
    ids = random.integers(5, 40, (5, 20))
    mask = random.integers(0, 2, (5, 20))
    mask[:, 8] = 1
    rows = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    with torch.no_grad():
        wanted = bert.model(**{name: torch.tensor(value) for name, value in rows.items()}).logits.numpy()
    found = logits(open_session(fused.path, threads=1), rows)
    assert np.abs(found - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


def test_each_attention_becomes_one_operator_and_the_mask_one_cast(fused: Exported) -> None:
    counts = operators(fused.path)
    assert counts["MultiHeadAttention"] == 2
    assert not {"Softmax", "Transpose", "Reshape", "Where", "GatherND"} & set(counts)


def test_skip_layer_normalization_stays_out_under_default_options(residual: Path, tmp_path: Path) -> None:
    assert fuse(residual, tmp_path / "fused.onnx").residuals == 1
    for path, kernels in (
        (residual, {"SkipLayerNormalization"}),
        (tmp_path / "fused.onnx", {"Sum", "LayerNormalization"}),
    ):
        open_session(path, threads=1, optimized_graph=tmp_path / "seen.onnx")
        assert set(operators(tmp_path / "seen.onnx")) == kernels
    x, y = np.random.default_rng(0).normal(size=(2, 3, 5, 64)).astype(np.float32)
    one, other = (
        open_session(path, threads=1).run(None, {"x": x, "y": y})[0] for path in (residual, tmp_path / "fused.onnx")
    )
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_the_last_layer_runs_on_one_token(bert: Exported, fused: Exported, tmp_path: Path) -> None:
    """The second layer's feed-forward sees [batch, 1, width]; the first layer's sees every token."""
    import onnxruntime

    model = onnx.load(str(fused.path))
    tokens = {}
    for layer in (0, 1):
        weight = f"bert.encoder.layer.{layer}.intermediate.dense.weight.T"
        (node,) = [node for node in model.graph.node if weight in node.input]
        model.graph.output.append(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None))
        tokens[layer] = node.output[0]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = {item.name: np.ones((3, 11), np.int64) for item in session.get_inputs()}
    first, second = session.run(list(tokens.values()), rows)
    assert first.shape[:2] == (3, 11)
    assert second.shape[:2] == (3, 1)


def test_a_graph_that_is_fused_already_stays_equal(fused: Exported, tmp_path: Path) -> None:
    again = fuse(fused.path, tmp_path / "again.onnx")
    assert again.attentions == 0
    check(tmp_path / "again.onnx", fused.model, fused.rows, padding=fused.padding)


def test_a_sliding_window_is_not_taken_for_padding() -> None:
    """A mask that hides far keys as well as padded ones is no padding mask, however short the sentence."""
    assert _fill_of(window=None) == pytest.approx(-3e38)
    assert _fill_of(window=128) is None


def test_a_mask_made_from_ids_is_not_taken_for_the_attention_mask() -> None:
    assert _fill_of(window=None, by_ids=True) is None


def test_what_the_mean_over_tokens_reads_is_computed_for_every_token() -> None:
    """A head that reads all tokens (and one that reads both the first and all) leaves nothing to save."""
    for also_first in (False, True):
        graph = Graph(_pooled_by_mean(also_first))
        assert keep_first_token(graph) == 0


def test_a_foreign_export_is_fused_without_harm(bert: Exported, foreign: Path, tmp_path: Path) -> None:
    fuse(foreign, tmp_path / "fused.onnx")
    check(tmp_path / "fused.onnx", bert.model, bert.rows, padding=bert.padding)
    assert compare(tmp_path / "fused.onnx", foreign, bert.rows).equal_predictions == 1.0


@pytest.mark.slow
def test_a_weight_that_layers_share_is_a_constant_for_each_of_them(tmp_path: Path) -> None:
    made = export_family(tmp_path, "albert")
    fuse(made.path, tmp_path / "fused.onnx")
    graph = Graph.load(tmp_path / "fused.onnx")
    assert len(products(graph)) == 4 * 6  # query, key, value, output and two of the FFN, by layer
    assert check(tmp_path / "fused.onnx", made.model, made.rows).is_within_tolerance
    size = (tmp_path / "fused.onnx").stat().st_size
    assert size < made.path.stat().st_size * 1.05


def _fill_of(window: int | None, by_ids: bool = False) -> float | None:
    """What Trials makes of `where(mask and |i - j| < window, 0, -3e38)`, [batch, 1, sequence, sequence]."""
    nodes = [
        helper.make_node("Cast", ["input_ids" if by_ids else "attention_mask"], ["kept"], to=TensorProto.BOOL),
        helper.make_node("Unsqueeze", ["kept", "axes"], ["keys"]),
        helper.make_node("Identity", ["attention_mask"], ["seen"]),
        helper.make_node("Shape", ["seen"], ["length"], start=1, end=2),
        helper.make_node("Squeeze", ["length"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["places"]),
        helper.make_node("Unsqueeze", ["places", "last"], ["rows"]),
        helper.make_node("Sub", ["rows", "places"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["distance"]),
        helper.make_node("Less", ["distance", "window"], ["near"]),
        helper.make_node("And", ["keys", "near"], ["both"]),
        helper.make_node("Where", ["both", "nothing", "fill"], ["term"]),
        helper.make_node("Identity", ["term"], ["out"]),
    ]
    constants = {
        "axes": np.array([1, 2]),
        "zero": np.array(0),
        "one": np.array(1),
        "last": np.array([1]),
        "window": np.array(window or 10**6),
        "nothing": np.array(0, np.float32),
        "fill": np.array(-3e38, np.float32),
    }
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"]) for n in ("input_ids", "attention_mask")]
    return Trials(Graph(_model(nodes, inputs, constants))).padding_fill("term")


def _pooled_by_mean(also_first: bool) -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["hidden"]),
        helper.make_node("ReduceMean", ["hidden", "axis"], ["mean"], keepdims=0),
    ]
    if also_first:
        nodes.append(helper.make_node("Gather", ["hidden", "zero"], ["first"], axis=1))
        nodes.append(helper.make_node("Add", ["mean", "first"], ["out"]))
    else:
        nodes.append(helper.make_node("Identity", ["mean"], ["out"]))
    constants = {"weight": np.ones((8, 8), np.float32), "axis": np.array([1]), "zero": np.array(0)}
    return _model(nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "s", 8])], constants)


def _model(nodes: list[Any], inputs: list[Any], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "made",
        inputs,
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
