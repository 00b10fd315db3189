"""Every setting of int8 reaches the scheme, and rows are read only where ranges are taken from them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from compress.core.setting_names import FORMER
from compress.core.settings import Settings
from compress.quantization.calibrate import static_schemes, static_settings
from compress.quantization.graphs.static import StaticSettings, calibrate
from compress.quantization.int8_settings import Int8Settings
from tests.exported import export_family

OTHERS: dict[str, Any] = {
    "calibration_method": "mse",
    "outlier_layers": "uint16",
    "smoothquant_alpha": 0.25,
    "attention_matmuls": "both",
    "weight_dtype": "int4",
    "embeddings": False,
    "exclude": ("*.query",),
}


def test_each_setting_of_the_user_becomes_one_of_the_graph() -> None:
    usual, told = static_settings(_settings()), {"calibration_method": "method"}
    told |= {name: former.name for name, former in FORMER["quantize"].items() if name not in told}
    for name, value in OTHERS.items():
        changed = static_settings(_settings(**{name: value}))
        different = {one.name for one in fields(usual) if getattr(changed, one.name) != getattr(usual, one.name)}
        assert different == {told.get(name, name)}
        assert getattr(changed, told.get(name, name)) == value
    assert static_settings(_settings(activation_dtype="float")).activations == "float"
    # Nothing is left out: of the user's settings only the rows' name is no choice about the graph.
    assert {*OTHERS, "activation_dtype"} == set(Int8Settings.model_fields) - set(Settings.model_fields) - {
        "calibration"
    }
    assert {told.get(name, name) for name in (*OTHERS, "activation_dtype")} == {
        one.name for one in fields(StaticSettings)
    }


@pytest.mark.slow
def test_weights_alone_are_quantized_without_a_task_or_a_tokenizer(tmp_path: Path) -> None:
    made = export_family(tmp_path, "bert")
    settings = _settings(activation_dtype="float", weight_dtype="int4")
    schemes = static_schemes({"model": made.path}, ("model",), tmp_path / "nowhere", None, settings)
    assert schemes["model"] == calibrate(
        made.path, (), StaticSettings("percentile", weights="int4", activations="float")
    )


def _settings(**values: Any) -> Int8Settings:
    return Int8Settings.model_validate(values)
