"""Tests of what a worker is given of the evaluation split: what a model continues, what is scored, what is timed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.data import loading
from compress.measure import batches as inputs
from compress.measure.batches import Condition, Inputs
from compress.measure.generation import GenerationEvaluation
from compress.measure.generation_inputs import GenerationPlan, rules_of, start_token
from compress.models.load import checkpoint_artifact
from compress.runtimes.generating import Decoding
from tests.tiny_generators import write_generator, write_pairs, write_text

CONDITIONS = (Condition(2, "real", 3), Condition(2, 10, 1))


def prepared(
    folder: Path, family: str, described: dict[str, Any]
) -> tuple[Inputs, GenerationEvaluation, Artifact, Path]:
    artifact = checkpoint_artifact(write_generator(folder / family, family), family)
    task, data = loading.resolve(described)
    split = loading.load(task, data, "evaluation", folder / "cache")
    plan = GenerationPlan(Decoding(), prompt_tokens=5, context=20, stride=8)
    evaluation = GenerationEvaluation(task=task, metrics=(), split=split, cache=folder / "cache", plan=plan)
    found = evaluation.prepare(artifact, CONDITIONS)
    inputs.save(found, folder / "inputs.npz")
    return found, evaluation, artifact, folder / "inputs.npz"


def test_a_decoder_continues_prompts_padded_on_the_left_and_is_scored_on_its_targets_alone(tmp_path: Path) -> None:
    found, evaluation, artifact, file = prepared(tmp_path, "gpt2", write_pairs(tmp_path / "data"))
    prompts, texts, labels = (inputs.open_rows(file, *names) for names in ((), ("texts", "rows"), ("labels",)))
    batch = prompts.batch(range(len(prompts)))
    assert batch["attention_mask"][:, -1].all()
    assert not batch["attention_mask"][:, 0].all()
    for number in range(len(prompts)):
        prompt, whole, wanted = (one.columns["input_ids"][number] for one in (prompts, texts, labels))
        assert whole[: len(prompt)].tolist() == prompt.tolist()
        assert (wanted[: len(prompt)] == -100).all()
        assert wanted[len(prompt) :].tolist() == whole[len(prompt) :].tolist()
    (first, *_) = inputs.open_batches(file, "2xreal")
    assert first["attention_mask"][:, -1].all()
    assert next(one["input_ids"].shape for one in inputs.open_batches(file, "2x10")) == (2, 10)
    assert evaluation.condition == {"split": "evaluation", "beams": 1, "max_new_tokens": 128}
    assert found.notes == ()
    assert start_token(artifact.folder) == 0


def test_an_encoder_decoder_reads_sources_and_is_scored_on_targets_of_another_length(tmp_path: Path) -> None:
    found, _, _, file = prepared(tmp_path, "t5", write_pairs(tmp_path / "data", max_source=8))
    sources, labels = inputs.open_rows(file, "texts", "rows"), inputs.open_rows(file, "labels")
    assert sources.side == "right"
    assert sources.lengths().max() == 8
    assert sources.lengths().tolist() != labels.lengths().tolist()
    assert (labels.batch(range(len(labels)))["input_ids"] == -100).any()
    assert "sources were cut at 8 tokens" in found.notes[0]


def test_a_language_model_is_scored_in_windows_and_continues_their_beginnings(tmp_path: Path) -> None:
    found, evaluation, artifact, file = prepared(tmp_path, "llama", write_text(tmp_path / "data"))
    texts, labels = inputs.open_rows(file, "texts"), inputs.open_rows(file, "labels")
    assert texts.lengths().max() == 20
    assert set(found.rows.lengths()) == {5}
    begun = {tuple(row[:5]) for row in texts.columns["input_ids"]}
    assert {tuple(row) for feeds in inputs.open_batches(file, "2xreal") for row in feeds["input_ids"]} <= begun
    counted = [(row != -100).sum() for row in labels.columns["input_ids"]]
    assert counted[0] == 19
    assert set(counted[1:-1]) == {8}
    assert len(evaluation.rows.documents(artifact)) == len(texts)
    assert evaluation.condition == {"split": "evaluation", "context": 20, "stride": 8}


def test_what_decides_the_outputs_is_their_identity_in_the_cache(tmp_path: Path) -> None:
    _, evaluation, _, _ = prepared(tmp_path, "gpt2", write_pairs(tmp_path / "data"))
    same = replace(evaluation, plan=GenerationPlan(Decoding(), new_tokens=7), root="another")
    other = replace(evaluation, plan=GenerationPlan(Decoding(beams=2)))
    assert same.identity() == evaluation.identity() != other.identity()


def test_rules_of_decoding_are_read_from_the_models_folder(tmp_path: Path) -> None:
    folder = write_generator(tmp_path / "model", "t5")
    assert rules_of(folder) == {}
    (folder / "generation_config.json").write_text('{"no_repeat_ngram_size": 3, "num_beams": 4}')
    assert rules_of(folder) == {"no_repeat_ngram_size": 3}
    (folder / "generation_config.json").unlink()
    assert rules_of(folder) == {}
    assert start_token(folder) == 0
