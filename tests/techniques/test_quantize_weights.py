"""Weights alone in fewer bits, as a step: each mode gives an artifact that opens, and combinations that cannot be are refused."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.data.loading import described_task
from compress.models import load as models
from compress.models.load import resolve_model
from compress.quantization import weight_only
from compress.quantization.quantize_settings import Quantize
from compress.techniques.apply import apply, check
from compress.techniques.quantize import TECHNIQUE
from tests.generative import strong_generator
from tests.tiny import WORDS, write_tokenizer

TEXTS = ["a good film", "an awful book but the price is fine", "dull"]
Run = Callable[..., Artifact]


def runner(source: Artifact, task: dict[str, Any], folder: Path) -> Run:
    technique = find("techniques", "quantize")

    def run(name: str, **settings: Any) -> Artifact:
        return apply(technique, source, technique.settings(**settings), folder / name, task=task)

    return run


@pytest.fixture
def decoder(tmp_path: Path) -> tuple[Artifact, dict[str, Any], Path]:
    """A tiny Llama whose widths every mode can hold, and lines of text."""
    write_tokenizer(tmp_path / "source")
    strong_generator("llama", layers=1, hidden_size=64, intermediate_size=128).save_pretrained(tmp_path / "source")
    chance = random.Random(0)
    for split in ("train", "evaluation"):
        lines = [" ".join(chance.choices(WORDS, k=20)) for _ in range(60)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in lines))
    data = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "evaluation")}
    task = {"name": "lines", "kind": "language_modelling", "source": "text", "data": data}
    return resolve_model(str(tmp_path / "source")), task, tmp_path


def test_a_gptq_checkpoint_is_a_torch_artifact_that_opens_and_tells_of_its_rows(decoder: Any) -> None:
    made = runner(*decoder)("made", precision="int4", mode="gptq")
    assert (made.format, made.precision) == ("torch", "int4")
    assert made.steps[-1].data["calibration"]["set"] == "task-256"
    told = made.steps[-1].facts
    assert told["layers"] == 7
    assert 0 < told["median_output_error"] < told["median_output_error_of_nearest"]
    again, before = models.load(made), models.load(decoder[0])
    weight, old = (model.model.layers[0].mlp.up_proj.weight.detach() for model in (again, before))
    for row, was in zip(weight.view(128, 2, 32)[:8], old.view(128, 2, 32)[:8], strict=True):
        assert all(len(block.unique()) <= 16 for block in row)
        assert 0.01 < float((row - was).norm() / was.norm()) < 0.3
    assert models.tokenizer(made.folder)("good film")["input_ids"]


@pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="the extra `bitsandbytes` is not installed"
)
def test_bitsandbytes_gives_a_torch_artifact_that_opens(decoder: Any) -> None:
    made = runner(*decoder)("made", precision="nf4", mode="bitsandbytes")
    assert (made.format, made.precision) == ("torch", "nf4")
    assert made.steps[-1].facts["layers_quantized"] == 7
    assert "calibration" not in made.steps[-1].data
    assert models.load(made).model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    with pytest.raises(CompressError, match="holds weights in nf4"):
        runner(made, decoder[1], decoder[2])("again", precision="int8")


@pytest.mark.slow
def test_a_decoder_in_blocks_has_gptqs_integers_where_they_are_asked_for(decoder: Any) -> None:
    run = runner(*decoder)
    nearest = run("nearest", precision="int4", mode="weights")
    gptq = run("gptq", precision="int4", mode="weights", rounding="gptq")
    assert nearest.steps[-1].facts["decode"]["weights"] == {
        "int8 table": 1,
        "nearest": 6,
    }  # key and value are too small
    assert gptq.steps[-1].facts["decode"]["weights"] == {"int8 table": 1, "gptq": 5, "nearest": 1}
    assert (gptq.format, gptq.precision) == ("onnx", "int4")
    assert gptq.files["weights.bin"] != nearest.files["weights.bin"]
    told = gptq.steps[-1].facts
    assert told["median_output_error"] < told["median_output_error_of_nearest"]


@pytest.mark.slow
def test_a_classifier_in_blocks_answers_nearly_as_its_source(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path
) -> None:
    from compress.runtimes.predict import predictions

    source = resolve_model(str(make_model("bert", "source")))
    run = runner(source, task, tmp_path)
    shares = {}
    for name, settings in (("nearest", {}), ("gptq", {"rounding": "gptq"})):
        made = run(name, precision="int4", mode="weights", **settings)
        assert made.steps[-1].facts["weights"][name] == 4 * 6
        shares[name] = [answer["probabilities"]["positive"] for answer in predictions(made, TEXTS)]
    wanted = [answer["probabilities"]["positive"] for answer in predictions(source, TEXTS)]
    for found in shares.values():
        assert found == pytest.approx(wanted, abs=0.03)
    assert shares["nearest"] != shares["gptq"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"precision": "int4"}, "set mode to weights or gptq"),
        ({"precision": "nf4"}, "set mode to bitsandbytes"),
        ({"precision": "fp16", "mode": "weights"}, "set mode to dynamic or static"),
        ({"precision": "int8", "rounding": "gptq"}, "'rounding' is for int4"),
        ({"precision": "int4", "mode": "weights", "group_size": 48}, "16, 32, 64, 128"),
        ({"precision": "int4", "mode": "gptq", "decoder": "int8"}, "one precision"),
    ],
    ids=str,
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Quantize(**settings)


def test_what_cannot_be_made_of_a_source_is_refused_before_a_weight_is_loaded(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path, decoder: Any
) -> None:
    technique = find("techniques", "quantize")

    def refused(source: Artifact, reason: str, **settings: Any) -> None:
        with pytest.raises(CompressError, match=reason):
            check(technique, source, technique.settings(**settings), described_task(task))

    classifier = resolve_model(str(make_model("bert", "classifier")))
    refused(classifier, "mode to weights and rounding to gptq", precision="int4", mode="gptq")
    onnx = Artifact(
        classifier.folder, {"name": "x", "weights": "0"}, None, format="onnx", parts={"model": "model.onnx"}
    )
    refused(onnx, "gives a torch checkpoint", precision="nf4", mode="bitsandbytes")
    refused(onnx, "set rounding to nearest", precision="int4", mode="weights", rounding="gptq")
    narrow = decoder[2] / "narrow"
    write_tokenizer(narrow)
    strong_generator("llama", hidden_size=64, intermediate_size=172).save_pretrained(narrow)
    with pytest.raises(CompressError, match=r"exclude: '\*\.gate_proj'"):
        runner(resolve_model(str(narrow)), decoder[1], decoder[2])("made", precision="int4", mode="gptq")


def test_each_setting_of_weights_alone_reaches_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(weight_only, "quantize_weights", lambda graph, target, whole, chosen: seen.append(whole) or {})
    usual = {"precision": "int4", "mode": "weights"}
    asked = {"group_size": 64, "symmetric": True, "accuracy_level": "4", "embeddings": False, "exclude": ["a*"]}
    for given in ({}, asked):
        settings = TECHNIQUE.read({**usual, **given}, "here")
        weight_only.write_blocks(settings, "int4", {}, "model", Path("graph"), Path("target"))
    first, second = seen
    assert (first.grid.block, first.grid.symmetric, first.embeddings, first.exclude) == (32, False, True, ())
    assert (second.grid.block, second.grid.symmetric, second.embeddings, second.exclude) == (64, True, False, ("a*",))
    assert (first.integer_inputs, second.integer_inputs) == (False, True)


def test_an_accuracy_level_that_nothing_computes_is_refused() -> None:
    with pytest.raises(CompressError, match="--accuracy-level 2: must be 0 or 4"):
        TECHNIQUE.read({"precision": "int4", "mode": "weights", "accuracy_level": "2"}, "compress quantize")
