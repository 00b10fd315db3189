"""Writes a graph in half precision: weights and arithmetic in fp16, token ids in and float32 logits out."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import onnx

from compress.errors import CompressError
from compress.onnx.graph import Graph


def to_fp16(path: Path, output: Path) -> None:
    """Write the fp32 graph at `path` to `output` in fp16. Inputs stay int64 and logits float32.

    Values beyond fp16's range (65,504) are cut to it; masks of the least float32 stay "minus infinity" that way.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = Graph.load(path).model
    if any(item.data_type == onnx.TensorProto.INT8 for item in model.graph.initializer):
        raise CompressError(f"{path} is quantized to int8 already. Convert the fp32 graph to fp16 instead.")
    logger = logging.getLogger("onnxruntime.transformers.float16")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of each clipped mask constant, which is meant
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Fused operators are unknown to ONNX's shape inference, so ONNX Runtime's symbolic one types them.
            from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

            typed = SymbolicShapeInference.infer_shapes(model, auto_merge=True) or model
            half = convert_float_to_float16(typed, keep_io_types=True, disable_shape_infer=True, max_finite_val=6.5e4)
    finally:
        logger.setLevel(level)
    del half.graph.value_info[:]
    output.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(half, str(output))
