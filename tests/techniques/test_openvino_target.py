"""What is made for OpenVINO opens in it, answers as its source, is hashed like any artifact, and says its runtime."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core import catalogue
from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.measure import size
from compress.runtimes import choice
from compress.runtimes.rows import predict_all
from compress.runtimes.runtime import Serving
from compress.techniques.apply import apply
from tests.artifacts import tiny_onnx, tiny_task, tiny_torch
from tests.runtimes.test_runtimes import reference, sentences
from tests.tiny import WORDS

__all__ = ["tiny_onnx", "tiny_task", "tiny_torch"]

installed = pytest.mark.skipif(
    not (importlib.util.find_spec("openvino") and importlib.util.find_spec("nncf")),
    reason="the extra `openvino` is not installed",
)
Make = Callable[..., Artifact]


@pytest.fixture
def make(tiny_torch: Artifact, tiny_onnx: Artifact, tiny_task: dict[str, Any], tmp_path: Path) -> Make:
    """Applies a technique with target openvino to the tiny model."""

    def run(technique: str, name: str = "made", *, of: Artifact = tiny_torch, **settings: Any) -> Artifact:
        chosen = catalogue.find("techniques", technique)
        given = chosen.settings(**{"target": "openvino", **settings})
        return apply(chosen, of, given, tmp_path / name, task=tiny_task, cache=tiny_onnx.folder.parent / "cache")

    return run


def logits(artifact: Artifact) -> Any:
    return predict_all(choice.runtime_for(artifact).opened(artifact, Serving()), sentences(), 8)["logits"]


@installed
def test_an_export_for_openvino_is_its_own_runtimes_and_gives_torchs_logits(make: Make, tiny_torch: Artifact) -> None:
    made = make("export")
    assert (made.format, made.precision, dict(made.parts)) == ("openvino", "fp32", {"model": "model.xml"})
    assert choice.runtime_for(made).name == "openvino"
    assert {"model.xml", "model.bin", "config.json", "tokenizer.json"} <= set(made.files)
    assert np.abs(logits(made) - reference(tiny_torch, sentences())).max() < 1e-4
    facts = made.steps[-1].facts
    assert max(facts["gap to ONNX"]["largest_gap"].values()) <= facts["gap to ONNX"]["tolerance"]


@installed
def test_a_changed_file_of_weights_is_found_before_it_is_opened(make: Make) -> None:
    made = make("export")
    weights = made.folder / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CompressError, match="model.bin is corrupt"):
        Artifact.open(made.folder)


@installed
def test_its_size_counts_the_weights_and_their_number_is_the_sources(make: Make, tiny_onnx: Artifact) -> None:
    made = make("export")
    found = {one.name: one for one in size.size(made)}
    assert found["disk_bytes"].value == sum((made.folder / name).stat().st_size for name in ("model.xml", "model.bin"))
    assert found["parameters"].value == pytest.approx(size.parameters(tiny_onnx), rel=0.01)
    assert found["zeros"].value is None
    assert "OpenVINO" in str(found["zeros"].absent)


@installed
def test_bf16_for_openvino_is_computed_in_bf16(make: Make) -> None:
    made = make("quantize", precision="bf16")
    assert (made.format, made.precision) == ("openvino", "bf16")
    session: Any = choice.runtime_for(made).opened(made, Serving())
    assert session.request.get_compiled_model().get_property("INFERENCE_PRECISION_HINT").to_string() == "bf16"
    gap = np.abs(logits(made) - logits(replace(made, precision="fp32"))).max()
    if "BF16" in importlib.import_module("openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert 1e-4 < gap < 0.5


@installed
@pytest.mark.slow
def test_int8_for_openvino_multiplies_integers_answers_as_its_source_and_is_made_the_same_again(
    make: Make, tiny_torch: Artifact
) -> None:
    made = make("quantize", "one")
    assert (made.format, made.precision, made.steps[-1].settings["mode"]) == ("openvino", "int8", "static")
    facts = made.steps[-1].facts
    assert facts["kernels"]["FullyConnected"] == 24  # six products in each of four layers; the head stays in fp32
    assert facts["agreement"]["share"] >= 0.9
    ours, wanted = logits(made), reference(tiny_torch, sentences())
    # Random weights of this size amplify rounding (a mean difference of a quarter of a logit), on rows unlike the calibrated
    # ones; a wrong scale or a lost mask would leave no such correlation.
    assert np.corrcoef(ours[:, 0], wanted[:, 0])[0, 1] > 0.9
    assert np.abs(ours - wanted).max() > 1e-4
    # OpenVINO numbers the operators of a process, so the graph's file has other names the second time.
    assert make("quantize", "two").files["model.bin"] == made.files["model.bin"]
    _table_is_real_before_the_first_call(made)
    floats = size.parameters(make("export", "floats"))
    assert size.parameters(made) == pytest.approx(floats, rel=0.02)
    assert size.disk_bytes(made) < 0.8 * size.disk_bytes(make("export", "floats"))


def _table_is_real_before_the_first_call(artifact: Artifact) -> None:
    """Nothing that runs at a call gives anything of the word table's shape: it is dequantized once, when it is opened."""
    session: Any = choice.runtime_for(artifact).opened(artifact, Serving())
    running = session.request.get_compiled_model().get_runtime_model().get_ops()
    shapes = {one.get_rt_info()["layerType"].astype(str): [] for one in running}
    for one in running:
        shapes[one.get_rt_info()["layerType"].astype(str)] += [str(out.get_partial_shape()) for out in one.outputs()]
    table = f"[{len(WORDS) + 5},64]"
    assert table in shapes.pop("Const"), "the table's shape is another than the test's"
    assert not [kind for kind, found in shapes.items() if table in found]


