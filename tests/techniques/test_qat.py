"""Quantization-aware training as a step: it starts at static quantization, keeps what was learned, and resumes."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.core.settings import build
from compress.data.loading import described_task
from compress.models import load as models
from compress.models.load import resolve_model
from compress.pruning.weights import prunable, weights_of
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.qat_settings import Qat
from compress.quantization.quantize_settings import Quantize
from compress.quantization.scheme import Scheme
from compress.tasks.technique import Technique
from compress.techniques.apply import apply
from compress.training import loop
from tests.tiny import WORDS, write_model

QAT, QUANTIZE, FINETUNE, PRUNE = (find("techniques", name) for name in ("qat", "quantize", "finetune", "prune"))
FEW: dict[str, Any] = {"batch_size": 16, "precision": "fp32", "max_length": 64, "calibration": "task-256"}


@pytest.fixture
def source(make_model: Callable[..., Path]) -> Artifact:
    return resolve_model(str(make_model("bert", "whole", num_hidden_layers=2)))


@pytest.fixture
def qat(source: Artifact, task: dict[str, Any], tmp_path: Path) -> Callable[..., Artifact]:
    def run(name: str, given: Artifact | None = None, **settings: Any) -> Artifact:
        return apply(QAT, given or source, chosen(QAT, **{**FEW, **settings}), tmp_path / name, task=task)

    return run


def chosen(technique: Technique, **settings: Any) -> Any:
    return build(technique.settings, settings, technique.name)


def scheme_of(artifact: Artifact) -> Scheme:
    return Scheme.load(artifact.folder / "scheme.safetensors")


def test_with_no_learning_it_is_static_quantization_to_the_bit(
    qat: Callable[..., Artifact], source: Artifact, task: dict[str, Any], tmp_path: Path
) -> None:
    trained = qat("qat", learning_rate=1e-30, weight_decay=0, smoothquant_alpha=0.5)
    settings = chosen(QUANTIZE, mode="static", outlier_layers="static", smoothquant_alpha=0.5)
    static = apply(QUANTIZE, source, settings, tmp_path / "static", task=task)
    assert dict(scheme_of(trained)) == dict(scheme_of(static))
    ours, theirs = (
        {item.name: numpy_helper.to_array(item) for item in onnx.load(str(one.folder / "model.onnx")).graph.initializer}
        for one in (trained, static)
    )
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_the_trained_scales_stand_in_the_graph_to_the_bit_and_integer_kernels_run(qat: Callable[..., Artifact]) -> None:
    artifact = qat("qat", learning_rate=1e-3, epochs=2, attention_matmuls="both")
    scheme = scheme_of(artifact)
    graph = onnx.load(str(artifact.folder / "model.onnx")).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    scalars = {(value.dtype.name, value.tobytes()) for value in stored.values()}
    for layer in scheme.values():
        for quantizer in (layer.weight, layer.input, layer.other):
            if quantizer is not None:
                assert ("float32", quantizer.scale.tobytes()) in scalars
                assert (quantizer.type, quantizer.zero_point.astype(quantizer.type).tobytes()) in scalars
    integers = [value for value in stored.values() if value.dtype == np.int8 and value.ndim == 2]
    assert len(integers) == sum(layer.weight is not None for layer in scheme.values())
    facts = artifact.steps[-1].facts
    assert set(facts["kernels"]) <= {"MatMulIntegerToFloat", "QLinearMatMul"}
    assert sum(facts["kernels"].values()) == 2 * 6 + 2 * 2
    assert facts["gap to the trained model"]["rows_that_differ"] == 0
    assert facts["gap to the trained model"]["rows"] == facts["holdout_rows"]


@pytest.mark.slow
def test_scales_move_with_the_training_and_stay_where_they_are_left(
    qat: Callable[..., Artifact], tmp_path: Path
) -> None:
    still, moved = (scheme_of(qat(name, learning_rate=rate)) for name, rate in (("still", 1e-30), ("moved", 1e-3)))
    weights = [(layer.weight, moved[name].weight) for name, layer in still.items()]
    assert all(one is not None and other is not None and (one.scale != other.scale).any() for one, other in weights)
    inputs = [(layer.input, moved[name].input) for name, layer in still.items() if layer.input is not None]
    assert all(float(one.scale) != float(other.scale) for one, other in inputs if other is not None)


@pytest.mark.slow
def test_fixed_scales_follow_the_training_and_then_rest(qat: Callable[..., Artifact]) -> None:
    start = scheme_of(qat("start", learning_rate=1e-30))
    fixed = scheme_of(
        qat(
            "fixed",
            learning_rate=1e-3,
            step_sizes="moving_average",
            freeze_observers_at=0.5,
            calibration_method="minmax",
        )
    )
    assert any(one.input != fixed[name].input for name, one in start.items() if one.input is not None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"step_sizes": "moving_average", "freeze_observers_at": 0.9}], ids=["learned", "fixed"]
)
def test_a_killed_run_resumes_to_the_same_bits(
    qat: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    settings = {"learning_rate": 1e-3, "epochs": 2, "smoothquant_alpha": 0.5, **settings}
    straight = qat("straight", **settings)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    step = loop.Loop.training_step
    done = 0

    def killed(self: Any, *given: Any, **named: Any) -> Any:
        nonlocal done
        done += 1
        if done == 6:
            raise KeyboardInterrupt
        return step(self, *given, **named)

    monkeypatch.setattr(loop.Loop, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        qat("again", **settings)
    monkeypatch.setattr(loop.Loop, "training_step", step)
    again = qat("again", **settings)
    assert again.steps[-1].facts["resumed_from_step"] is not None
    assert dict(scheme_of(again)) == dict(scheme_of(straight))
    assert (again.folder / "model.onnx").read_bytes() == (straight.folder / "model.onnx").read_bytes()


@pytest.mark.slow
def test_a_pruned_models_zeros_are_zeros_in_the_integers(
    qat: Callable[..., Artifact], source: Artifact, task: dict[str, Any], tmp_path: Path
) -> None:
    pruned = apply(PRUNE, source, chosen(PRUNE, method="magnitude", sparsity=0.6), tmp_path / "pruned", task=task)
    model = models.load(pruned)
    zeros = sum(int((weight == 0).sum()) for weight in weights_of(model, prunable(model)).values())
    artifact = qat("qat", pruned, learning_rate=1e-3)
    stored = [numpy_helper.to_array(one) for one in onnx.load(str(artifact.folder / "model.onnx")).graph.initializer]
    integers = [one for one in stored if one.dtype == np.int8 and one.ndim == 2 and one.shape[0] in (64, 128)]
    assert sum(int((one == 0).sum()) for one in integers) >= zeros


@pytest.mark.slow
def test_a_structurally_pruned_model_is_trained_as_it_is(
    qat: Callable[..., Artifact], source: Artifact, task: dict[str, Any], tmp_path: Path
) -> None:
    pruned = apply(PRUNE, source, chosen(PRUNE, method="structured", target_ratio=0.5), tmp_path / "pruned", task=task)
    artifact = qat("qat", pruned, attention_matmuls="both")
    assert artifact.steps[-1].facts["gap to the trained model"]["rows_that_differ"] == 0


@pytest.mark.slow
# Those that differ most from BERT; the modules of every family: tests/quantization/test_qat_modules.py.
@pytest.mark.parametrize("family", ["deberta-v2", "modernbert"])
def test_other_families_are_trained_and_exported(
    family: str, make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path
) -> None:
    given = resolve_model(str(make_model(family, "model")))
    artifact = apply(QAT, given, chosen(QAT, **FEW, learning_rate=1e-3), tmp_path / "qat", task=task)
    facts = artifact.steps[-1].facts
    assert facts["gap to the trained model"]["rows_that_differ"] == 0
    products = sum(layer.input is not None for layer in scheme_of(artifact).values())
    assert facts["kernels"] == {"MatMulIntegerToFloat": pytest.approx(products, abs=0)}


def test_its_settings_are_those_of_static_quantization() -> None:
    """A setting that one of them gets, the other has; only what holds outliers has another default."""
    shared = set(Int8Settings.model_fields)
    for name in shared - {"outlier_layers"}:
        assert Qat.model_fields[name].default == Quantize.model_fields[name].default
    choices = [get_args(one.model_fields["outlier_layers"].annotation) for one in (Qat, Quantize)]
    assert choices[0] == choices[1]
    assert "static" in choices[0]


def test_an_artifact_that_is_int8_already_is_refused(
    qat: Callable[..., Artifact], source: Artifact, task: dict[str, Any], tmp_path: Path
) -> None:
    static = apply(QUANTIZE, source, chosen(QUANTIZE), tmp_path / "int8", task=task)
    with pytest.raises(CompressError, match="onnx"):
        qat("qat", static)


def moods(folder: Path, name: str, rows: int, seed: int) -> str:
    """Rows whose label is whether a good word or a bad one stands in them."""
    chance = random.Random(seed)
    with (folder / f"{name}.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["review", "mood"])
        for number in range(rows):
            words = chance.choices(WORDS[8:], k=chance.randint(2, 9))
            words.insert(chance.randrange(len(words)), chance.choice(WORDS[:4] if number % 2 else WORDS[4:8]))
            out.writerow([" ".join(words), "positive" if number % 2 else "negative"])
    return str(folder / f"{name}.csv")


def right(artifact: Artifact, task: dict[str, Any]) -> float:
    """Percent of the evaluation rows."""
    from compress.data import loading
    from compress.data.model_rows import model_inputs
    from compress.onnx.exported import exported
    from compress.runtimes.sessions import logits, open_session

    graph = artifact.folder / "model.onnx"
    if artifact.format == "torch":
        graph = exported(artifact, described_task(task), artifact.folder.parent / "cache").graph
    described, data = loading.resolve(task)
    its_tokenizer = models.tokenizer(artifact.folder)
    rows = loading.tokenize(loading.load(described, data, "evaluation").rows, its_tokenizer, 64).rows
    session = open_session(graph, threads=1)
    found = [
        logits(session, {name: value[None] for name, value in model_inputs(row, its_tokenizer).items()})[0].argmax()
        for row in rows
    ]
    return float((np.asarray(found) == np.asarray(rows["label"])).mean() * 100)


def plant_outliers_(model: Any) -> None:
    """Two channels a thousand times as large before each attention, and the weights that read them as much smaller.

    ModernBERT's norms are read by the next matrix alone; its first layer has none before attention, where values are scaled
    instead. The factor is a power of two, so fp32 changes in no bit.
    """
    factor, channels = 1024.0, [3, 17]
    layers = model.model.layers
    with torch.no_grad():
        for norm, reader in [(one.mlp_norm, one.mlp.Wi) for one in layers] + [
            (one.attn_norm, one.attn.Wqkv) for one in layers[1:]
        ]:
            norm.weight[channels] *= factor
            reader.weight[:, channels] /= factor
        values = [2 * model.config.hidden_size + channel for channel in channels]
        layers[0].attn.Wqkv.weight[values] *= factor
        layers[0].attn.Wo.weight[:, channels] /= factor


@pytest.mark.slow
def test_a_model_that_planted_outliers_ruin_in_static_int8_comes_back(tmp_path: Path) -> None:
    task = {
        "name": "moods",
        "text": "review",
        "label": "mood",
        "labels": ["negative", "positive"],
        "data": {"train": moods(tmp_path, "train", 1200, 0), "evaluation": moods(tmp_path, "evaluation", 600, 1)},
        "holdout": 0.1,
    }
    base = resolve_model(
        str(write_model(tmp_path / "base", "modernbert", num_hidden_layers=3, global_attn_every_n_layers=1))
    )
    learn = chosen(FINETUNE, epochs=4, learning_rate=1e-3, max_length=64)
    fitted = apply(FINETUNE, base, learn, tmp_path / "fitted", task=task)
    model = models.load(fitted)
    plant_outliers_(model)
    models.save(model, models.tokenizer(fitted.folder), tmp_path / "planted")
    planted = resolve_model(str(tmp_path / "planted"))
    whole = right(planted, task)
    assert whole == right(fitted, task) > 95
    ruined = chosen(QUANTIZE, mode="static", outlier_layers="static", allow_disagreement=True)
    static = apply(QUANTIZE, planted, ruined, tmp_path / "static", task=task)
    print(json.dumps({"fp32": whole, "static": right(static, task)}))
    assert right(static, task) < whole - 10
    settings = chosen(QAT, **FEW, smoothquant_alpha=0.5, learning_rate=1e-4, epochs=1)
    trained = apply(QAT, planted, settings, tmp_path / "qat", task=task)
    assert right(trained, task) >= whole - 1
