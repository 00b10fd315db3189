"""Which operator really computes each quantized product."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from compress.quantization.graphs.dynamic import quantize_dynamic
from compress.quantization.graphs.kernels import integer_kernels
from compress.quantization.graphs.static import StaticSettings, quantize_static
from tests.exported import Exported, Rows, export_family
from tests.quantization.graphs.test_int8 import LINEARS, QUERY, integer_products

OTHER = "bert.encoder.layer.1.attention.output.dense"


def test_every_linear_layer_of_a_static_model_is_one_integer_kernel(
    fused: Exported, batches: Rows, tmp_path: Path
) -> None:
    scheme = quantize_static(fused.path, tmp_path / "int8.onnx", batches, StaticSettings(wide="static"))
    found = integer_kernels(tmp_path / "int8.onnx")
    assert Counter(found.values()) == {"MatMulIntegerToFloat": LINEARS}
    assert set(found) == {name for name, layer in scheme.items() if "embeddings" not in name}
    assert integer_products(tmp_path / "int8.onnx", tmp_path) == LINEARS  # counted in the optimized graph itself


def test_what_is_excluded_has_no_kernel(fused: Exported, batches: Rows, tmp_path: Path) -> None:
    settings = StaticSettings(wide="static", exclude=(OTHER,))
    quantize_static(fused.path, tmp_path / "int8.onnx", batches, settings)
    found = integer_kernels(tmp_path / "int8.onnx")
    assert OTHER not in found
    assert Counter(found.values()) == {"MatMulIntegerToFloat": LINEARS - 1}


def test_query_key_and_value_in_one_operator_are_told_each(fused: Exported, tmp_path: Path) -> None:
    quantize_dynamic(fused.path, tmp_path / "int8.onnx")
    found = integer_kernels(tmp_path / "int8.onnx")
    assert (
        found[QUERY] == found[QUERY.replace("query", "key")] == found[QUERY.replace("query", "value")] == "QAttention"
    )
    assert len(found) == LINEARS
    assert set(found.values()) <= {"QAttention", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (StaticSettings(smooth=0.5, wide="static"), {"MatMulIntegerToFloat": LINEARS}),
        (StaticSettings(smooth=0.5), {"MatMulIntegerToFloat": LINEARS - 2, "DynamicQuantizeMatMul": 2}),
        (StaticSettings(weights="int4", wide="static"), {"MatMulIntegerToFloat": LINEARS}),
        (StaticSettings(wide="uint16"), {"MatMulIntegerToFloat": LINEARS - 2, "MatMul": 2}),
        (StaticSettings(activations="float"), {"MatMul": LINEARS}),
        (StaticSettings(wide="float"), {"MatMulIntegerToFloat": LINEARS - 2}),
    ],
    ids=["smoothed", "smoothed, wide at each call", "int4", "uint16", "weights alone", "float"],
)
def test_each_choice_runs_on_the_kernel_that_it_is_said_to(
    fused: Exported, batches: Rows, tmp_path: Path, settings: StaticSettings, wanted: dict[str, int]
) -> None:
    quantize_static(fused.path, tmp_path / "int8.onnx", batches, settings)
    assert Counter(integer_kernels(tmp_path / "int8.onnx").values()) == wanted


def test_products_of_activations_are_told_too(fused: Exported, batches: Rows, tmp_path: Path) -> None:
    settings = StaticSettings(attention="both", smooth=0.5, weights="int4")
    scheme = quantize_static(fused.path, tmp_path / "int8.onnx", batches, settings)
    found = integer_kernels(tmp_path / "int8.onnx")
    inner = {name for name, layer in scheme.items() if layer.other is not None}
    assert len(inner) == 4
    assert {found[name] for name in inner} <= {"MatMulIntegerToFloat", "QLinearMatMul"}


def test_a_float_file_has_none(fused: Exported) -> None:
    assert integer_kernels(fused.path) == {}


@pytest.mark.slow
def test_a_layer_used_twice_is_told_once(tmp_path: Path, batches: Rows) -> None:
    made = export_family(tmp_path, "albert", num_hidden_layers=2)
    scheme = quantize_static(made.path, tmp_path / "int8.onnx", batches, StaticSettings(wide="static", weights="int4"))
    found = integer_kernels(tmp_path / "int8.onnx")
    assert set(found) == {name for name in scheme if "embeddings." not in name}
    assert set(found.values()) == {"MatMulIntegerToFloat"}
