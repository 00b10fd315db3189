"""Quantization as a step: every precision loads and answers, and what cannot be is refused with the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.models.load import resolve_model
from compress.runtimes.predict import predictions
from compress.techniques.apply import apply

TEXTS = ["a good film", "an awful book but the price is fine", "dull"]


@pytest.fixture
def quantize(make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path) -> Callable[..., Artifact]:
    source = resolve_model(str(make_model("bert", "source")))

    def run(name: str, *, of: Artifact = source, **settings: Any) -> Artifact:
        technique = find("techniques", "quantize")
        return apply(technique, of, technique.settings(**settings), tmp_path / name, task=task)

    return run


def _shares(artifact: Artifact) -> list[float]:
    return [answer["probabilities"]["positive"] for answer in predictions(artifact, TEXTS)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        ({"precision": "int8"}, 0.03),
        ({"precision": "int8", "embeddings": False}, 0.03),
        ({"precision": "int8", "mode": "static"}, 0.05),
        ({"precision": "int8", "mode": "static", "calibration_method": "minmax", "outlier_layers": "static"}, 0.05),
        ({"precision": "fp16"}, 0.005),
        ({"precision": "bf16"}, 0.02),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_every_precision_answers_nearly_as_its_source(
    quantize: Callable[..., Artifact], tmp_path: Path, settings: dict[str, Any], tolerance: float
) -> None:
    made = quantize("made", **settings)
    assert made.precision == settings["precision"]
    assert made.format == ("torch" if settings["precision"] == "bf16" else "onnx")
    assert _shares(made) == pytest.approx(_shares(resolve_model(str(tmp_path / "source"))), abs=tolerance)


def test_an_onnx_artifact_is_quantized_to_the_same_graph_as_its_torch_source(
    quantize: Callable[..., Artifact], tmp_path: Path, task: dict[str, Any]
) -> None:
    export = find("techniques", "export")
    exported = apply(export, resolve_model(str(tmp_path / "source")), export.settings(), tmp_path / "onnx", task=task)
    assert quantize("one", of=exported).files["model.onnx"] == quantize("two").files["model.onnx"]


def test_an_export_records_its_parity_with_torch(
    tmp_path: Path, task: dict[str, Any], make_model: Callable[..., Path]
) -> None:
    export = find("techniques", "export")
    made = apply(export, resolve_model(str(make_model("bert"))), export.settings(), tmp_path / "onnx", task=task)
    parity = made.steps[-1].facts["parity"]
    assert set(parity["largest_gap"]) == {"batch 1", "padded", "unpadded"}
    assert 0 < max(parity["largest_gap"].values()) <= parity["tolerance"]
    assert parity["rows_from"] == "moods, train"


def test_an_artifact_says_how_its_graph_is_written_and_predicts_as_the_older_form(
    quantize: Callable[..., Artifact], tmp_path: Path, task: dict[str, Any], make_model: Callable[..., Path]
) -> None:
    from click.testing import CliRunner

    from compress.cli.commands import compress

    export = find("techniques", "export")
    source = resolve_model(str(make_model("bert", "source")))
    exported = apply(export, source, export.settings(), tmp_path / "onnx", task=task)
    assert exported.facts["graph"] == {"opset": 24, "attention": {"Attention": 4}, "padding_side": "right"}
    made, older = quantize("made"), quantize("older", opset="20")
    assert older.facts["graph"] == {
        "opset": 20,
        "attention": {"MultiHeadAttention": 1, "QAttention": 3},
        "padding_side": "any",
    }
    assert made.facts["graph"]["attention"] == {"Attention": 4}
    assert quantize("of-onnx", of=exported).files["model.onnx"] == made.files["model.onnx"]
    assert _shares(made) == pytest.approx(_shares(older), abs=0.01)
    half = quantize("half", of=exported, precision="fp16")
    assert half.facts["graph"]["attention"] == {"MultiHeadAttention": 4}
    shown = CliRunner().invoke(compress, ["inspect", str(made.folder)]).output
    assert "opset 24; attention: 4 Attention; padding: right" in shown


def test_the_opset_is_part_of_what_an_artifact_is_only_where_it_was_chosen(
    quantize: Callable[..., Artifact],
) -> None:
    older = quantize("older", opset=20)
    assert older.steps[-1].settings["opset"] == 20
    assert "opset" not in quantize("made").steps[-1].settings
    with pytest.raises(CompressError, match="'opset' has no effect here"):
        quantize("half", precision="fp16", opset=24)


def test_int8_shrinks_the_file_to_little_more_than_a_quarter(quantize: Callable[..., Artifact], tmp_path: Path) -> None:
    # The tiny model's biases and norms, which stay in fp32, weigh more than a real one's.
    fp32 = (tmp_path / "source" / "model.safetensors").stat().st_size
    assert (quantize("int8").folder / "model.onnx").stat().st_size < 0.5 * fp32


def test_what_is_quantized_already_is_refused(quantize: Callable[..., Artifact]) -> None:
    int8 = quantize("int8")
    with pytest.raises(CompressError, match="is int8 already"):
        quantize("again", of=int8, precision="fp16")


def test_bf16_of_an_onnx_artifact_is_refused(quantize: Callable[..., Artifact], tmp_path: Path) -> None:
    onnx = Artifact(
        tmp_path / "source", {"name": "x", "weights": "0"}, None, format="onnx", parts={"model": "model.onnx"}
    )
    with pytest.raises(CompressError, match="bf16 gives a torch checkpoint"):
        quantize("bf16", of=onnx, precision="bf16")


def test_the_calibration_rows_are_part_of_what_an_artifact_is(
    quantize: Callable[..., Artifact], tmp_path: Path
) -> None:
    few = tmp_path / "few.yaml"
    few.write_text("# A few rows\ntask: own\ncount: 8\n")
    first = quantize("first", mode="static", calibration=str(few))
    few.write_text("# A few rows\ntask: own\ncount: 16\n")
    second = quantize("second", mode="static", calibration=str(few))
    assert first.fingerprint() != second.fingerprint()
    assert second.steps[-1].data["calibration"]["count"] == 16


def test_a_step_tells_which_kernels_compute_its_products(quantize: Callable[..., Artifact]) -> None:
    settings: dict[str, Any] = {
        "mode": "static",
        "outlier_layers": "static",
        "smoothquant_alpha": 0.5,
        "weight_dtype": "int4",
    }
    whole = quantize("whole", **settings).steps[-1].facts["kernels"]
    assert set(whole) == {"MatMulIntegerToFloat"}
    less = quantize("less", **settings, exclude=["*.0.intermediate.dense"]).steps[-1].facts["kernels"]
    assert less == {"MatMulIntegerToFloat": whole["MatMulIntegerToFloat"] - 1}


def test_weights_alone_need_no_calibration_set(quantize: Callable[..., Artifact], tmp_path: Path) -> None:
    made = quantize("weights", mode="static", activation_dtype="float")
    assert set(made.steps[-1].facts["kernels"]) == {"MatMul"}
    assert "calibration" not in made.steps[-1].data
    assert _shares(made) == pytest.approx(_shares(resolve_model(str(tmp_path / "source"))), abs=0.02)


@pytest.mark.parametrize(
    "setting",
    [
        {"smoothquant_alpha": 0.5},
        {"attention_matmuls": "scores"},
        {"weight_dtype": "int4"},
        {"activation_dtype": "float"},
    ],
)
def test_what_dynamic_quantization_cannot_do_is_refused(
    quantize: Callable[..., Artifact], setting: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(setting))}' is for static quantization"):
        quantize("no", **setting)
