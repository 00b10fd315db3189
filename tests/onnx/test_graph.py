"""A file that cannot be rewritten is one line that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.core.errors import CompressError
from compress.onnx.fp16 import to_fp16
from compress.onnx.graph import Graph


@pytest.mark.parametrize(
    ("field", "value"), [("data_type", 0), ("data_type", 99), ("dims", [3, 5]), ("raw_data", b"\0" * 7)], ids=str
)
def test_a_constant_whose_type_shape_and_bytes_do_not_belong_together_is_refused(
    field: str, value: object, tmp_path: Path
) -> None:
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "weight")
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "g", shape[:1], shape[1:], [weight])
    model = helper.make_model(graph)
    tensor = model.graph.initializer[0]
    if isinstance(value, list):
        del tensor.dims[:]
        tensor.dims.extend(value)
    else:
        setattr(tensor, field, value)
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
    for read in (Graph.load, lambda path: to_fp16(path, tmp_path / "half.onnx")):
        with pytest.raises(CompressError, match=r"odd\.onnx holds a constant that cannot be read") as refused:
            read(tmp_path / "odd.onnx")
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) <= 500
