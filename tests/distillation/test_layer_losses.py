"""Layer losses of generative models equal what transformers' own outputs give by hand, row by row, and reach the student."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.llama.modeling_llama import repeat_kv

from compress.core.errors import CompressError
from compress.core.settings import build
from compress.data.collate import Extra
from compress.distillation.counted_rows import CountedRows
from compress.distillation.distill_settings import Distill
from compress.distillation.generative_cache import layer_features
from compress.distillation.layer_losses import FEATURE, PROJECTIONS, tokens_of
from compress.distillation.loss_config import LossConfig, stages_of
from compress.distillation.objective import objective_of
from compress.distillation.on_policy import sampled
from compress.distillation.teacher import Teacher
from compress.distillation.token_distributions import mixed, whole
from compress.models.forward import answers
from compress.models.load import resolve_model
from compress.tasks.kinds.laws import TOKENS
from tests.distillation.test_generative_cache import FAMILIES, TOKENIZER, rows_for
from tests.families import is_seq2seq
from tests.generative import strong_generator

ROWS = 5
STATES = {"": "hidden_states", "encoder": "encoder_hidden_states", "decoder": "decoder_hidden_states"}
ATTENTIONS = {"": "attentions", "encoder": "encoder_attentions", "decoder": "decoder_attentions"}


def sides(family: str) -> tuple[str, ...]:
    return ("encoder", "decoder") if is_seq2seq(family) else ("",)


def layers(family: str, pairs: str) -> str:
    """A layer map of the same pairs on each side."""
    return ",".join(f"{side}.{pairs}".removeprefix(".") for side in sides(family))


def batch_of(family: str, extras: dict[str, Extra] | None = None, count: int = ROWS) -> dict[str, Any]:
    rows = rows_for(family, count)
    return FAMILIES[family]([{**rows[place], "place": place} for place in range(count)], TOKENIZER, extras or {})


def models_of(family: str, **changes: Any) -> tuple[Any, Any]:
    """A student of two layers and a teacher of three."""
    return strong_generator(family, layers=2, seed=3, **changes), strong_generator(family, layers=3)


def first_stage(student: Any, teacher: Any, **settings: Any) -> LossConfig:
    chosen = build(Distill, {"layers": 1, "intermediate_epochs": 1, **settings}, "")
    return stages_of(chosen, student.config, teacher.config, TOKENS)[0]


def terms_of(student: Any, teacher: Any, batch: dict[str, Any], **settings: Any) -> dict[str, float]:
    config = first_stage(student, teacher, **settings)
    online = objective_of(student, config, teacher.config, seed=0, online_teachers=[teacher])
    with online as objective, torch.no_grad():
        loss, terms = objective(student, batch, 0.0)
    assert loss.item() == pytest.approx(sum(float(value) for value in terms.values()), rel=1e-6)
    return {name: float(value) for name, value in terms.items()}


def rows_alone(family: str, model: Any, **asked: bool) -> Iterator[tuple[Any, dict[str, slice]]]:
    """Each row's outputs without padding, and the places that count on each side."""
    for row in rows_for(family, ROWS):
        given = {name: torch.tensor([row[name]]) for name in ("input_ids", "labels")}
        with torch.no_grad():
            out = model(**given, output_hidden_states=True, **asked)
        predicting = slice(row["prompt"] - 1, len(row["labels"]) - 1) if "prompt" in row else slice(None)
        yield out, {"": predicting, "encoder": slice(None), "decoder": slice(None)}