@installed
@pytest.mark.slow
def test_what_is_excluded_stays_in_floats(make: Make) -> None:
    made = make("quantize", exclude=("*.layer.0.*",), embeddings=False)
    assert made.steps[-1].facts["kernels"]["FullyConnected"] == 18
    with pytest.raises(CompressError, match="matches nothing that would be quantized"):
        make("quantize", "none", exclude=("*.layer.7.*",))


def settings(**given: Any) -> Any:
    return catalogue.find("techniques", "quantize").settings(target="openvino", **given)


def test_int8_for_openvino_is_static_with_nncfs_smoothing_unless_told_otherwise() -> None:
    assert (settings().mode, settings().smoothquant_alpha) == ("static", 0.95)
    assert settings(smoothquant_alpha=0.5).smoothquant_alpha == 0.5
    assert (settings(precision="bf16").mode, settings(precision="bf16").smoothquant_alpha) == ("dynamic", 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "dynamic"}, "int8 for OpenVINO has mode static"),
        ({"precision": "fp16"}, "takes precision int8 or bf16"),
        ({"precision": "int4", "mode": "weights"}, "takes precision int8 or bf16"),
        ({"encoder": "int8"}, "leave encoder and decoder out"),
    ],
)
def test_settings_that_openvino_has_no_use_for_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**given)


@pytest.mark.parametrize("technique", ["export", "quantize"])
def test_a_target_that_is_not_named_leaves_no_trace_in_an_artifact(technique: str) -> None:
    chosen = catalogue.find("techniques", technique)
    assert "target" not in chosen.settings().model_dump(mode="json")
    assert chosen.settings(target="openvino").model_dump(mode="json")["target"] == "openvino"


def test_a_generative_model_is_refused(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    from tests.written import torch_generator

    source = torch_generator("gpt2", tmp_path_factory)
    for technique in ("export", "quantize"):
        chosen = catalogue.find("techniques", technique)
        with pytest.raises(CompressError, match="is a generative model, which openvino does not run"):
            apply(chosen, source, chosen.settings(target="openvino"), tmp_path / technique, task=source.task)
