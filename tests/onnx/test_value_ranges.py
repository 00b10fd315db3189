"""What passes fp16's range on real rows stays in fp32, so that the file's own arithmetic is finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compress.onnx.fp16 import to_fp16
from compress.onnx.value_ranges import MARGIN, Seen, beyond_fp16

ROWS = np.arange(1, 5, dtype=np.float32)[None]


def _graph(tmp_path: Path, nodes: list[Any], **constants: Any) -> Path:
    values = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes,
        "ranges",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        values,
    )
    path = tmp_path / "fp32.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


def _run(watching: Path, names: tuple[str, ...], show: Any) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(watching), providers=["CPUExecutionProvider"])
    for name, value in zip(names, session.run(list(names), {"x": ROWS}), strict=True):
        show(name, value)


def _in_fp16(path: Path) -> Any:
    """The answer in the types that the file itself says."""
    with np.errstate(over="ignore", invalid="ignore"):
        return ReferenceEvaluator(onnx.load(str(path))).run(None, {"x": ROWS})[0]


def test_a_product_beyond_the_range_stays_in_fp32_from_one_operator_to_the_next(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "large"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Mul", ["b", "small"], ["c"]),
        helper.make_node("Mul", ["c", "two"], ["y"]),
    ]
    path = _graph(tmp_path, nodes, large=1e6, small=1e-6, two=2.0)
    assert not np.isfinite(_in_fp16(_half(path, ()))).all()
    beyond = beyond_fp16(path, _run)
    assert set(beyond) == {0, 1, 2}
    assert max(beyond.values()) == 4e6
    assert _in_fp16(_half(path, beyond)) == pytest.approx(2 * ROWS, rel=1e-3)


def _half(path: Path, keep: Any) -> Path:
    to_fp16(path, path.with_name("half.onnx"), keep)
    return path.with_name("half.onnx")


def test_a_norm_is_told_by_its_sum_of_squares(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["a"]),
        helper.make_node("ReduceL2", ["a"], ["c"]),
        helper.make_node("Div", ["a", "c"], ["y"]),
    ]
    path = _graph(tmp_path, nodes, factor=30.0)
    squares = 30.0**2 * (1 + 4 + 9 + 16)
    assert 120 * MARGIN < 65504 < squares * MARGIN
    assert beyond_fp16(path, _run) == {1: squares}


def test_a_masks_least_number_is_no_value_but_must_not_be_added_to_a_large_score(tmp_path: Path) -> None:
    least = float(np.finfo(np.float32).min)
    for factor, beyond in ((1.0, set()), (200.0, {1, 2})):
        nodes = [
            helper.make_node("Mul", ["x", "factor"], ["a"]),
            helper.make_node("Add", ["a", "mask"], ["b"]),
            helper.make_node("Softmax", ["b"], ["y"]),
        ]
        path = _graph(tmp_path, nodes, factor=factor, mask=[0.0, 0.0, least, least])
        assert set(beyond_fp16(path, _run)) == beyond
        assert np.isfinite(_in_fp16(_half(path, beyond))).all()


def test_what_is_no_number_counts_as_a_mask() -> None:
    seen = Seen()
    seen.see(np.array([1.0, -np.inf, np.nan]))
    assert seen.largest == 1
    assert seen.is_masked
