"""Quantization-aware training of generative models: each part's graph has the scales that were learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.settings import build
from compress.models.load import resolve_model
from compress.onnx.graph import Graph
from compress.quantization.scheme import Scheme
from compress.runtimes.onnx_generation import open_generator
from compress.runtimes.runtime import Serving
from compress.techniques.apply import apply
from tests.families import config
from tests.tiny_generators import write_generator, write_pairs

QAT, QUANTIZE = (find("techniques", name) for name in ("qat", "quantize"))


def source(folder: Path, family: str) -> Artifact:
    where = folder / f"whole-{family}"
    if not where.exists():
        write_generator(where, family, init_std=0.3, initializer_range=0.3, **config(family, times=4))
    return resolve_model(str(where))


def run(technique: Any, folder: Path, family: str, name: str, **settings: Any) -> Artifact:
    task = write_pairs(folder / "data", rows=40)
    chosen = build(technique.settings, {"calibration": "task-256", **settings}, technique.name)
    return apply(technique, source(folder, family), chosen, folder / name, task=task)


def trained(folder: Path, family: str, name: str = "qat", **settings: Any) -> Artifact:
    return run(QAT, folder, family, name, **{"batch_size": 16, "precision": "fp32", "top_k": 8, **settings})


def scales(artifact: Artifact) -> dict[str, np.ndarray]:
    """Every scale in the artifact's graphs, by name and part."""
    found = {}
    for part, name in artifact.parts.items():
        for constant, value in Graph.load(artifact.folder / name).constants.items():
            if constant.endswith(".scale"):
                found[f"{part} {constant}"] = value
    return found


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bart", "gpt2"])  # an export takes seconds; the others' modules: test_aware_text
def test_the_learned_scales_are_the_graphs_to_the_bit_and_it_writes(tmp_path: Path, family: str) -> None:
    artifact = trained(tmp_path, family, epochs=2, learning_rate=1e-3)
    static = run(QUANTIZE, tmp_path, family, "static", mode="static", outlier_layers="static")
    learned, began = (Scheme.load(one.folder / "scheme.safetensors") for one in (artifact, static))
    assert learned.keys() == began.keys()
    assert sum(learned[name] != began[name] for name in learned) > len(learned) / 2
    found, read = scales(artifact), set()
    for name, layer in learned.items():
        weights = [key for key in found if key.split()[1] in (f"{name}.weight.scale", f"{name}.weight.T.scale")]
        assert weights, name
        for key in weights:
            assert layer.weight is not None
            np.testing.assert_array_equal(found[key], layer.weight.scale)
        inputs = [
            key for key in found if key.split()[1] in (f"{name}.weight.input.scale", f"{name}.weight.T.input.scale")
        ]
        for key in inputs:
            assert layer.input is not None
            np.testing.assert_array_equal(found[key], layer.input.scale)
        read |= {*weights, *inputs}
    assert read == found.keys()
    facts = artifact.steps[-1].facts
    assert facts["gap to the trained model"]["tokens_that_differ"] == 0
    assert facts["kernels"]
    assert facts["training_steps"] > 0
    generator = open_generator(artifact, Serving(threads=1))
    tokens = generator.generate(input_ids=torch.tensor([[5, 9, 12, 7]]), max_new_tokens=5, do_sample=False)
    assert tokens.shape[1] > 1


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_hidden_layers_are_matched_with_those_of_the_unquantized_model_where_asked(tmp_path: Path, family: str) -> None:
    made = trained(tmp_path, family, epochs=1, learning_rate=1e-3, hidden_weight=1, attention_weight=1)
    told = made.steps[-1].facts["curves"]
    for side in ("encoder ", "decoder ") if family == "bart" else ("",):
        assert told[f"loss: {side}hidden states"][0][1] > 0
        assert f"loss: {side}attention" in told


@pytest.mark.slow
def test_without_learning_it_is_static_quantization_to_the_bit(tmp_path: Path) -> None:
    family = "bart"
    artifact = trained(tmp_path, family, epochs=1, learning_rate=1e-30, weight_decay=0)
    static = run(QUANTIZE, tmp_path, family, "static", mode="static", outlier_layers="static")
    for part in static.parts.values():
        ours, theirs = (
            {
                name: value
                for name, value in Graph.load(one.folder / part).constants.items()
                if name.endswith((".quantized", ".scale", ".zero_point"))  # a bias of 0 moves by 1e-30
            }
            for one in (artifact, static)
        )
        assert ours.keys() == theirs.keys()
        assert len(ours) > 12
        for name in theirs:
            # The padding's row is 0, so its step is the least number there is, of which 1e-30 is many.
            steps = theirs.get(name.replace(".quantized", ".scale"), np.float32(1))
            seen = steps > 1e-30 if name.endswith(".quantized") else True
            assert np.array_equal(np.where(seen, ours[name], 0), np.where(seen, theirs[name], 0)), name
    assert Scheme.load(artifact.folder / "scheme.safetensors") == Scheme.load(static.folder / "scheme.safetensors")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"intermediate_epochs": 1}, "intermediate_epochs needs something to match"),
        ({"attention_matmuls": "both"}, "Leave attention_matmuls at none"),
        ({"decoder_layers": 1}, "keeps all layers"),
    ],
)
def test_what_is_for_classifiers_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CompressError, match=message):
        trained(tmp_path, "bart", **settings)
