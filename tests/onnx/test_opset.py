"""A newer opset is declared where nothing changes by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.core.errors import CompressError
from compress.onnx.graph import Graph
from compress.onnx.opset import raise_opset
from compress.runtimes.sessions import logits, open_session
from tests.exported import Rows


def test_a_file_of_an_older_opset_answers_as_before(foreign: Path, batches: Rows, tmp_path: Path) -> None:
    graph = Graph.load(foreign)
    assert graph.opset() == 17
    raise_opset(graph, 21)
    graph.save(tmp_path / "newer.onnx")
    onnx.checker.check_model(str(tmp_path / "newer.onnx"))
    assert Graph.load(tmp_path / "newer.onnx").opset() == 21
    before, after = open_session(foreign, threads=1), open_session(tmp_path / "newer.onnx", threads=1)
    for batch in batches[:2]:
        assert np.array_equal(logits(before, batch), logits(after, batch))


def test_a_newer_opset_stays() -> None:
    graph = _graph("Relu", 22)
    raise_opset(graph, 21)
    assert graph.opset() == 22


@pytest.mark.parametrize(("operator", "opset"), [("ReduceSum", 11), ("Softmax", 11), ("Split", 13), ("Upsample", 9)])
def test_an_operator_that_became_another_one_is_told(operator: str, opset: int) -> None:
    with pytest.raises(CompressError, match=f"opset {opset}, whose {operator}"):
        raise_opset(_graph(operator, opset), 21)


def _graph(operator: str, opset: int) -> Graph:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "one", values[:1], values[1:])
    return Graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))
