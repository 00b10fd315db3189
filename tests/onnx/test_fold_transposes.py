from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.onnx.fold_transposes import fold_transposes
from compress.onnx.graph import Graph
from compress.quantization.graphs.dynamic import quantize_dynamic
from compress.quantization.graphs.layers import products, tables
from tests.generative import exported

WORDS = np.random.default_rng(0).standard_normal((300, 64)).astype(np.float32)


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    """Token ids to logits by one table, and another value's transposition, which is no constant's."""
    nodes = [
        helper.make_node("Gather", ["words.weight", "ids"], ["hidden"]),
        helper.make_node("Transpose", ["words.weight"], ["head.weight.T"], perm=[1, 0]),
        helper.make_node("MatMul", ["hidden", "head.weight.T"], ["scores"]),
        helper.make_node("Transpose", ["scores"], ["logits"], perm=[1, 0]),
    ]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [300, "n"])]
    graph = helper.make_graph(nodes, "tied", inputs, outputs, [numpy_helper.from_array(WORDS, "words.weight")])
    path = tmp_path / "tied.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def answer(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"ids": np.arange(7)})[0])


def test_a_transposed_constant_becomes_one_and_nothing_else_does(tied: Path, tmp_path: Path) -> None:
    assert fold_transposes(tied, tmp_path / "folded.onnx") == ("head.weight.T",)
    graph = Graph.load(tmp_path / "folded.onnx")
    assert [node.op_type for node in graph.nodes] == ["Gather", "MatMul", "Transpose"]
    np.testing.assert_array_equal(graph.constants["head.weight.T"], WORDS.T)
    np.testing.assert_array_equal(answer(tmp_path / "folded.onnx"), answer(tied))


def test_a_tied_head_and_its_embeddings_are_quantized_once_folded(tied: Path, tmp_path: Path) -> None:
    assert not products(Graph.load(tied))
    assert not tables(Graph.load(tied))
    fold_transposes(tied, tmp_path / "folded.onnx")
    scheme = quantize_dynamic(tmp_path / "folded.onnx", tmp_path / "int8.onnx")
    assert set(scheme) == {"head", "words"}
    found, wanted = answer(tmp_path / "int8.onnx"), answer(tied)
    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


def test_a_head_whose_product_is_the_models_own_output_is_quantized_too(tied: Path, tmp_path: Path) -> None:
    model = onnx.load(str(tied))
    model.graph.node.pop()  # Llama's and GPT-2's logits are the product itself
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 300]))
    onnx.save(model, str(tied))
    fold_transposes(tied, tmp_path / "folded.onnx")
    quantize_dynamic(tmp_path / "folded.onnx", tmp_path / "int8.onnx")
    assert "MatMulInteger" in {node.op_type for node in onnx.load(str(tmp_path / "int8.onnx")).graph.node}
    found, wanted = answer(tmp_path / "int8.onnx"), answer(tied)
    assert 0 < np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


@pytest.mark.slow
@pytest.mark.parametrize(("family", "head"), [("gpt2", "lm_head"), ("bart", "lm_head"), ("t5", "lm_head")])
def test_the_tied_head_of_an_export_folds_into_the_module_of_its_name(
    family: str, head: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    made = exported(family, tmp_path_factory)
    assert head not in {found.module for found in products(Graph.load(made.paths["decode"]))}
    assert f"{head}.weight.T" in fold_transposes(made.paths["decode"], tmp_path / "folded.onnx")
    folded = Graph.load(tmp_path / "folded.onnx")
    (found,) = [one for one in products(folded) if one.module == head]
    np.testing.assert_array_equal(found.weight, made.model.lm_head.weight.detach().numpy())
    assert len(tables(folded)) >= 1
