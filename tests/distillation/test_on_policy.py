"""A student's own samples: drawn from its own distribution, the same for the same seed, and scored at the right positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from compress.data.collate import collate_causal
from compress.distillation import laws
from compress.distillation.loss_config import LossConfig
from compress.distillation.objective import _draws, objective_of
from compress.distillation.on_policy import sampled
from compress.distillation.schedules import Schedule
from compress.distillation.token_distributions import top_k, whole
from compress.models.forward import answers, logits_and_labels
from compress.tasks.kinds.laws import TOKENS
from tests.distillation.test_generative_cache import FAMILIES, TOKENIZER, rows_for
from tests.families import ONE_OF_EACH
from tests.generative import VOCABULARY, prompts, strong_generator

END = 2


def batch_for(family: str, count: int = 8) -> dict[str, Any]:
    rows = rows_for(family, count)
    return FAMILIES[family]([rows[place] for place in range(count)], TOKENIZER, {})


def undecided(family: str, seed: int = 1) -> Any:
    """A model that gives many tokens some probability, unequal ones."""
    model = strong_generator(family, seed=seed, tie_word_embeddings=False)
    with torch.no_grad():
        model.lm_head.weight.normal_(0, 0.2, generator=torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_the_same_seed_gives_the_same_samples_and_leaves_the_random_state_and_the_mode(family: str) -> None:
    model, batch = undecided(family).train(), batch_for(family)
    state = torch.random.get_rng_state()
    first, again, other = (sampled(model, batch, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.generation_config.do_sample is not True
    assert model.training
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["labels"].shape != other["labels"].shape or not torch.equal(first["labels"], other["labels"])


@pytest.mark.parametrize(
    "setting", [{"min_p": 0.9}, {"epsilon_cutoff": 0.5}, {"top_h": 0.1}, {"prompt_lookup_num_tokens": 3}], ids=str
)
def test_no_generation_setting_of_the_model_excludes_a_token(setting: dict[str, Any]) -> None:
    model, batch = undecided("llama"), batch_for("llama")
    plain = sampled(model, batch, 1)
    model.generation_config.update(**setting)
    found = sampled(model, batch, 1)
    assert all(torch.equal(plain[name], found[name]) for name in plain)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_decoders_samples_follow_their_prompts_without_padding_between(family: str) -> None:
    batch = batch_for(family)
    found = sampled(strong_generator(family), batch, 0)
    for line in range(8):
        before = int((batch["labels"][line] != -100).long().argmax())
        labels, ids = found["labels"][line], found["input_ids"][line]
        own = int((labels != -100).sum())
        assert own >= 1
        assert torch.equal(ids[:before], batch["input_ids"][line, :before])
        assert torch.equal(labels[before : before + own], ids[before : before + own])
        assert found["attention_mask"][line].tolist() == [1] * (before + own) + [0] * (len(ids) - before - own)
        assert (labels[:before] == -100).all()
        assert END not in labels[before : before + own - 1]


def test_a_block_of_text_is_continued_from_its_first_half() -> None:
    blocks = np.random.default_rng(0).integers(3, VOCABULARY, (4, 16))
    batch = collate_causal([{"input_ids": row.tolist()} for row in blocks], TOKENIZER, {})
    found = sampled(strong_generator("gpt2"), batch, 0)
    assert torch.equal(found["input_ids"][:, :8], batch["input_ids"][:, :8])
    assert (found["labels"][:, :8] == -100).all()
    assert found["input_ids"].shape[1] <= 16


@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_samples_have_the_models_own_probabilities(family: str) -> None:
    """The first token of 2000 samples from one source: all frequencies within five standard errors of the probabilities."""
    model, source, count = undecided(family), prompts(3)[2], 2000
    row = {"input_ids": source, "labels": [5]}
    if family == "gpt2":
        row = {"input_ids": [*source, 5], "labels": [-100] * len(source) + [5]}
    batch = FAMILIES[family]([row] * count, TOKENIZER, {})
    one = {name: value[:1] for name, value in batch.items()}
    with torch.no_grad():
        logits, labels = logits_and_labels(model, one)
    expected = F.softmax(logits[labels != -100][0].double(), dim=-1).numpy()
    written = sampled(model, batch, 3)["labels"]
    drawn = np.bincount(written[written != -100].numpy(), minlength=VOCABULARY) / count
    assert (np.abs(drawn - expected) <= 5 * np.sqrt(expected * (1 - expected) / count) + 2 / count).all()
    assert (expected > 0.01).sum() > 5


def test_tokens_after_the_end_of_text_do_not_count() -> None:
    model = undecided("bart")
    with torch.no_grad():
        model.final_logits_bias[0, END] = 4.0  # often the end
    batch = batch_for("bart", 30)
    labels = sampled(model, batch, 0)["labels"]
    lengths = (labels != -100).sum(1)
    assert len(set(lengths.tolist())) > 1
    for row, length in zip(labels, lengths, strict=True):
        assert (row[length:] == -100).all()
        assert END not in row[: length - 1]


def config(**changes: Any) -> LossConfig:
    return LossConfig(
        **{
            "law": TOKENS,
            "alpha": Schedule.of(0.3),
            "temperature": Schedule.of(2.0),
            "divergence": "jsd",
            "beta": 0.2,
            **changes,
        }
    )


@pytest.mark.parametrize("family", ["bart", "llama"])
def test_the_objective_is_the_teachers_and_the_references_part(family: str) -> None:
    student, teacher, batch = strong_generator(family, layers=1, seed=3), strong_generator(family), batch_for(family)
    with torch.no_grad():
        ours, theirs = answers(student, batch), answers(teacher, batch).values
        soft = laws.next_tokens(ours, whole(theirs, 2.0), 2.0, "jsd", 0.2)
        hard = laws.hard(TOKENS, ours)
        with objective_of(student, config(), seed=0, online_teachers=[teacher]) as objective:
            loss, terms = objective(student, batch, 0.5)
    assert loss.item() == pytest.approx((0.3 * soft + 0.7 * hard).item(), rel=1e-6)
    assert terms["labels"].item() == pytest.approx(hard.item())
    assert terms["soft targets"].item() == pytest.approx(soft.item())


def test_cached_targets_give_the_loss_of_the_online_teachers_coarsened_ones() -> None:
    student, teacher, batch = strong_generator("gpt2", layers=1, seed=3), strong_generator("gpt2"), batch_for("gpt2")
    with torch.no_grad():
        logits = teacher(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        kept = top_k(logits, 6, 2.0)
        # A cache has an answer at each label, which the logits a place before it are.
        shifted = {
            f"teacher.next.{name}": torch.roll(getattr(kept, name), 1, 1)
            for name in ("log_probabilities", "ids", "rest")
        }
        with objective_of(student, config(alpha=Schedule.of(1.0)), seed=0) as objective:
            cached, terms = objective(student, {**batch, **shifted}, 0.0)
        counted = batch["labels"][:, 1:] != -100
        kept = top_k(logits[:, :-1][counted], 6, 2.0)
        expected = laws.next_tokens(answers(student, batch), kept, 2.0, "jsd", 0.2)
    assert list(terms) == ["soft targets"]  # the loss with a vocabulary's labels is not computed to be shown alone
    assert cached.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_a_resumed_run_draws_the_same_samples_for_the_same_batches(family: str) -> None:
    student, teacher, batch = undecided(family, seed=3), strong_generator(family), batch_for(family, 3)
    steps = [step / 20 for step in range(20)]
    asked = objective_of(student, config(on_policy=0.5), seed=5, online_teachers=[teacher], sample=sampled)
    with asked as objective, torch.no_grad():
        told = [objective(student, batch, step) for step in steps]
        again = [objective(student, batch, step) for step in steps[10:]]
    assert [loss.item() for loss, _ in again] == [loss.item() for loss, _ in told[10:]]
    of_samples = [loss.item() for loss, terms in told if terms["share of own samples"]]
    assert 3 <= len(of_samples) <= 17
    assert len(set(of_samples)) == len(of_samples)  # each with samples of its own


def test_all_batches_have_the_same_terms_which_processes_gather() -> None:
    student, teacher, batch = undecided("gpt2", seed=3), strong_generator("gpt2"), batch_for("gpt2", 3)
    for alpha in ("0", "0.5", "1..0"):
        chosen = config(alpha=Schedule.of(alpha), on_policy=0.5)
        asked = objective_of(student, chosen, seed=5, online_teachers=[teacher], sample=sampled)
        with asked as objective, torch.no_grad():
            told = [objective(student, batch, step / 12)[1] for step in range(12)]
        assert {float(terms["share of own samples"]) for terms in told} == {0.0, 1.0}
        assert len({tuple(terms) for terms in told}) == 1


def test_as_many_batches_are_sampled_as_asked_for() -> None:
    batch = batch_for("gpt2", 3)
    drawn = [_draws(seed, step / 500, batch)[0] < 0.3 for seed in range(4) for step in range(500)]
    assert 0.3 - 0.04 < np.mean(drawn) < 0.3 + 0.04  # four standard deviations of 2000 draws


def test_a_sample_teaches_the_student_and_nothing_else() -> None:
    student, teacher = strong_generator("bart", layers=1, seed=3), strong_generator("bart")
    asked = objective_of(student, config(on_policy=1.0), seed=5, online_teachers=[teacher], sample=sampled)
    with asked as objective:
        loss, _ = objective(student, batch_for("bart"), 0.0)
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert (
        sum(float(parameter.grad.abs().sum()) for parameter in student.parameters() if parameter.grad is not None) > 0
    )
