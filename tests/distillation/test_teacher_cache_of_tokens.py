"""The teacher's next tokens on disk: its own at each place, for just these rows, resumed, and with the error they make."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from compress.data.collate import collate_causal, collate_pairs
from compress.distillation import teacher_cache
from compress.distillation.loss_config import LossConfig
from compress.distillation.schedules import Schedule
from compress.distillation.teacher_cache import Outputs, next_tokens
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
        found = next_tokens(resolve_model(str(folder)), rows, TOKENIZER, FAMILIES[family], **chosen)
        return found, model, rows

    return ask


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_a_batch_brings_the_teachers_own_distribution_at_each_label(ask: Any, family: str) -> None:
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
    likeliest = F.softmax(logits / 2.0, dim=-1).max(-1).values
    kept = in_batch(batch, shifted=True).log_probabilities[..., 0].float().exp()
    torch.testing.assert_close(kept, likeliest[labels != -100], rtol=6e-3, atol=1e-5)


def test_the_teacher_is_asked_once_and_again_for_other_targets_or_another_temperature(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, rows = ask()
    assert first.seconds_saved == 0
    with monkeypatch.context() as patched:
        patched.setattr(teacher_cache, "load", lambda *_: pytest.fail("the teacher was asked again"))
        again = ask()[0]
        assert again.seconds_saved == first.seconds
        assert all(np.array_equal(first.extras[name].values, again.extras[name].values) for name in first.extras)
    asked: list[None] = []
    compute = teacher_cache.write_outputs
    monkeypatch.setattr(teacher_cache, "write_outputs", lambda *a, **n: asked.append(None) or compute(*a, **n))
    ask(temperature=1.0)
    ask(k=3)
    ask(rows=rows.select(range(20)))
    ask(rows=rows.map(lambda row: {"labels": row["labels"][::-1]}))
    assert len(asked) == 4


def test_a_stopped_run_goes_on(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of it, and where it goes on, is tested with `compress.training.kept_outputs`."""
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
            model,
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
