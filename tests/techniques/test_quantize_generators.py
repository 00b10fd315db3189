"""Quantization of generative models: each component in its precision, weights shared as before, the gap reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.models.load import checkpoint_artifact
from compress.quantization.graphs.layers import SMALLEST_WEIGHT
from compress.techniques.apply import apply
from tests.tiny import write_model
from tests.written import onnx_generator, torch_generator


def quantized(source: Artifact, out: Path, **settings: Any) -> Artifact:
    technique = find("techniques", "quantize")
    return apply(technique, source, technique.settings(**settings), out, task=source.task)


def types(artifact: Artifact, part: str) -> set[str]:
    """Of the matrices in a graph that are worth quantizing."""
    graph = onnx.load(str(artifact.folder / artifact.parts[part])).graph
    arrays = [numpy_helper.to_array(one) for one in graph.initializer]
    return {one.dtype.name for one in arrays if one.ndim == 2 and one.shape[0] > 1 and one.size >= SMALLEST_WEIGHT}


def weights_bytes(artifact: Artifact) -> int:
    return (artifact.folder / "weights.bin").stat().st_size


def writes(artifact: Artifact) -> list[list[int]]:
    import torch

    from compress.runtimes.onnx_generation import open_generator
    from compress.runtimes.runtime import Serving

    ids = torch.tensor([[4, 5, 6, 7], [9, 8, 7, 6]])
    found: list[list[int]] = open_generator(artifact, Serving()).generate(ids, max_new_tokens=8).tolist()
    return found


@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_int8_is_a_quarter_of_the_size_and_still_writes(
    mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = onnx_generator("bart", tmp_path_factory)
    made = quantized(source, tmp_path / "int8", precision="int8", mode=mode)
    assert (made.format, made.precision, made.parts) == ("onnx", "int8", source.parts)
    assert set(made.files) == {*source.files, "scheme.safetensors"}
    assert types(made, "encoder") == types(made, "decode") == {"int8"}
    # Pages of 4 KiB for each small matrix here; and the head has integers of its own beside the embeddings'.
    assert weights_bytes(made) < 0.6 * weights_bytes(source)
    told = made.steps[-1].facts
    assert told["gap to fp32"]["tolerance"] is None
    assert 0 < max(told["gap to fp32"]["largest_gap"].values()) < 0.3 * told["gap to fp32"]["scale"]
    assert told["gap to fp32"]["rows_from"] == "gists, train"
    assert "MatMul" not in told["kernels"]
    assert made.facts["components"] == {"encoder": "int8", "decode": "int8"}
    assert len(writes(made)) == 2


def test_a_component_keeps_its_own_precision(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from compress.runtimes.sessions_with_cache import open_generation

    source = onnx_generator("bart", tmp_path_factory)
    made = quantized(source, tmp_path / "mixed", precision="int8", encoder="fp32")
    assert types(made, "encoder") == {"float32"}
    assert types(made, "decode") == {"int8"}
    assert made.facts["components"] == {"encoder": "fp32", "decode": "int8"}
    import torch

    states = [
        open_generation({part: one.folder / name for part, name in one.parts.items()}, threads=1).encode(
            torch.tensor([[4, 5, 6]]), torch.ones(1, 3, dtype=torch.int64)
        )[0]
        for one in (source, made)
    ]
    assert torch.equal(*states)
    halves = quantized(source, tmp_path / "halves", precision="fp16", decoder="int8", mode="dynamic")
    assert types(halves, "encoder") == {"float16"}
    assert types(halves, "decode") == {"int8"}
    assert len(writes(halves)) == 2


@pytest.mark.parametrize("family", ["bart", pytest.param("llama", marks=pytest.mark.slow)])
def test_fp16_is_half_the_size_and_within_its_tolerance(
    family: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = onnx_generator(family, tmp_path_factory)
    made = quantized(source, tmp_path / "fp16", precision="fp16")
    parity = made.steps[-1].facts["gap to fp32"]
    assert parity["precision"] == "fp16"
    assert max(parity["largest_gap"].values()) <= parity["tolerance"]
    assert weights_bytes(made) < 0.7 * weights_bytes(source)
    assert writes(made) == writes(source)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["t5", "gpt2", "llama", "bloom"])  # the others: tests/models/test_families.py
@pytest.mark.parametrize("mode", ["dynamic", "static"])
def test_every_family_is_quantized(
    family: str, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = onnx_generator(family, tmp_path_factory)
    made = quantized(source, tmp_path / "int8", precision="int8", mode=mode)
    assert types(made, "decode") == {"int8"}
    assert made.steps[-1].facts["gap to fp32"]["equal_predictions"] > 0.5
    assert np.array(writes(made)).shape == np.array(writes(source)).shape


def test_a_torch_artifact_is_exported_on_the_way_to_the_same_graphs(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, exported = torch_generator("bart", tmp_path_factory), onnx_generator("bart", tmp_path_factory)
    technique = find("techniques", "quantize")
    cache = exported.folder.parent / ".compress-cache"
    made = apply(technique, source, technique.settings(), tmp_path / "a", task=exported.task, cache=cache)
    other = quantized(exported, tmp_path / "b")
    assert made.files["weights.bin"] == other.files["weights.bin"]
    assert made.steps[-1].facts["parity of the fp32 graph"]["precision"] == "fp32"


@pytest.mark.parametrize(
    ("family", "settings", "message"),
    [
        ("bart", {"encoder": "fp32", "decoder": "fp32"}, "nothing to quantize"),
        ("llama", {"encoder": "fp32"}, "it has no encoder"),
        ("bart", {"precision": "bf16", "encoder": "fp32"}, "which has one precision"),
        ("bart", {"mode": "static", "attention_matmuls": "both"}, "attention_matmuls"),
    ],
)
def test_what_a_generative_model_cannot_have_is_refused(
    family: str,
    settings: dict[str, Any],
    message: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("compress.onnx.exported.exported", lambda *_, **__: pytest.fail("it was exported first"))
    with pytest.raises(CompressError, match=message):
        quantized(torch_generator(family, tmp_path_factory), tmp_path / "x", **settings)


def test_a_classifier_has_no_components(tmp_path: Path) -> None:
    classifier = checkpoint_artifact(write_model(tmp_path / "classifier"), "classifier")
    with pytest.raises(CompressError, match="is a classifier, without separate encoder and decoder"):
        quantized(classifier, tmp_path / "x", decoder="fp32")
