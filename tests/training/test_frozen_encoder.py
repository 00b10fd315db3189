"""The encoder's states on disk: the same loss as with the encoder, and nothing of the encoder moves."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.data.collate import ByToken
from compress.data.loading import described_task
from compress.models.generators import generator
from compress.models.load import config, tokenizer
from compress.training import frozen_encoder, loop
from compress.training.data import TrainingData, data_for
from compress.training.frozen_encoder import STATES, Places, decoder_objective, encoder_states, train_decoder
from compress.training.objectives import reference_tokens
from compress.training.train import TrainingSettings
from tests.tiny_generators import write_generator, write_pairs


class Little:
    """A tiny encoder-decoder with its rows."""

    def __init__(self, folder: Path, family: str) -> None:
        made = write_generator(folder / "model", family, **({"dropout_rate": 0.1} if family == "t5" else {}))
        self.model, self.tokenizer = generator(made).float(), tokenizer(made)
        self.data: TrainingData = data_for(
            described_task(write_pairs(folder / "data")), self.tokenizer, config(made), 32
        )
        self.cache = folder / "cache"

    def states(self) -> ByToken | None:
        return encoder_states(self.model, self.data.train, self.tokenizer, bf16=False, cache=self.cache)

    def batch(self, states: ByToken | None) -> dict[str, Any]:
        rows = [{**self.data.train[place], "place": place} for place in (3, 1, 40)]
        return self.data.collate(rows, self.tokenizer, {} if states is None else {STATES: states})


@pytest.fixture
def little(tmp_path: Path) -> Little:
    return Little(tmp_path, "bart")


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_loss_from_cached_states_is_that_with_the_encoder(family: str, tmp_path: Path) -> None:
    little = Little(tmp_path, family)
    with torch.no_grad():
        for name, value in little.model.named_parameters():  # so that the states decide what is written
            if "attn" in name or "EncDecAttention" in name:
                value.mul_(10)
    states = little.states()
    assert states is not None
    batch = little.batch(states)
    assert batch[STATES].dtype == torch.float16
    model = little.model.eval()
    with torch.no_grad():
        whole, _ = reference_tokens(model)(model, little.batch(None), 0.0)
        cached, _ = decoder_objective(model)(model, batch, 0.0)
        live, _ = decoder_objective(model)(model, little.batch(None), 0.0)
        other, _ = decoder_objective(model)(model, {**batch, STATES: -batch[STATES]}, 0.0)
    assert live.item() == pytest.approx(whole.item(), rel=1e-6)
    assert cached.item() == pytest.approx(whole.item(), abs=1e-3)  # 16 bits
    assert abs(other.item() - whole.item()) > 1e-2


def test_states_lie_at_their_rows_tokens_and_are_computed_once(little: Little, monkeypatch: pytest.MonkeyPatch) -> None:
    states = little.states()
    assert states is not None
    assert isinstance(states.values, np.memmap)
    ids = torch.tensor([little.data.train[7]["input_ids"]])
    with torch.no_grad():
        wanted = little.model.get_encoder().eval()(input_ids=ids).last_hidden_state[0].numpy()
    np.testing.assert_allclose(states.values[states.starts[7] : states.starts[8]], wanted, atol=3e-3, rtol=1e-3)
    monkeypatch.setattr(frozen_encoder, "write_outputs", None)  # would fail
    again = little.states()
    assert again is not None
    assert np.array_equal(again.values, states.values)
    monkeypatch.undo()
    with torch.no_grad():
        next(little.model.get_encoder().parameters()).mul_(1.5)
    other = little.states()
    assert other is not None
    assert not np.array_equal(other.values, states.values)


def test_states_that_were_damaged_are_computed_again(little: Little, caplog: pytest.LogCaptureFixture) -> None:
    states = little.states()
    assert states is not None
    before = np.array(states.values)
    (file,) = little.cache.rglob("states.npy")
    file.write_bytes(file.read_bytes()[:-2] + bytes(2))
    again = little.states()
    assert again is not None
    assert "is damaged, so it is made again" in caplog.text
    assert np.array_equal(again.values, before)


def _train(little: Little, scratch: Path, **settings: Any) -> dict[str, Any]:
    given = {"epochs": 2, "batch_size": 16, "precision": "fp32", "learning_rate": 3e-3, **settings}
    told = train_decoder(
        little.model,
        little.data,
        TrainingSettings(**given),
        its_tokenizer=little.tokenizer,
        places=Places(scratch, little.cache),
        name="test",
    )
    return dict(told)


def test_the_encoder_stands_still_and_the_table_that_the_decoder_learnt_becomes_that_of_both(
    little: Little, tmp_path: Path
) -> None:
    model = little.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    told = _train(little, tmp_path / "scratch")
    table = model.get_input_embeddings().weight
    inside = {id(parameter) for parameter in model.get_encoder().parameters()} - {id(table)}
    moved = 0
    for name, parameter in model.named_parameters():
        assert torch.equal(before[name], parameter) == (id(parameter) in inside), name
        moved += id(parameter) not in inside
    assert moved > 5
    assert model.lm_head.weight is table
    assert model.get_decoder().embed_tokens.weight is table
    assert model.get_encoder().embed_tokens.weight is table
    assert all(parameter.requires_grad for parameter in model.parameters())
    losses = [value for _, value in told["curves"]["frozen encoder loss"]]
    assert losses[-1] < losses[0]
    assert set(told["score"]) == {"rouge_l"}


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_stage_that_was_killed_ends_with_the_weights_of_one_that_was_not(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = Little(tmp_path / "one", family), Little(tmp_path / "two", family)
    _train(whole, tmp_path / "whole", epochs=1)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)  # a checkpoint after each step
    objective, steps = decoder_objective, 0

    def dying(model: Any, smoothing: float) -> Any:
        plain = objective(model, smoothing)

        def dies(*given: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == 4:
                raise RuntimeError("killed")
            return plain(*given)

        return dies

    monkeypatch.setattr(frozen_encoder, "decoder_objective", dying)
    with pytest.raises(RuntimeError, match="killed"):
        _train(killed, tmp_path / "killed", epochs=1)
    monkeypatch.setattr(frozen_encoder, "decoder_objective", objective)
    again = Little(tmp_path / "two", family)  # as a new process opens it
    assert _train(again, tmp_path / "killed", epochs=1)["resumed_from_step"] == 3
    wanted = whole.model.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in again.model.state_dict().items())


def test_a_stage_that_is_done_is_not_done_again(
    little: Little, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _train(little, tmp_path / "scratch")
    trained = {name: value.clone() for name, value in little.model.state_dict().items()}
    with torch.no_grad():
        for parameter in little.model.get_decoder().parameters():
            if not any(parameter is one for one in little.model.get_encoder().parameters()):
                parameter.zero_()
    monkeypatch.setattr(frozen_encoder, "train", None)  # would fail
    assert _train(little, tmp_path / "scratch") == told
    assert all(torch.equal(value, trained[name]) for name, value in little.model.state_dict().items())


def test_a_stage_whose_weights_were_damaged_is_finished_again_from_its_last_checkpoint(
    little: Little, tmp_path: Path
) -> None:
    _train(little, tmp_path / "scratch", epochs=1)
    trained = {name: value.clone() for name, value in little.model.state_dict().items()}
    weights = tmp_path / "scratch" / "done" / frozen_encoder.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4] + bytes(4))
    again = Little(tmp_path, "bart")  # as a new process opens it
    assert _train(again, tmp_path / "scratch", epochs=1)["resumed_from_step"]
    assert all(torch.equal(value, trained[name]) for name, value in again.model.state_dict().items())


@pytest.mark.slow
def test_where_the_disk_is_full_the_encoder_runs_at_each_step_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, live = Little(tmp_path / "one", "bart"), Little(tmp_path / "two", "bart")
    _train(cached, tmp_path / "a")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "total used free")(100, 90, 10))
    assert live.states() is None
    _train(live, tmp_path / "b")
    for name, value in live.model.state_dict().items():
        torch.testing.assert_close(value, cached.model.state_dict()[name], atol=0.02, rtol=0.05)
    assert live.states() is None
    monkeypatch.undo()
    assert live.states() is not None  # there is room again
