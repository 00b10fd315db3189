"""`compress finetune` for generative models: from a checkpoint, from a config, out of an encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.models.generators import generator
from compress.models.load import resolve_model, tokenizer
from compress.techniques.apply import apply
from compress.techniques.finetune import TECHNIQUE
from compress.training.finetune_settings import Finetune
from tests.models.test_encoder_to_seq2seq import CONFIGS
from tests.tiny import write_model
from tests.tiny_generators import write_generator, write_pairs, write_text

FAST = {"epochs": 1, "batch_size": 16, "precision": "fp32", "learning_rate": 3e-3}


def _tuned(source: Path, out: Path, task: dict[str, Any], **settings: Any) -> Artifact:
    return apply(TECHNIQUE, resolve_model(str(source)), Finetune(**{**FAST, **settings}), out, task=task)


def _facts(artifact: Artifact) -> Any:
    return artifact.steps[-1].facts


@pytest.mark.parametrize("family", ["bart", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_a_model_stored_in_bf16_is_trained_and_saved_in_fp32(family: str, tmp_path: Path) -> None:
    source = write_generator(tmp_path / "model", family)
    model = generator(source).to(torch.bfloat16)
    model.save_pretrained(source)
    made = _tuned(source, tmp_path / "out", write_pairs(tmp_path / "data"))
    again = generator(made.folder)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    # At bf16's precision nothing below 2^-9 of a weight would have been learnt.
    moved = dict(again.named_parameters())
    kept = [torch.equal(value.float(), moved[name].bfloat16().float()) for name, value in model.named_parameters()]
    assert sum(kept) < len(kept) / 4
    assert "rouge_l on held-out rows" in _facts(made)["curves"]
    assert again.generation_config.max_new_tokens == 8


def test_a_decoder_learns_plain_text_in_blocks(tmp_path: Path) -> None:
    task = write_text(tmp_path / "data")
    made = _tuned(write_generator(tmp_path / "model", "llama"), tmp_path / "out", task, max_length=16)
    assert _facts(made)["block_tokens"] == 16
    assert "perplexity on held-out rows" in _facts(made)["curves"]


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_a_config_becomes_a_model_with_a_tokenizer_of_the_tasks_text(family: str, tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_text(json.dumps({"model_type": family, **CONFIGS[family]}))
    task = write_pairs(tmp_path / "data", max_source=64, max_target=16)
    made = _tuned(file, tmp_path / "out", task, vocab_size=300)
    assert made.origin["name"] == "small.json"
    assert made.root()["folder"] == str(made.folder)
    its_tokenizer, model = tokenizer(made.folder), generator(made.folder)
    assert len(its_tokenizer) == model.config.vocab_size == _facts(made)["vocabulary"]
    text = "good plot never breaks"
    assert its_tokenizer.decode(its_tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.slow
def test_the_same_config_and_seed_give_the_same_weights(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_text(json.dumps({"model_type": "t5", **CONFIGS["t5"]}))
    task = write_pairs(tmp_path / "data", limit={"train": 48})
    made = [_tuned(file, tmp_path / name, task, vocab_size=300) for name in ("one", "two")]
    assert made[0].files["model.safetensors"] == made[1].files["model.safetensors"]
    assert made[0].files["tokenizer.json"] == made[1].files["tokenizer.json"]
    other = _tuned(file, tmp_path / "other", task, vocab_size=300, seed=1)
    assert other.files["model.safetensors"] != made[0].files["model.safetensors"]


def test_an_encoder_becomes_a_summarizer_that_learns_in_two_stages(tmp_path: Path) -> None:
    task = write_pairs(tmp_path / "data")
    settings = {
        "decoder_layers": 1,
        "freeze_encoder_epochs": 3,
        "encoder_lr_multiplier": 0.4,
        "epochs": 3,
        "label_smoothing": 0.1,
    }
    made = _tuned(write_model(tmp_path / "bert", "bert"), tmp_path / "out", task, **settings)
    facts, model = _facts(made), generator(made.folder)
    assert (model.config.encoder_layers, model.config.decoder_layers) == (4, 1)
    assert facts["training_steps"] == 2 * facts["frozen_steps"] > 0
    assert {"frozen encoder loss", "loss", "rouge_l on held-out rows"} <= set(facts["curves"])
    (first, *_, before), (*_, last) = (
        [value for _, value in facts["curves"][name]] for name in ("frozen encoder loss", "loss")
    )
    assert last < before < first
    assert not (made.folder / ".scratch").exists()


@pytest.mark.slow
def test_a_killed_run_of_two_stages_goes_on_in_the_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.training import finetune as fine_tuning

    source, task = write_model(tmp_path / "bert", "bert"), write_pairs(tmp_path / "data", limit={"train": 48})
    settings = {"decoder_layers": 1, "freeze_encoder_epochs": 2, "epochs": 2}
    whole = _tuned(source, tmp_path / "whole", task, **settings)

    def dies(*_: Any, **__: Any) -> Any:
        raise RuntimeError("killed")

    monkeypatch.setattr(fine_tuning, "train", dies)
    with pytest.raises(RuntimeError, match="killed"):
        _tuned(source, tmp_path / "killed", task, **settings)
    monkeypatch.undo()
    resumed = _tuned(source, tmp_path / "killed", task, **settings)
    assert resumed.files["model.safetensors"] == whole.files["model.safetensors"]


def test_what_decides_nothing_or_cannot_work_is_refused_before_anything_is_loaded(tmp_path: Path, task: Any) -> None:
    pairs, text = write_pairs(tmp_path / "pairs"), write_text(tmp_path / "text")
    bert, t5 = write_model(tmp_path / "bert", "bert"), write_generator(tmp_path / "t5", "t5")
    gpt2, file = write_generator(tmp_path / "gpt2", "gpt2"), tmp_path / "small.json"
    file.write_text(json.dumps({"model_type": "t5", **CONFIGS["t5"]}))
    decoder = tmp_path / "decoder.json"
    decoder.write_text(json.dumps({"model_type": "llama", **CONFIGS["llama"]}))
    for source, wanted, settings, message in (
        (t5, pairs, {"max_length": 64}, "max_length does not apply to 'gists'"),
        (t5, pairs, {"vocab_size": 300}, "'vocab_size' is for a model trained from a config"),
        (t5, pairs, {"decoder_layers": 1}, "'decoder_layers' is for a seq2seq model initialized from an encoder"),
        (
            gpt2,
            pairs,
            {"freeze_encoder_epochs": 1},
            "'freeze_encoder_epochs' is for an encoder-decoder",
        ),
        (bert, task, {"label_smoothing": 0.1}, "'label_smoothing' is for a generative task"),
        (bert, text, {}, "language modelling, which needs a decoder"),
        (
            decoder,
            pairs,
            {"encoder_lr_multiplier": 0.5},
            "'encoder_lr_multiplier' is for an encoder-decoder",
        ),
        (file, text, {}, "language modelling, which needs a decoder"),
        (file, task, {}, "Only generative models are trained from a config"),
    ):
        with pytest.raises(CompressError, match=message):
            _tuned(source, tmp_path / "never", wanted, **settings)


@pytest.mark.slow
def test_the_cut_is_part_of_what_makes_an_artifact_new(tmp_path: Path) -> None:
    source, task = write_generator(tmp_path / "model", "t5"), write_pairs(tmp_path / "data", limit={"train": 32})
    one = _tuned(source, tmp_path / "one", task)
    other = _tuned(source, tmp_path / "other", {**task, "max_source": 20})
    assert one.fingerprint() != other.fingerprint()