@pytest.mark.parametrize("family", ["bart", "t5", "gpt2", "llama"])
@pytest.mark.parametrize("loss", ["mse", "cosine", "patient"])
def test_hidden_states_and_embeddings_are_compared_at_the_tokens_that_count(family: str, loss: str) -> None:
    student, teacher = models_of(family)
    settings = {"hidden_weight": 1, "hidden_loss": loss, "layer_map": layers(family, "0:1"), "embedding_weight": 1}
    told = terms_of(student, teacher, batch_of(family), **settings)
    for side in sides(family):
        hidden, embeddings = [], []
        for (ours, places), (theirs, _) in zip(rows_alone(family, student), rows_alone(family, teacher), strict=True):
            mine, its = ours[STATES[side]], theirs[STATES[side]]
            embeddings.append((mine[0] - its[0])[0, places[side]].square().mean())
            one, other = mine[1][0, places[side]], its[2][0, places[side]]
            if loss == "mse":
                hidden.append((one - other).square().mean())
            else:  # the squared distance of two vectors of length 1 is twice one minus their cosine
                each = [1 - (a @ b) / (a.norm() * b.norm()) for a, b in zip(one, other, strict=True)]
                hidden.append(torch.stack(each).mean() * (2 if loss == "patient" else 1))
        name = f"{side} " if side else ""
        assert told[f"{name}hidden states"] == pytest.approx(torch.stack(hidden).mean().item(), rel=1e-4)
        assert told[f"{name}embeddings"] == pytest.approx(torch.stack(embeddings).mean().item(), rel=1e-4)


@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_the_attention_loss_compares_the_models_own_attention_of_each_row(family: str) -> None:
    student, teacher = models_of(family)
    for model in (student, teacher):
        model.set_attn_implementation("eager")
    settings = {"attention_weight": 1, "attention_loss": "kl", "layer_map": layers(family, "1:2")}
    told = terms_of(student, teacher, batch_of(family), **settings)
    for side in sides(family):
        found = []
        both = (rows_alone(family, model, output_attentions=True) for model in (student, teacher))
        for (ours, places), (theirs, _) in zip(*both, strict=True):
            mine, its = (out[ATTENTIONS[side]][layer][0, :, places[side]] for out, layer in ((ours, 1), (theirs, 2)))
            seen = its > 0
            log = torch.where(seen, (its / mine).clamp(min=1e-30).log(), 0)
            found.append((its * log).sum(-1).mean())
        expected = torch.stack(found).mean().item()
        assert told[f"{side} attention".strip()] == pytest.approx(expected, rel=1e-3)


def queries_and_keys(model: Any, out: Any, layer: int) -> list[Tensor]:
    """Llama's queries, keys and values of a layer by its own weights, [tokens, width]."""
    block = model.model.layers[layer]
    read = block.input_layernorm(out.hidden_states[layer][0])
    return [getattr(block.self_attn, f"{part}_proj")(read) for part in "qkv"]


def test_heads_of_queries_in_groups_meet_the_keys_that_they_share() -> None:
    student, teacher = models_of("llama")  # 4 heads of queries, 2 of keys and values, each 8 wide
    told = terms_of(student, teacher, batch_of("llama"), attention_weight=1, layer_map="1:2")
    found = []
    both = (rows_alone("llama", model) for model in (student, teacher))
    for (ours, places), (theirs, _) in zip(*both, strict=True):
        scores = []
        for model, out, layer in ((student, ours, 1), (teacher, theirs, 2)):
            query, key, _ = queries_and_keys(model, out, layer)
            heads = query.unflatten(-1, (4, 8)).transpose(0, 1)
            keys = repeat_kv(key.unflatten(-1, (2, 8)).transpose(0, 1)[None], 2)[0]
            scores.append(heads @ keys.transpose(-1, -2) / math.sqrt(8))
        difference = (scores[0] - scores[1]).square().mean(0)
        start, stop, _ = places[""].indices(len(difference))
        found.append(torch.cat([difference[place, : place + 1] for place in range(start, stop)]).mean())
    assert told == {"attention": pytest.approx(torch.stack(found).mean().item(), rel=1e-4)}


def test_relations_of_queries_keys_and_values_look_back_only() -> None:
    student, teacher = models_of("llama")
    told = terms_of(student, teacher, batch_of("llama"), relation_weight=1)
    found = []
    both = (rows_alone("llama", model) for model in (student, teacher))
    for (ours, places), (theirs, _) in zip(*both, strict=True):
        start, stop, _ = places[""].indices(ours.hidden_states[0].shape[1])
        parts = zip(queries_and_keys(student, ours, 1), queries_and_keys(teacher, theirs, 2), strict=True)
        each = []
        for mine, its in parts:  # two relation heads: as many as there are heads of keys
            for one, other in zip(mine.chunk(2, -1), its.chunk(2, -1), strict=True):
                for place in range(start, stop):
                    p, q = (
                        F.log_softmax(some[: place + 1] @ some[place] / math.sqrt(some.shape[-1]), -1)
                        for some in (other, one)
                    )
                    each.append((p.exp() * (p - q)).sum())
        found.append(torch.stack(each).mean())
    assert told == {"relations": pytest.approx(torch.stack(found).mean().item(), rel=1e-4)}


