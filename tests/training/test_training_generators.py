"""Generative models in the training loop: what they learn, what their epochs are judged by, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.core.errors import CompressError
from compress.data.collate import step_lengths
from compress.data.loading import described_task
from compress.data.tokenized import check_max_length
from compress.models.forward import answers
from compress.models.generators import generator
from compress.models.load import config, tokenizer
from compress.training import loop
from compress.training import validation as holdout
from compress.training.data import data_for
from compress.training.objectives import ModelScore, Scored, reference_tokens
from compress.training.train import TrainingSettings, train
from tests.families import GENERATIVE, ONE_OF_EACH
from tests.tiny_generators import write_generator, write_pairs, write_text


class Run:
    """One training run of a tiny generator, with what the test changes."""

    def __init__(self, folder: Path, task: dict[str, Any], scratch: Path, length: int = 32) -> None:
        self.tokenizer = tokenizer(folder)
        self.data = data_for(described_task(task), self.tokenizer, config(folder), length)
        self.folder, self.scratch = folder, scratch

    def __call__(self, *, smoothing: float = 0.0, dies_at: int = 0, **settings: Any) -> tuple[Any, Mapping[str, Any]]:
        model = generator(self.folder).float()
        reference = reference_tokens(model, smoothing)
        steps = 0

        def objective(trained: Any, batch: Mapping[str, Any], progress: float) -> Any:
            nonlocal steps
            steps += 1
            if steps == dies_at:
                raise RuntimeError("killed")
            return reference(trained, batch, progress)

        done = train(
            model,
            objective,
            self.data.train,
            self.data.holdout,
            TrainingSettings(**{"epochs": 2, "batch_size": 16, "precision": "fp32", "learning_rate": 3e-3, **settings}),
            its_tokenizer=self.tokenizer,
            scratch=self.scratch,
            score=self.data.score,
            collate=self.data.collate,
            name="test",
        )
        return model, done.facts


def _weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def _score(run: Run, model: Any) -> Scored:
    assert isinstance(run.data.score, ModelScore)
    with torch.no_grad():
        return run.data.score.of(model)


@pytest.mark.parametrize("family", ["t5", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_a_generator_learns_what_to_write_and_its_epochs_are_judged_by_what_it_writes(
    family: str, tmp_path: Path
) -> None:
    task = write_pairs(tmp_path / "data", rows=300)
    run = Run(write_generator(tmp_path / "model", family), task, tmp_path / "scratch")
    model, facts = run(epochs=7, learning_rate=1e-2)
    scores = [value for _, value in facts["curves"]["rouge_l on held-out rows"]]
    assert len(scores) == 7
    assert max(scores) > 0.7 > 0.35 > scores[0]
    _, value = _score(run, model)
    assert value == pytest.approx(max(scores), abs=1e-4)  # the best epoch was kept


def test_a_decoder_learns_a_language_and_its_epochs_are_judged_by_perplexity(tmp_path: Path) -> None:
    run = Run(write_generator(tmp_path / "model", "llama"), write_text(tmp_path / "data"), tmp_path / "scratch")
    model, facts = run(epochs=8, learning_rate=1e-2)
    scores = [value for _, value in facts["curves"]["perplexity on held-out rows"]]
    assert min(scores) < 10 < scores[0]  # a fifth of the words cannot be foreseen: about 6
    _, value = _score(run, model)
    assert value == pytest.approx(min(scores), rel=1e-4)
    assert facts["holdout_rows"] <= holdout.ROWS


@pytest.mark.parametrize("family", GENERATIVE)
def test_the_loss_is_the_mean_over_a_rows_tokens_then_over_rows(family: str, tmp_path: Path) -> None:
    run = Run(write_generator(tmp_path / "model", family), write_pairs(tmp_path / "data"), tmp_path / "scratch")
    model = generator(run.folder).float()
    features = [run.data.train[place] for place in range(5)]
    loss, _ = reference_tokens(model)(model, run.data.collate(features, run.tokenizer, {}), 0.0)
    alone = []
    for feature in features:  # transformers' own loss of each row by itself
        row = {name: torch.tensor([feature[name]]) for name in ("input_ids", "labels")}
        alone.append(model(**row).loss.item())
    assert loss.item() == pytest.approx(np.mean(alone), rel=1e-5)
    assert len({len(feature["labels"]) for feature in features}) > 1


def test_an_mbart_that_would_not_write_from_the_token_that_it_learns_to_start_from_is_refused(tmp_path: Path) -> None:
    folder = write_generator(tmp_path / "model", "mbart", decoder_start_token_id=5)
    with pytest.raises(CompressError, match="ends targets, 1, but would generate from 5"):
        Run(folder, write_pairs(tmp_path / "data"), tmp_path / "scratch")


def test_label_smoothing_spreads_a_share_of_the_target_over_all_tokens(tmp_path: Path) -> None:
    run = Run(write_generator(tmp_path / "model", "t5"), write_pairs(tmp_path / "data"), tmp_path / "scratch")
    model = generator(run.folder).float()
    batch = run.data.collate([run.data.train[0]], run.tokenizer, {})
    loss, _ = reference_tokens(model, 0.3)(model, batch, 0.0)
    counted = batch["labels"] != -100
    log = answers(model, batch).values.log_softmax(-1)
    right = log.gather(-1, batch["labels"][counted][:, None]).mean()
    assert loss.item() == pytest.approx(-(0.7 * right + 0.3 * log.mean()).item(), rel=1e-5)


@pytest.mark.parametrize("family", ["bart", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_accumulated_batches_of_unequal_targets_are_one_batch_in_parts(family: str, tmp_path: Path) -> None:
    still = {"dropout": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "attention_dropout": 0.0}
    folder = write_generator(tmp_path / "model", family, **still)
    task = write_pairs(tmp_path / "data", limit={"train": 64})
    whole, facts = Run(folder, task, tmp_path / "whole")(batch_size=16, keep_checkpoint="last", learning_rate=1e-3)
    parts, _ = Run(folder, task, tmp_path / "parts")(
        batch_size=4, gradient_accumulation_steps=4, keep_checkpoint="last", learning_rate=1e-3
    )
    assert facts["training_rows"] == 64
    wanted = _weights(whole)
    for name, value in _weights(parts).items():  # the same sums in another order, through eight steps of AdamW
        torch.testing.assert_close(value, wanted[name], atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("family", ["t5", pytest.param("llama", marks=pytest.mark.slow)])
def test_a_generators_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_generator(tmp_path / "model", family, **({"dropout_rate": 0.1} if family == "t5" else {}))
    task = write_pairs(tmp_path / "data", limit={"train": 64})
    whole, _ = Run(folder, task, tmp_path / "whole")()
    killed = Run(folder, task, tmp_path / "killed")
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)  # a checkpoint after each step
    with pytest.raises(RuntimeError, match="killed"):
        killed(dies_at=7)  # in the second epoch, after the first was judged by what it wrote
    resumed, facts = killed()
    assert facts["resumed_from_step"] == 6
    wanted = _weights(whole)
    assert all(torch.equal(value, wanted[name]) for name, value in _weights(resumed).items())


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_what_is_written_in_a_batch_is_what_is_written_alone(family: str, tmp_path: Path) -> None:
    run = Run(write_generator(tmp_path / "model", family), write_pairs(tmp_path / "data"), tmp_path / "scratch")
    model, _ = run(epochs=1)
    rows = run.data.holdout.select(range(6))
    texts = holdout.greedy(model, rows, run.tokenizer, 8)
    for row, text in zip(rows, texts, strict=True):
        ids = torch.tensor([row["input_ids"][: row.get("prompt")]])
        alone = model.generate(input_ids=ids, max_new_tokens=8, do_sample=False)[0]
        alone = alone if model.config.is_encoder_decoder else alone[ids.shape[1] :]
        assert text == run.tokenizer.decode(alone, skip_special_tokens=True).strip()


def test_the_perplexity_of_held_out_windows_is_exp_of_the_mean_loss_of_their_tokens(tmp_path: Path) -> None:
    run = Run(write_generator(tmp_path / "model", "gpt2"), write_text(tmp_path / "data"), tmp_path / "scratch")
    model = generator(run.folder).float()
    rows = run.data.holdout.select(range(5))
    losses, tokens = 0.0, 0
    for row in rows:
        count = sum(label != -100 for label in row["labels"])
        with torch.no_grad():
            losses += count * float(model(torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss)
        tokens += count
    with torch.no_grad():
        assert holdout.perplexity(model, rows, run.tokenizer) == pytest.approx(np.exp(losses / tokens), rel=1e-5)


def test_a_step_is_filled_with_rows_whose_source_and_target_are_of_like_length(tmp_path: Path) -> None:
    run = Run(write_generator(tmp_path / "model", "t5"), write_pairs(tmp_path / "data"), tmp_path / "scratch")
    wanted = [len(row["input_ids"]) + len(row["labels"]) for row in run.data.train]
    assert step_lengths(run.data.train).tolist() == wanted


def test_lengths_are_those_of_the_task_within_those_of_the_model(tmp_path: Path) -> None:
    task = write_pairs(tmp_path / "data", max_source=500, max_target=100)
    folder = write_generator(tmp_path / "model", "bart", max_position_embeddings=20)
    data = data_for(described_task(task), tokenizer(folder), config(folder), 4)
    assert (data.facts["max_source"], data.facts["max_target"]) == (20, 20)
    with pytest.raises(CompressError, match="max_length does not apply to 'gists', a summarization: set `max_source`"):
        check_max_length(TrainingSettings(max_length=64), described_task(task))
    check_max_length(TrainingSettings(), described_task(task))
    check_max_length(TrainingSettings(max_length=64), described_task(write_text(tmp_path / "text")))


def test_a_model_that_cannot_do_the_task_is_refused(tmp_path: Path, make_model: Any) -> None:
    bert, t5 = make_model("bert"), write_generator(tmp_path / "t5", "t5")
    with pytest.raises(CompressError, match="This bert model generates no text, which 'gists', a summarization, needs"):
        data_for(described_task(write_pairs(tmp_path / "pairs")), tokenizer(bert), config(bert), 32)
    with pytest.raises(CompressError, match="language modelling, which takes a decoder, not a t5"):
        data_for(described_task(write_text(tmp_path / "text")), tokenizer(t5), config(t5), 32)


def test_a_model_that_is_trained_twice_has_its_autocast_both_times(tmp_path: Path) -> None:
    run = Run(write_generator(tmp_path / "model", "t5"), write_pairs(tmp_path / "data"), tmp_path / "scratch")
    model = generator(run.folder).float()
    seen: list[torch.dtype] = []
    head = model.get_output_embeddings()
    reference = reference_tokens(model)
    for stage in ("first", "second"):
        seen.clear()
        watching = head.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
        train(
            model,
            reference,
            run.data.train,
            run.data.holdout,
            TrainingSettings(epochs=1, batch_size=32, precision="bf16", keep_checkpoint="last"),
            its_tokenizer=run.tokenizer,
            scratch=tmp_path / stage,
            score=run.data.score,
            collate=run.data.collate,
            name=stage,
        )
        watching.remove()
        assert set(seen) == {torch.bfloat16}
        assert model(input_ids=torch.tensor([[4]]), labels=torch.tensor([[5]])).logits.dtype == torch.float32
