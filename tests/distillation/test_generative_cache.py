"""Generative teachers' outputs on disk: the right ones at each position, for just these rows, resumed, with a measured error."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from compress.core.artifact import digest
from compress.core.errors import CompressError
from compress.data.collate import collate_causal, collate_pairs
from compress.distillation import generative_cache
from compress.distillation.counted_rows import CountedRows
from compress.distillation.features import FeatureSpec, Side
from compress.distillation.generative_cache import layer_features, next_tokens
from compress.distillation.loss_config import LossConfig
from compress.distillation.schedules import Schedule
from compress.distillation.teacher import Teacher
from compress.distillation.teacher_cache import Outputs, bytes_of_features
from compress.distillation.token_distributions import PREFIX, in_batch
from compress.distillation.top_k_error import truncation_error
from compress.models import forward
from compress.models.forward import logits_and_labels
from compress.models.load import resolve_model
from compress.training import kept_outputs
from tests.families import GENERATIVE, ONE_OF_EACH, is_seq2seq
from tests.generative import VOCABULARY, prompts, strong_generator

TOKENIZER = SimpleNamespace(pad_token_id=0, eos_token_id=2)
FAMILIES = {name: collate_pairs if is_seq2seq(name) else collate_causal for name in GENERATIVE}
K = 8


def rows_for(family: str, count: int = 40) -> Any:
    """Random rows of unequal lengths: pairs, or prompts with what follows them."""
    from datasets import Dataset

    sources, targets = prompts(count), prompts(count, longest=9, seed=1)
    if FAMILIES[family] is collate_pairs:
        return Dataset.from_dict({"input_ids": sources, "labels": targets})
    return Dataset.from_dict(
        {
            "input_ids": [[*source, *target] for source, target in zip(sources, targets, strict=True)],
            "labels": [[-100] * len(source) + list(target) for source, target in zip(sources, targets, strict=True)],
            "prompt": [len(source) for source in sources],
        }
    )


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    """`ask("bart", k=3)`: the answers of a teacher of that family, its model, its rows."""

    def ask(family: str = "bart", **changes: Any) -> tuple[Outputs, Any, Any]:
        model, folder = strong_generator(family), tmp_path / family
        if not folder.exists():
            model.save_pretrained(folder)
        rows = changes.pop("rows", None) or rows_for(family)
        chosen = {"k": K, "temperature": 2.0, "precision": "fp32", "cache": tmp_path / "cache", **changes}
        found = next_tokens(
            [Teacher(resolve_model(str(folder)))], CountedRows(rows), TOKENIZER, FAMILIES[family], **chosen
        )
        return found, model, rows

    return ask


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_a_batch_has_the_teachers_own_distribution_at_each_label(ask: Any, family: str) -> None:
    found, model, rows = ask(family)
    places = [17, 0, 31, 5]
    batch = FAMILIES[family]([{**rows[place], "place": place} for place in places], TOKENIZER, found.extras)
    expected_rows = []
    for place in places:  # each row alone, without padding
        row = rows[place]
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                expected_rows.append(model(input_ids=ids, labels=labels).logits[0])
            else:
                before = row["prompt"] - 1
                expected_rows.append(model(input_ids=ids).logits[0, before:-1])
    expected = F.softmax(torch.cat(expected_rows) / 2.0, dim=-1)
    targets = in_batch(batch, shifted=not model.config.is_encoder_decoder)
    assert targets.ids is not None
    assert targets.rest is not None
    torch.testing.assert_close(targets.log_probabilities.float().exp(), expected.topk(K).values, rtol=6e-3, atol=1e-5)
    torch.testing.assert_close(expected.gather(-1, targets.ids), expected.topk(K).values, rtol=1e-4, atol=1e-6)
    rest = 1 - expected.topk(K).values.sum(-1)
    torch.testing.assert_close(targets.rest.float().exp(), rest, rtol=6e-3, atol=1e-5)
    assert rest.max() > 0.01  # a rest that is left out would be seen


def test_blocks_are_predicted_from_their_second_token_on(ask: Any) -> None:
    from datasets import Dataset

    blocks = np.random.default_rng(0).integers(3, VOCABULARY, (6, 16))
    found, model, rows = ask("gpt2", rows=Dataset.from_dict({"input_ids": blocks}))
    assert len(found.extras[f"{PREFIX}rest"].values) == 6 * 15
    batch = collate_causal([{**rows[3], "place": 3}], TOKENIZER, found.extras)
    with torch.no_grad():
        logits, labels = logits_and_labels(model, batch)
    most_likely = F.softmax(logits / 2.0, dim=-1).max(-1).values
    kept = in_batch(batch, shifted=True).log_probabilities[..., 0].float().exp()
    torch.testing.assert_close(kept, most_likely[labels != -100], rtol=6e-3, atol=1e-5)


def test_the_teacher_is_asked_once_and_again_for_other_targets_or_another_temperature(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, rows = ask()
    assert first.seconds_saved == 0
    with monkeypatch.context() as patched:
        patched.setattr(Teacher, "model", property(lambda _: pytest.fail("the teacher was asked again")))
        again = ask()[0]
        assert again.seconds_saved == first.seconds
        assert all(np.array_equal(first.extras[name].values, again.extras[name].values) for name in first.extras)
    asked: list[None] = []
    compute = generative_cache.write_outputs
    monkeypatch.setattr(generative_cache, "write_outputs", lambda *a, **n: asked.append(None) or compute(*a, **n))
    ask(temperature=1.0)
    ask(k=3)
    ask(rows=rows.select(range(20)))
    ask(rows=rows.map(lambda row: {"labels": row["labels"][::-1]}))
    assert len(asked) == 4


def test_a_stopped_run_continues(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of it, and where it continues, is tested with `compress.training.kept_outputs`."""
    whole = ask(cache=tmp_path / "whole")[0]
    monkeypatch.setattr(kept_outputs, "WRITE_SECONDS", 0.0)
    calls: list[int] = []
    real = forward.answers

    def stopping(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(forward, "answers", stopping)
    with pytest.raises(KeyboardInterrupt):
        ask(cache=tmp_path / "parts")
    resumed = ask(cache=tmp_path / "parts")[0]
    assert len(calls) == 4  # 40 rows are three batches, two of which were done
    assert all(np.array_equal(whole.extras[name].values, resumed.extras[name].values) for name in whole.extras)


def test_answers_that_were_damaged_are_asked_for_again(
    ask: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {name: np.array(one.values) for name, one in ask()[0].extras.items()}
    (file,) = (tmp_path / "cache" / "teacher-tokens").rglob("ids.npy")
    file.write_bytes(file.read_bytes()[:-4] + bytes(4))
    again = ask()[0]
    assert again.seconds_saved == 0
    assert "is damaged, so it is made again" in caplog.text
    assert all(np.array_equal(before[name], again.extras[name].values) for name in before)


@pytest.mark.parametrize("family", ["bart", "gpt2"])
def test_the_error_is_measured_and_vanishes_where_all_tokens_are_kept(ask: Any, family: str) -> None:
    student = strong_generator(family, layers=1, seed=3)
    told = {}
    for k in (2, K, VOCABULARY):
        found, model, rows = ask(family, k=k)
        told[k] = truncation_error(
            student,
            [model],
            rows,
            TOKENIZER,
            FAMILIES[family],
            found.extras,
            LossConfig(temperature=Schedule.of(2.0)),
        )
    assert told[2]["rows"] == 40
    assert told[2]["tokens"] == len(found.extras[f"{PREFIX}rest"].values)
    assert told[2]["kept"] < told[K]["kept"] < told[K]["whole"] == told[2]["whole"]
    # All tokens in 16 bits: what is left is rounding.
    assert told[VOCABULARY]["kept"] == pytest.approx(told[VOCABULARY]["whole"], rel=1e-2)
    assert told[2]["mass"]["mean"] < told[K]["mass"]["mean"] < 1


def test_one_teachers_next_tokens_lie_where_they_always_did(ask: Any, tmp_path: Path) -> None:
    _, _, rows = ask()
    teacher, content = resolve_model(str(tmp_path / "bart")), CountedRows(rows).hash_of_texts
    key = digest([teacher.fingerprint(), digest(teacher.files), content, K, 2.0, "fp32"])
    assert [one.name for one in (tmp_path / "cache" / "teacher-tokens").iterdir()] == [key]


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_of_two_teachers_the_most_likely_tokens_of_their_weighted_mean_are_kept(family: str, tmp_path: Path) -> None:
    models = [strong_generator(family, seed=seed) for seed in (1, 5)]
    teachers = []
    for number, model in enumerate(models):
        model.save_pretrained(tmp_path / str(number))
        teachers.append(Teacher(resolve_model(str(tmp_path / str(number)))))
    rows = rows_for(family, 12)
    given = {"k": K, "temperature": 2.0, "precision": "fp32", "cache": tmp_path / "cache"}
    found = next_tokens(teachers, CountedRows(rows), TOKENIZER, FAMILIES[family], **given, weights=(3.0, 1.0))
    batch = FAMILIES[family]([{**rows[4], "place": 4}], TOKENIZER, found.extras)
    each = []
    for model in models:
        with torch.no_grad():
            logits, labels = logits_and_labels(model, batch)
        each.append(F.softmax(logits[labels != -100] / 2.0, dim=-1))
    expected = 0.75 * each[0] + 0.25 * each[1]
    kept = in_batch(batch, shifted=not models[0].config.is_encoder_decoder)
    assert kept.ids is not None
    assert kept.rest is not None
    torch.testing.assert_close(kept.log_probabilities.float().exp(), expected.topk(K).values, rtol=6e-3, atol=1e-5)
    torch.testing.assert_close(expected.gather(-1, kept.ids), expected.topk(K).values, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(kept.rest.float().exp(), 1 - expected.topk(K).values.sum(-1), rtol=6e-3, atol=1e-5)
    other = next_tokens(teachers, CountedRows(rows), TOKENIZER, FAMILIES[family], **given, weights=(1.0, 1.0))
    assert other.seconds_saved == 0  # other weights are another mixture
    same = next_tokens(teachers, CountedRows(rows), TOKENIZER, FAMILIES[family], **given, weights=(6.0, 2.0))
    assert same.seconds_saved > 0
    error = truncation_error(
        strong_generator(family, layers=1, seed=3),
        models,
        rows,
        TOKENIZER,
        FAMILIES[family],
        found.extras,
        LossConfig(temperature=Schedule.of(2.0), teacher_weights=(3.0, 1.0)),
    )
    assert 0 < error["kept"] < error["whole"]


WANTED = FeatureSpec(hidden=(0,), attention=(1,), relations=(0,), embedding=True)


@pytest.mark.parametrize("family", [*ONE_OF_EACH, "llama"])
def test_cached_features_are_the_teachers_own_for_each_row_alone(family: str, tmp_path: Path) -> None:
    model = strong_generator(family)
    model.save_pretrained(tmp_path / "teacher")
    rows, sides = rows_for(family, 20), (("encoder", "decoder") if is_seq2seq(family) else ("",))
    wanted: dict[Side, FeatureSpec] = dict.fromkeys(sides, WANTED)
    given = (Teacher(resolve_model(str(tmp_path / "teacher"))), CountedRows(rows), TOKENIZER, FAMILIES[family], wanted)
    found = layer_features(*given, precision="fp32", cache=tmp_path / "cache")
    again = layer_features(*given, precision="fp32", cache=tmp_path / "cache")
    assert again.seconds_saved == found.seconds
    places = [7, 0, 13]
    batch = FAMILIES[family]([{**rows[place], "place": place} for place in places], TOKENIZER, found.extras)
    for line, place in enumerate(places):
        row = {name: torch.tensor([rows[place][name]]) for name in ("input_ids", "labels")}
        with torch.no_grad():
            own = model(**row, output_hidden_states=True)
        states = {"": "hidden_states", "encoder": "encoder_hidden_states", "decoder": "decoder_hidden_states"}
        for side in sides:
            first, second = own[states[side]][:2]
            name = f"{side}." if side else ""
            for kept, expected in ((f"{name}embedding", first), (f"{name}hidden.0", second)):
                value = batch[kept][line, : expected.shape[1]].float()
                torch.testing.assert_close(value, expected[0], rtol=2e-3, atol=2e-3)
                assert not batch[kept][line, expected.shape[1] :].any()
    assert sum(one.values.nbytes for one in found.extras.values()) == bytes_of_features(
        CountedRows(rows), wanted, model.config
    )


def test_features_that_16_bits_do_not_hold_are_refused_with_what_to_do(tmp_path: Path) -> None:
    model = strong_generator("gpt2")
    with torch.no_grad():
        model.transformer.wte.weight.mul_(1e5)
    model.save_pretrained(tmp_path / "teacher")
    given = (
        Teacher(resolve_model(str(tmp_path / "teacher"))),
        CountedRows(rows_for("gpt2", 4)),
        TOKENIZER,
        FAMILIES["gpt2"],
    )
    with pytest.raises(CompressError, match="--teacher-cache-gb 0"):
        layer_features(*given, {"": FeatureSpec(embedding=True)}, precision="fp32", cache=tmp_path / "cache")