def test_t5_does_not_divide_its_scores_by_the_width_of_a_head() -> None:
    student, teacher = models_of("t5")
    for model in (student, teacher):
        model.set_attn_implementation("eager")
        for stack in (model.encoder, model.decoder):
            stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data.zero_()
            for block in stack.block:
                block.layer[0].SelfAttention.q.weight.data.mul_(0.1)  # no probability may become 0
    told = terms_of(student, teacher, batch_of("t5"), attention_weight=1, attention_loss="kl", layer_map="last")
    for side in ("encoder", "decoder"):
        found = []
        both = (rows_alone("t5", model, output_attentions=True) for model in (student, teacher))
        for (ours, _), (theirs, _) in zip(*both, strict=True):
            mine, its = ours[ATTENTIONS[side]][1][0], theirs[ATTENTIONS[side]][2][0]
            log = torch.where(its > 0, (its / mine).clamp(min=1e-30).log(), 0)
            found.append((its * log).sum(-1).mean())
        assert told[f"{side} attention"] == pytest.approx(torch.stack(found).mean().item(), rel=1e-3)


@pytest.mark.parametrize("family", ["bart", "t5", "gpt2", "phi3"])
def test_cached_features_give_the_loss_of_the_online_teacher(family: str, tmp_path: Path) -> None:
    student, teacher = models_of(family)
    teacher.save_pretrained(tmp_path / "teacher")
    settings = {"hidden_weight": 1, "attention_weight": 1, "relation_weight": 1, "embedding_weight": 1}
    config = first_stage(student, teacher, **settings)
    kept = layer_features(
        Teacher(resolve_model(str(tmp_path / "teacher"))),
        CountedRows(rows_for(family, ROWS)),
        TOKENIZER,
        FAMILIES[family],
        {side: config.features("teacher", side) for side in config.sides},
        precision="fp32",
        cache=tmp_path / "cache",
    )
    batch = batch_of(family, {f"{FEATURE}{name}": values for name, values in kept.extras.items()})
    with objective_of(student, config, teacher.config, seed=0) as objective, torch.no_grad():
        _, cached = objective(student, batch, 0.0)
    online = terms_of(student, teacher, batch_of(family), **settings)
    assert {name: float(value) for name, value in cached.items()} == pytest.approx(online, rel=1e-2)
    assert len(online) == 4 * len(sides(family))


@pytest.mark.parametrize("family", ["bart", "llama"])
def test_the_gradient_reaches_the_students_layers_and_maps_and_not_its_teacher(family: str) -> None:
    narrow = {"d_model": 16} if family == "bart" else {"hidden_size": 16, "head_dim": 8, "num_attention_heads": 2}
    student, teacher = models_of(family, **narrow)
    config = first_stage(student, teacher, hidden_weight=1, embedding_weight=1, layer_map=layers(family, "0:1"))
    online = objective_of(student, config, teacher.config, seed=0, online_teachers=[teacher])
    with online as objective:
        names = sorted(getattr(student, PROJECTIONS))
        assert names == sorted(
            f"{side}:{name}".removeprefix(":") for side in sides(family) for name in ("0:1", "embedding")
        )
        loss, _ = objective(student, batch_of(family), 0.0)
        loss.backward()
        assert all(one.weight.grad.abs().sum() > 0 for one in getattr(student, PROJECTIONS).values())
    assert not hasattr(student, PROJECTIONS)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    stacks = [student.model.encoder, student.model.decoder] if is_seq2seq(family) else [student.model]
    for stack in stacks:
        reached = [any(p.grad is not None and bool(p.grad.any()) for p in layer.parameters()) for layer in stack.layers]
        # A decoder's layer reads all of the encoder.
        assert reached == [True, stack is stacks[0] and len(stacks) == 2]


