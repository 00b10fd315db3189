from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compress.core.errors import CompressError
from compress.onnx.fp16 import to_fp16
from compress.onnx.parity import check, compare
from tests.exported import Exported


def test_an_export_is_within_tolerance_at_every_shape(bert: Exported) -> None:
    parity = check(bert.path, bert.model, bert.rows, padding=bert.padding)
    assert set(parity.largest_gap) == {"batch 1", "padded", "unpadded"}
    assert parity.equal_predictions == 1.0
    assert json.loads(json.dumps(parity.to_dict()))["rows"] == len(bert.rows)


def test_a_graph_that_forgets_the_mask_is_refused_for_the_padded_shape(bert: Exported, tmp_path: Path) -> None:
    model = onnx.load(str(bert.path))
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name == "attention_mask" and node.op_type == "Cast":
                model.graph.initializer.append(numpy_helper.from_array(np.ones((6, 57), np.int64), "all"))
                node.input[position] = "all"
    onnx.save(model, str(tmp_path / "forgets.onnx"))
    with pytest.raises(CompressError, match="'padded'"):
        check(tmp_path / "forgets.onnx", bert.model, bert.rows, padding=bert.padding)


def test_a_weight_that_is_off_by_a_little_is_refused(bert: Exported, tmp_path: Path) -> None:
    model = onnx.load(str(bert.path))
    for item in model.graph.initializer:
        if item.name == "bert.encoder.layer.0.output.dense.weight.T":
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * np.float32(1.01), item.name))
    onnx.save(model, str(tmp_path / "off.onnx"))
    with pytest.raises(CompressError, match="beyond the tolerance"):
        check(tmp_path / "off.onnx", bert.model, bert.rows, padding=bert.padding)


def test_a_nan_is_the_largest_gap(bert: Exported, tmp_path: Path) -> None:
    model = onnx.load(str(bert.path))
    for item in model.graph.initializer:
        if item.name == "classifier.bias":
            item.CopyFrom(numpy_helper.from_array(np.full(2, np.nan, np.float32), item.name))
    onnx.save(model, str(tmp_path / "nan.onnx"))
    parity = compare(tmp_path / "nan.onnx", bert.model, bert.rows, precision="int8")
    assert parity.largest_gap["batch 1"] == np.inf
    assert parity.is_within_tolerance  # int8 has no tolerance and is only reported


def test_fp16_halves_the_file_and_keeps_float_logits(fused: Exported, tmp_path: Path) -> None:
    to_fp16(fused.path, tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * fused.path.stat().st_size
    assert onnx.load(str(tmp_path / "half.onnx")).graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    parity = check(tmp_path / "half.onnx", fused.model, fused.rows, precision="fp16", padding=fused.padding)
    assert max(parity.largest_gap.values()) > 0


def test_a_comparison_needs_rows_and_a_known_precision(bert: Exported) -> None:
    with pytest.raises(CompressError, match="at least one"):
        compare(bert.path, bert.model, [])
    with pytest.raises(CompressError, match="fp64"):
        compare(bert.path, bert.model, bert.rows, precision="fp64")
