"""Settings of int8 that cannot stand together are refused."""

from __future__ import annotations

from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.core.settings import build
from compress.quantization.int8_settings import Int8Settings


@pytest.mark.parametrize("other", [{"smoothquant_alpha": 0.5}, {"attention_matmuls": "both"}])
def test_weights_alone_leave_no_input_to_smooth_and_no_product_of_activations(other: dict[str, Any]) -> None:
    with pytest.raises(CompressError, match=f"'{next(iter(other))}' is for quantized activations"):
        build(Int8Settings, {"activation_dtype": "float", **other}, "step 'int8' of my.yaml")


@pytest.mark.parametrize(
    ("name", "value"),
    [("smoothquant_alpha", 1.5), ("smoothquant_alpha", -0.1), ("weight_dtype", "int2"), ("outlier_layers", "int8")],
)
def test_a_value_outside_of_its_choices_is_refused(name: str, value: Any) -> None:
    with pytest.raises(CompressError, match=name):
        build(Int8Settings, {name: value}, "step 'int8' of my.yaml")


def test_only_quantized_inputs_need_rows() -> None:
    assert Int8Settings.model_validate({"weight_dtype": "int4"}).calibrates
    assert not Int8Settings.model_validate({"weight_dtype": "int4", "activation_dtype": "float"}).calibrates