def test_a_decoders_tokens_count_where_they_predict_a_label_and_see_what_is_before_them() -> None:
    batch = {
        "attention_mask": torch.tensor([[1, 1, 1, 1, 0]]),
        "labels": torch.tensor([[-100, -100, 7, 8, -100]]),
    }
    found = tokens_of(batch, "", generates=True)
    assert found.mask.tolist() == [[False, True, True, False, False]]
    assert found.seen is not None
    assert found.seen[0, 1].tolist() == [True, True, False, False, False]
    assert found.seen[0, 2].tolist() == [True, True, True, False, False]
    written = tokens_of({**batch, "labels": torch.tensor([[7, 8, -100]])}, "decoder", generates=True)
    assert written.mask.tolist() == [[True, True, False]]
    read = tokens_of(batch, "encoder", generates=True)
    assert read.mask is batch["attention_mask"]
    assert read.seen is None


def test_layers_are_matched_on_the_students_own_samples_too() -> None:
    student, teacher = models_of("gpt2")
    chosen = build(Distill, {"layers": 1, "hidden_weight": 1.0, "on_policy": 0.5}, "")
    (config,) = stages_of(chosen, student.config, teacher.config, TOKENS)
    asked = objective_of(student, config, teacher.config, seed=5, online_teachers=[teacher], sample=sampled)
    with asked as objective, torch.no_grad():
        told = [objective(student, batch_of("gpt2"), step / 10)[1] for step in range(10)]
    assert {float(one["share of own samples"]) for one in told} == {0.0, 1.0}
    assert len({tuple(one) for one in told}) == 1
    assert all(float(one["hidden states"]) > 0 for one in told)


def test_an_online_teacher_runs_once_a_step_whatever_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = models_of("gpt2")
    runs: list[int] = []
    teacher.register_forward_hook(lambda *_: runs.append(1))
    chosen = build(Distill, {"layers": 1, "hidden_weight": 1.0, "relation_weight": 1.0}, "")
    (config,) = stages_of(chosen, student.config, teacher.config, TOKENS)
    with objective_of(student, config, teacher.config, seed=0, online_teachers=[teacher]) as objective, torch.no_grad():
        objective(student, batch_of("gpt2"), 0.0)
    assert len(runs) == 1


def test_two_online_teachers_are_the_weighted_mean_of_their_distributions_by_hand() -> None:
    student, teachers = (
        strong_generator("gpt2", layers=1, seed=3),
        [strong_generator("gpt2", seed=one) for one in (1, 2)],
    )
    chosen = build(Distill, {"layers": 1, "alpha": 1.0, "temperature": 2.0}, "")
    (config,) = stages_of(chosen, student.config, teachers[0].config, TOKENS, (3.0, 1.0))
    batch = batch_of("gpt2")
    with objective_of(student, config, seed=0, online_teachers=teachers) as objective, torch.no_grad():
        loss, _ = objective(student, batch, 0.0)
        ours = answers(student, batch)
        first, second = (F.softmax(answers(one, batch).values / 2, -1) for one in teachers)
    mean = 0.75 * first + 0.25 * second
    each = (mean * (mean.log() - F.log_softmax(ours.values / 2, -1))).sum(-1)
    by_row = torch.stack([each[ours.row == row].mean() for row in range(ROWS)])
    assert loss.item() == pytest.approx(4 * by_row.mean().item(), rel=1e-4)
    assert torch.equal(mixed([first], (5.0,), 2.0), first)  # a single one's stays what it is
    assert whole(mixed([first.log(), second.log()], (0.0, 1.0), 1.0), 1.0).log_probabilities.exp().allclose(second)


def test_a_decoder_cannot_match_the_layers_of_an_encoder_decoder() -> None:
    student, teacher = strong_generator("gpt2"), strong_generator("bart")
    with pytest.raises(CompressError, match="student is a decoder and its teacher an encoder-decoder"):
        first_stage(student, teacher, hidden_weight=1)
