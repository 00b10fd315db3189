"""Movement pruning against the paper's gradients, and what is left of it once it is finished."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compress.core.errors import CompressError
from compress.models.load import classifier
from compress.pruning.gradual import Schedule
from compress.pruning.magnitude import local
from compress.pruning.movement import Movement, SoftMovement
from compress.pruning.weights import apply_, masks_of_zeros, prunable, share_of_zeros, weights_of
from compress.training.objectives import Hold
from tests.tiny import FAMILIES, write_model

IDS = torch.tensor([[2, 7, 9, 30, 21, 3], [2, 21, 6, 3, 5, 9]])
STEPS = 20


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Any]:
    folder = write_model(tmp_path, "bert", num_hidden_layers=2)
    return lambda: classifier(folder)


def train(model: Any, pruner: Hold, optimizer: Any, first: int = 0, last: int = STEPS) -> list[float]:
    pruner.start()
    shares = []
    for step in range(first, last):
        optimizer.zero_grad()
        logits = model(input_ids=IDS.roll(step % 6, dims=1)).logits
        loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
        if isinstance(pruner, SoftMovement):
            loss = loss + pruner.loss(step / STEPS)
        loss.backward()
        optimizer.step()
        pruner.after_step((step + 1) / STEPS)
        shares.append(pruner.share)
    return shares


def adam(model: Any) -> Any:
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)


def one_layer() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    return model, torch.randn(5, 4), torch.randn(5, 3)


def test_gradients_are_those_of_the_paper() -> None:
    model, inputs, target = one_layer()
    Movement(model, Schedule(0.5), ["0"])
    linear: Any = model[0]
    linear.mask[0, 1] = linear.mask[2, 3] = False
    (model(inputs) * target).sum().backward()
    weight = linear.weight.detach()
    outputs = torch.tanh(inputs @ (weight * linear.mask).T + linear.bias)
    of_outputs = target * (1 - outputs**2)  # dL/da, [rows, outputs]
    for i in range(3):
        for j in range(4):
            of_masked = (of_outputs[:, i] * inputs[:, j]).sum()  # dL/dW'_ij = dL/da_i x_j
            torch.testing.assert_close(linear.scores.grad[i, j], of_masked * weight[i, j])
            torch.testing.assert_close(linear.weight.grad[i, j], of_masked * linear.mask[i, j])


def test_what_moves_away_from_zero_stays_whatever_its_size() -> None:
    model = nn.Sequential(nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.1, 1.0]]))
    pruner = Movement(model, Schedule(0.5, begin=0.5, end=0.5), ["0"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(5):
        optimizer.zero_grad()
        ((model(torch.eye(2)) - torch.tensor([[1.0], [0.2]])) ** 2).sum().backward()
        optimizer.step()
        pruner.after_step((step + 1) / 5)
    assert pruner.finish_()["0"].tolist() == [[True, False]]  # by magnitude it would be the other


def test_a_masked_weight_rests_and_can_come_back() -> None:
    model, inputs, _ = one_layer()
    pruner = Movement(model, Schedule(0.5, begin=0.0, end=0.1), ["0"])
    linear: Any = model[0]
    with torch.no_grad():
        linear.scores.copy_(torch.arange(12.0).view(3, 4))
    pruner.after_step(0.5)
    assert linear.mask.flatten().tolist() == [False] * 6 + [True] * 6
    model(inputs).sum().backward()
    assert not linear.weight.grad[~linear.mask].any()
    assert bool(linear.scores.grad[~linear.mask].any())
    with torch.no_grad():
        linear.scores[0, 0] = 20.0
    before = linear.weight[0, 0].item()
    pruner.after_step(0.501)  # no update is due
    assert not linear.mask[0, 0]
    pruner.after_step(0.51)
    assert linear.mask[0, 0]
    assert linear.weight[0, 0].item() == before


@pytest.mark.parametrize("by_matrix", [False, True])
def test_the_share_follows_the_schedule_and_is_exact_in_the_end(by_matrix: bool, fresh: Callable[[], Any]) -> None:
    model = fresh()
    pruner = Movement(model, Schedule(0.6), by_matrix=by_matrix)
    shares = train(model, pruner, adam(model))
    total = sum(weight.numel() for weight in weights_of(model).values())
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert not pruner.is_done(0.69)
    assert pruner.is_done(0.7)
    masks = pruner.finish_()
    assert share_of_zeros(model) == round(0.6 * total) / total
    each = [1 - float(mask.float().mean()) for mask in masks.values()]
    assert (max(each) - min(each) < 1e-3) == by_matrix


def test_a_training_too_short_for_its_schedule_is_pruned_in_the_end(fresh: Callable[[], Any]) -> None:
    model = fresh()
    pruner = Movement(model, Schedule(0.6))
    assert train(model, pruner, adam(model), 0, 10)[-1] < 0.59
    pruner.finish_()
    assert share_of_zeros(model) == pytest.approx(0.6, abs=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_finished_is_a_plain_checkpoint_that_answers_the_same(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path / "model", name))
    before = set(model.state_dict())
    pruner = Movement(model, Schedule(0.5))
    train(model, pruner, adam(model))
    assert set(model.state_dict()) > before
    answers = model(input_ids=IDS).logits.detach()
    masks = pruner.finish_()
    assert set(model.state_dict()) == before
    assert all(type(part) is nn.Linear for part in prunable(model).values())
    torch.testing.assert_close(model(input_ids=IDS).logits.detach(), answers, rtol=0, atol=0)
    model.save_pretrained(tmp_path / "pruned")
    again: Any = classifier(tmp_path / "pruned")
    assert all(torch.equal(mask, masks[path]) for path, mask in masks_of_zeros(again).items())
    torch.testing.assert_close(again(input_ids=IDS).logits, answers)


@pytest.mark.parametrize("soft", [False, True])
def test_a_resumed_training_ends_as_one_that_never_stopped(soft: bool, fresh: Callable[[], Any]) -> None:
    def made() -> tuple[Any, Any, Any]:
        model = fresh()
        # Fewer updates than steps: masks are older than scores when the training stops.
        pruner: Any = SoftMovement(model, 300.0, updates=7) if soft else Movement(model, Schedule(0.6), updates=7)
        return model, pruner, adam(model)

    whole, pruner, optimizer = made()
    train(whole, pruner, optimizer)
    for stop in (4, 10):
        first, pruner, optimizer = made()
        train(first, pruner, optimizer, 0, stop)
        weights, state = copy.deepcopy(first.state_dict()), optimizer.state_dict()
        second, pruner, optimizer = made()
        second.load_state_dict(weights)
        optimizer.load_state_dict(state)
        train(second, pruner, optimizer, stop)
        assert all(torch.equal(value, whole.state_dict()[key]) for key, value in second.state_dict().items())


@pytest.mark.parametrize("by_matrix", [False, True])
def test_zeros_stay_zero_and_count_towards_the_share(by_matrix: bool, fresh: Callable[[], Any]) -> None:
    model = fresh()
    apply_(model, local(weights_of(model), 0.4))
    before = masks_of_zeros(model)
    pruner = Movement(model, Schedule(0.6), by_matrix=by_matrix)
    shares = train(model, pruner, adam(model))
    assert shares[0] == pytest.approx(0.4, abs=1e-3)
    after = pruner.finish_()
    total = sum(mask.numel() for mask in after.values())
    assert share_of_zeros(model) == round(0.6 * total) / total
    assert not any(bool((after[name] & ~before[name]).any()) for name in after)


def test_soft_movement_keeps_what_is_above_the_threshold_and_penalizes_the_rest(fresh: Callable[[], Any]) -> None:
    model = fresh()
    pruner = SoftMovement(model, 3.0, threshold=0.2, begin=0.0, end=0.5, speed=10.0)
    linears: list[Any] = list(prunable(model).values())
    torch.manual_seed(0)
    with torch.no_grad():
        for linear in linears:
            linear.scores.normal_(std=0.2)
    pruner.after_step(1.0)
    assert all(torch.equal(linear.mask, 10 * linear.scores > torch.logit(torch.tensor(0.2))) for linear in linears)
    sigmoids = [torch.sigmoid(10 * linear.scores.detach()) for linear in linears]
    assert pruner.loss(1.0).item() == pytest.approx(3 * float(torch.stack([x.mean() for x in sigmoids]).mean()))
    assert pruner.loss(0.25).item() == pytest.approx(pruner.loss(1.0).item() * (1 - 0.5**3))
    pruner.loss(1.0).backward()
    expected = 3 * sigmoids[0] * (1 - sigmoids[0]) / sigmoids[0].numel() / len(linears)
    torch.testing.assert_close(linears[0].scores.grad, expected)


def test_a_larger_penalty_prunes_more(fresh: Callable[[], Any]) -> None:
    shares = []
    for penalty in (0.0, 1e5):
        model = fresh()
        pruner = SoftMovement(model, penalty)
        train(model, pruner, adam(model))
        pruner.finish_()
        shares.append(share_of_zeros(model))
    assert shares[0] < 0.9 * shares[1]


def test_speed_is_a_learning_rate_of_the_scores_own(fresh: Callable[[], Any]) -> None:
    fast, slow = fresh(), fresh()
    by_speed, by_rate = SoftMovement(fast, 300.0, speed=50.0), SoftMovement(slow, 300.0, speed=1.0)
    plain = {"lr": 1e-3, "eps": 1e-30}
    one = torch.optim.Adam(fast.parameters(), **plain)
    scores = [value for name, value in slow.named_parameters() if name.endswith("scores")]
    rest = [value for name, value in slow.named_parameters() if not name.endswith("scores")]
    two = torch.optim.Adam([{"params": rest}, {"params": scores, "lr": 5e-2}], **plain)
    train(fast, by_speed, one, 0, 10)
    train(slow, by_rate, two, 0, 10)
    for left, right in zip(prunable(fast).values(), prunable(slow).values(), strict=True):
        torch.testing.assert_close(50 * left.scores, right.scores, rtol=1e-3, atol=1e-4)
        assert right.scores.abs().max().item() > 0.1


def test_a_threshold_or_penalty_that_cannot_be_is_refused(fresh: Callable[[], Any]) -> None:
    with pytest.raises(CompressError, match="between 0 and 0.5"):
        SoftMovement(fresh(), 1.0, threshold=0.5)
    with pytest.raises(CompressError, match="penalty"):
        SoftMovement(fresh(), -1.0)
