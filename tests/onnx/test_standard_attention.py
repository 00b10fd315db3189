"""Attention as ONNX's own operator: the same logits, no other operators, and padding on the right alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from compress.core.errors import CompressError
from compress.onnx.fusion import fuse, operators
from compress.onnx.graph import Graph
from compress.onnx.parity import check
from compress.onnx.standard_attention import form, in_opset, restore_attention, standardize_attention, written_opset
from compress.quantization.graphs.dynamic import quantize_dynamic
from compress.quantization.graphs.kernels import integer_kernels
from compress.quantization.graphs.static import StaticSettings, quantize_static
from compress.runtimes.sessions import open_session, outputs
from tests.exported import Exported, Rows


@pytest.fixture(scope="module")
def standard(bert: Exported) -> Path:
    path = bert.path.with_name("standard.onnx")
    fuse(bert.path, path, opset=24)
    return path


@pytest.fixture(scope="module")
def int8(standard: Path) -> Path:
    quantize_dynamic(standard, standard.with_name("standard-int8.onnx"))
    return standard.with_name("standard-int8.onnx")


def logits(path: Path, batch: dict[str, np.ndarray]) -> np.ndarray:
    return outputs(open_session(path, threads=1), batch)["logits"]


def domains(path: Path) -> set[str]:
    model = onnx.load(str(path))
    return {one.domain for one in model.opset_import} | {node.domain for node in model.graph.node}


def test_each_attention_is_onnxs_own_and_the_logits_are_those_of_torch(bert: Exported, standard: Path) -> None:
    check(standard, bert.model, bert.rows, padding=bert.padding)
    assert form(standard) == {"opset": 24, "attention": {"Attention": 2}, "padding_side": "right"}
    assert domains(standard) == {""}


def test_the_older_form_takes_padding_anywhere(fused: Exported) -> None:
    assert form(fused.path) == {"opset": 20, "attention": {"MultiHeadAttention": 2}, "padding_side": "any"}


def test_an_int8_file_has_onnxs_operators_alone_and_answers_as_the_older_form(
    fused: Exported, int8: Path, batches: Rows, tmp_path: Path
) -> None:
    quantize_dynamic(fused.path, tmp_path / "older.onnx")
    assert form(int8)["attention"] == {"Attention": 2}
    assert domains(int8) == {""}
    assert set(integer_kernels(int8).values()) <= {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
    for batch in batches:  # padded ones among them
        expected = logits(tmp_path / "older.onnx", batch)
        # A sum rounded otherwise can move a later layer's input to the next integer: far below int8's own error.
        np.testing.assert_allclose(logits(int8, batch), expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize(
    "settings",
    [StaticSettings(), StaticSettings(weights="int4", attention="context"), StaticSettings(attention="both")],
    ids=["products", "int4 weights and contexts", "attention's products too"],
)
def test_static_int8_answers_as_the_older_form(
    settings: StaticSettings, fused: Exported, standard: Path, batches: Rows, tmp_path: Path
) -> None:
    paths = {name: tmp_path / f"{name}.onnx" for name in ("older", "standard")}
    schemes = [
        quantize_static(source, paths[name], batches, settings)
        for name, source in (("older", fused.path), ("standard", standard))
    ]
    assert set(schemes[0]) == set(schemes[1])
    assert integer_kernels(paths["standard"]) == integer_kernels(paths["older"])
    opened = settings.attention != "none"
    assert form(paths["standard"])["padding_side"] == ("any" if opened else "right")
    for batch in batches:
        expected = logits(paths["older"], batch)
        np.testing.assert_allclose(logits(paths["standard"], batch), expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["standard", "int8"])
def test_onnxs_reference_implementation_agrees(name: str, batches: Rows, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(name)
    batch = batches[-1]
    (found,) = ReferenceEvaluator(str(path)).run(None, {one: np.asarray(value) for one, value in batch.items()})
    expected = logits(path, batch)
    largest = 1e-4 if name == "standard" else 0.02  # as above: one step of a rounded input
    np.testing.assert_allclose(found, expected, atol=largest * max(1.0, np.abs(expected).max()))


def test_padding_elsewhere_than_on_the_right_is_refused(standard: Path, batches: Rows) -> None:
    batch = {name: np.array(value) for name, value in batches[-1].items()}
    batch["attention_mask"][1] = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    with pytest.raises(CompressError, match=r"standard\.onnx reads padding on the right alone.*in row 2 of 2"):
        logits(standard, batch)
    batch["attention_mask"][1] = [1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    with pytest.raises(CompressError, match="a real token follows padding"):
        logits(standard, batch)


def test_a_row_of_padding_alone_gives_numbers(standard: Path, int8: Path, batches: Rows) -> None:
    batch = {name: np.array(value) for name, value in batches[-1].items()}
    batch["attention_mask"][1] = 0
    for path in (standard, int8):
        assert np.isfinite(logits(path, batch)).all()


def test_the_older_form_is_restored_with_its_answers_for_any_padding(
    fused: Exported, standard: Path, batches: Rows, tmp_path: Path
) -> None:
    graph = Graph.load(standard)
    assert restore_attention(graph) == 2
    graph.save(tmp_path / "restored.onnx")
    assert form(tmp_path / "restored.onnx")["padding_side"] == "any"
    batch = {name: np.array(value) for name, value in batches[-1].items()}
    batch["attention_mask"][:, 0] = 0
    np.testing.assert_allclose(logits(tmp_path / "restored.onnx", batch), logits(fused.path, batch), atol=1e-5)


def changed(path: Path, change: Callable[[onnx.NodeProto], None]) -> Graph:
    """The graph of a file with its last attention changed."""
    model = onnx.load(str(path))
    change([node for node in model.graph.node if node.op_type == "MultiHeadAttention"][-1])
    return Graph(model)


def test_attention_with_position_biases_keeps_the_whole_graph_as_it_was(fused: Exported, tmp_path: Path) -> None:
    graph = changed(fused.path, lambda node: node.input.extend(["some.position.bias"]))
    before = [node.SerializeToString() for node in graph.nodes]
    assert "position biases" in standardize_attention(graph)
    assert [node.SerializeToString() for node in graph.nodes] == before
    assert graph.opset() == 20


def test_a_mask_that_is_not_the_tokenizers_keeps_the_graph_as_it_was(fused: Exported) -> None:
    def masked(node: onnx.NodeProto) -> None:
        node.input[4] = node.input[0]

    assert "another form" in standardize_attention(changed(fused.path, masked))


def test_a_graph_without_fused_attention_stays_as_it_is(bert: Exported) -> None:
    graph = Graph.load(bert.path)
    assert standardize_attention(graph) == "no attention is fused"
    assert graph.opset() == 20


def test_a_tokenizer_that_pads_on_the_left_gets_the_older_form_or_an_error() -> None:
    assert written_opset(None, "right", "it") == written_opset(24, "right", "it") == 24
    assert written_opset(20, "left", "it") == 20
    assert written_opset(None, "left", "it") == 20
    with pytest.raises(CompressError, match="The tokenizer of it pads on the left.*Set opset to 20"):
        written_opset(24, "left", "it")


def test_an_exported_graph_is_rewritten_for_the_opset_that_is_asked_for(
    fused: Exported, standard: Path, tmp_path: Path
) -> None:
    assert in_opset(fused.path, tmp_path, 20, "right", "it") == fused.path
    assert in_opset(standard, tmp_path, None, "right", "it") == standard
    assert form(in_opset(fused.path, tmp_path, None, "right", "it"))["attention"] == {"Attention": 2}
    with pytest.raises(CompressError, match="exported with opset 24"):
        in_opset(standard, tmp_path, 20, "right", "it")


def test_the_operators_are_those_of_the_older_form_but_for_attention(fused: Exported, standard: Path) -> None:
    older, newer = operators(fused.path), operators(standard)
    assert newer.pop("Attention") == older.pop("MultiHeadAttention")
    assert newer.pop("ReduceSum") == older.pop("Cast") == 1
    assert newer == older
