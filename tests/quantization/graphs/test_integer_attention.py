"""Attention as one integer operator: fused where it is certain, and the same numbers as the products it replaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import compress.quantization.graphs.qdq
from compress.onnx.fusion import operators
from compress.onnx.graph import Graph
from compress.quantization.graphs.dynamic import DynamicSettings, quantize_dynamic
from compress.quantization.graphs.integer_attention import fuse_integer_attention
from compress.runtimes.sessions import open_session
from tests.exported import Exported, Rows


@pytest.fixture
def unfused(fused: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The int8 file as it would be without the fusion."""
    with monkeypatch.context() as patch:
        patch.setattr(compress.quantization.graphs.qdq, "fuse_integer_attention", lambda graph: 0)
        quantize_dynamic(fused.path, tmp_path / "unfused.onnx")
    return tmp_path / "unfused.onnx"


def test_the_fused_file_answers_as_the_separate_products_do(
    fused: Exported, unfused: Path, batches: Rows, tmp_path: Path
) -> None:
    quantize_dynamic(fused.path, tmp_path / "int8.onnx")
    assert operators(tmp_path / "int8.onnx")["QAttention"] == 1
    assert "QAttention" not in operators(unfused)
    one, other = (open_session(path, threads=1) for path in (tmp_path / "int8.onnx", unfused))
    for batch in batches:  # padded ones among them
        feeds = {item.name: np.asarray(batch[item.name]) for item in one.get_inputs()}
        found, expected = one.run(None, feeds)[0], other.run(None, feeds)[0]
        # A sum rounded otherwise can move a later layer's input to the next integer: far below int8's own error.
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_attention_with_one_float_product_is_left_alone(fused: Exported, tmp_path: Path) -> None:
    quantize_dynamic(fused.path, tmp_path / "int8.onnx", DynamicSettings(exclude=("*.layer.0.attention.self.value",)))
    assert "QAttention" not in operators(tmp_path / "int8.onnx")
    assert operators(tmp_path / "int8.onnx")["MultiHeadAttention"] == 2


def changed(path: Path, change: Callable[[onnx.NodeProto], None]) -> Graph:
    """The graph of a file with each of its attentions changed."""
    model = onnx.load(str(path))
    for node in model.graph.node:
        if node.op_type == "MultiHeadAttention":
            change(node)
    return Graph(model)


def test_attention_with_a_bias_by_position_is_left_alone(unfused: Path) -> None:
    assert fuse_integer_attention(changed(unfused, lambda node: node.input.extend(["some.position.bias"]))) == 0


def test_a_scale_of_its_own_is_kept(unfused: Path, batches: Rows, tmp_path: Path) -> None:
    def doubled(node: onnx.NodeProto) -> None:
        (scale,) = [item for item in node.attribute if item.name == "scale"]
        scale.f = 2 * scale.f

    changed(unfused, doubled).save(tmp_path / "apart.onnx")
    graph = changed(unfused, doubled)
    assert fuse_integer_attention(graph) == 1
    graph.save(tmp_path / "one.onnx")
    one, other, before = (
        open_session(path, threads=1) for path in (tmp_path / "one.onnx", tmp_path / "apart.onnx", unfused)
    )
    for batch in batches:
        feeds = {item.name: np.asarray(batch[item.name]) for item in one.get_inputs()}
        found, expected = one.run(None, feeds)[0], other.run(None, feeds)[0]
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
    assert not np.array_equal(expected, before.run(None, feeds)[0])
