"""Zeros hold while a model trains, and grow as the schedule says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.load import classifier
from compress.pruning.gradual import Fixed, Gradual, Schedule, share_at
from compress.pruning.magnitude import global_, local
from compress.pruning.weights import apply_, masks_of_zeros, prunable, share_of_zeros, weights_of
from compress.training.objectives import Hold
from tests.tiny import write_model

IDS = torch.tensor([[2, 7, 9, 30, 21, 3], [2, 21, 6, 3, 5, 9]])
STEPS = 30


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Any]:
    folder = write_model(tmp_path, "bert", num_hidden_layers=2)
    return lambda: classifier(folder)


class Training:
    """A loop as short as can be, with an optimizer that has momentum; it can stop and resume from what it saved."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)

    def run(self, pruner: Hold, first: int, last: int) -> list[float]:
        pruner.start()
        shares = []
        for step in range(first, last):
            self.optimizer.zero_grad()
            logits = self.model(input_ids=IDS.roll(step % 6, dims=1)).logits
            torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
            self.optimizer.step()
            pruner.after_step((step + 1) / STEPS)
            shares.append(share_of_zeros(self.model))
        return shares

    def saved(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {k: v.clone() for k, v in self.model.state_dict().items()}, self.optimizer.state_dict()


def test_the_share_follows_the_published_cubic() -> None:
    assert share_at(0.0, 0.9) == share_at(0.09, 0.9) == 0.0
    assert share_at(0.1, 0.9, initial=0.3) == pytest.approx(0.3)
    assert share_at(0.25, 0.9, begin=0.1, end=0.7) == pytest.approx(0.9 * (1 - 0.75**3))
    assert share_at(0.4, 0.8, initial=0.2, begin=0.2, end=0.6) == pytest.approx(0.8 - 0.6 / 8)
    assert share_at(0.7, 0.9) == share_at(1.0, 0.9) == 0.9
    assert share_at(0.5, 0.9, begin=0.5, end=0.5) == 0.9


def test_a_schedule_rises_in_its_updates() -> None:
    schedule = Schedule(0.8, begin=0.2, end=0.6, updates=4)
    shares = [schedule.share(step / 100) for step in range(101)]
    assert shares == sorted(shares)
    assert sorted(set(shares)) == pytest.approx([share_at(x, 0.8, 0, 0.2, 0.6) for x in (0.2, 0.3, 0.4, 0.5, 0.6)])
    assert schedule.share(0.3) == pytest.approx(share_at(0.3, 0.8, 0, 0.2, 0.6))


@pytest.mark.parametrize(
    "wrong",
    [{"final": 1.0}, {"final": 0.5, "initial": 0.6}, {"final": 0.5, "begin": 0.8}, {"final": 0.5, "updates": 0}],
)
def test_a_schedule_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CompressError):
        Schedule(**wrong)


@pytest.mark.parametrize("choose", [local, global_])
def test_pruning_while_training_ends_at_the_exact_share(choose: Any, fresh: Callable[[], Any]) -> None:
    model = fresh()
    total = sum(part.weight.numel() for part in prunable(model).values())
    schedule = Schedule(0.6)
    pruner = Gradual(model, schedule, choose)
    shares = Training(model).run(pruner, 0, STEPS)
    assert shares[1] == 0.0
    assert shares == pytest.approx([schedule.share((step + 1) / STEPS) for step in range(STEPS)], abs=1e-3)
    assert shares[-1] == round(0.6 * total) / total
    assert not pruner.is_done(0.6)
    assert pruner.is_done(0.7)


def test_what_is_pruned_never_comes_back_and_what_is_left_alone_is_not_pruned(fresh: Callable[[], Any]) -> None:
    model = fresh()
    names = list(prunable(model, ("*.value",)))
    training, pruner = Training(model), Gradual(model, Schedule(0.7), names=names)
    training.run(pruner, 0, 12)
    early = masks_of_zeros(model)
    training.run(pruner, 12, STEPS)
    late = masks_of_zeros(model)
    assert not any(bool((late[name] & ~early[name]).any()) for name in late)
    assert all(bool(mask.all()) for name, mask in late.items() if name.endswith("value"))


def test_a_resumed_training_ends_as_one_that_never_stopped(fresh: Callable[[], Any]) -> None:
    schedule = Schedule(0.6, updates=7)
    whole = fresh()
    Training(whole).run(Gradual(whole, schedule), 0, STEPS)
    for stop in (8, 13, 25):
        first = Training(fresh())
        first.run(Gradual(first.model, schedule), 0, stop)
        weights, state = first.saved()
        second = Training(fresh())
        pruner = Gradual(second.model, schedule)  # made before the checkpoint is read, as training loops do
        second.model.load_state_dict(weights)
        second.optimizer.load_state_dict(state)
        second.run(pruner, stop, STEPS)
        assert all(torch.equal(value, whole.state_dict()[k]) for k, value in second.model.state_dict().items())


def test_given_masks_hold_through_training_with_momentum(fresh: Callable[[], Any]) -> None:
    model = fresh()
    training = Training(model)
    training.run(Fixed(model, {}), 0, 5)  # the optimizer has momentum for every weight now
    masks = local(weights_of(model), 0.5)
    before = {name: weight.clone() for name, weight in weights_of(model).items()}
    training.run(Fixed(model, masks), 5, STEPS)
    for name, weight in weights_of(model).items():
        assert torch.equal(weight != 0, masks[name])
        assert not torch.equal(weight[masks[name]], before[name][masks[name]])


def test_without_masks_the_zeros_that_are_there_hold(fresh: Callable[[], Any]) -> None:
    model = fresh()
    apply_(model, local(weights_of(model), 0.3))
    found = masks_of_zeros(model)
    Training(model).run(Fixed(model), 0, 5)
    assert all(torch.equal(mask, found[name]) for name, mask in masks_of_zeros(model).items())


def test_gradual_pruning_continues_from_a_pruned_model(fresh: Callable[[], Any]) -> None:
    model = fresh()
    apply_(model, local(weights_of(model), 0.3))
    before = masks_of_zeros(model)
    shares = Training(model).run(Gradual(model, Schedule(0.6)), 0, STEPS)
    assert shares[0] == pytest.approx(0.3, abs=1e-3)
    total = sum(mask.numel() for mask in before.values())
    assert shares[-1] == round(0.6 * total) / total
    after = masks_of_zeros(model)
    assert not any(bool((after[name] & ~before[name]).any()) for name in after)
