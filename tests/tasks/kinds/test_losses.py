"""Losses of answers one by one, and their means: hand-computed, and what does not exist takes no part in them."""

from __future__ import annotations

import math

import pytest
import torch

from compress.tasks.kinds.losses import (
    mean_of,
    soft_targets,
    soft_targets_of_each,
    two_outcomes,
    without,
)


def test_soft_targets_of_one_distribution_are_the_squared_temperature_times_its_divergence() -> None:
    student, teacher, temperature = [0.5, -1.0, 2.0], [1.5, 0.0, -0.5], 3.0

    def shares(logits: list[float]) -> list[float]:
        powers = [math.exp(one / temperature) for one in logits]
        return [one / sum(powers) for one in powers]

    wanted = temperature**2 * sum(q * math.log(q / p) for p, q in zip(shares(student), shares(teacher), strict=True))
    found = soft_targets_of_each(torch.tensor([[student]]), torch.tensor([[teacher]]), temperature)
    assert found.shape == (1, 1)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_the_mean_of_soft_targets_one_by_one_is_that_of_the_batch() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 4), torch.randn(5, 4)
    each = soft_targets_of_each(student, teacher, 2.0)
    assert each.shape == (5,)
    assert float(each.mean()) == pytest.approx(float(soft_targets(student, teacher, 2.0)), rel=1e-5)


def test_outcomes_that_do_not_exist_take_no_part_in_a_distance() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 4), torch.randn(3, 4)
    valid = torch.tensor([[True, True, False, True]] * 3)
    found = soft_targets_of_each(student, teacher, 2.0, valid)
    alone = soft_targets_of_each(student[:, [0, 1, 3]], teacher[:, [0, 1, 3]], 2.0)
    torch.testing.assert_close(found, alone)


def test_a_mean_is_over_what_exists_and_0_where_nothing_does() -> None:
    each = torch.tensor([[1.0, 2.0, 6.0], [1.0, 2.0, 6.0]])
    valid = torch.tensor([[True, False, True], [False, False, False]])
    assert mean_of(each, valid).tolist() == [3.5, 0.0]
    assert mean_of(each, torch.tensor([[False, False, True]])).tolist() == [6.0, 6.0]
    assert mean_of(each, None).tolist() == [3.0, 3.0]


def test_scores_that_do_not_exist_are_compared_as_0() -> None:
    scores = torch.tensor([[1.0, 2.0, 6.0]])
    assert without(scores, torch.tensor([[True, False, True]])).tolist() == [[1.0, 0.0, 6.0]]
    assert without(scores, None) is scores


def test_the_chance_of_yes_among_two_outcomes_is_the_sigmoid() -> None:
    scores = torch.tensor([[0.3, -2.0], [1.0, 0.0]])
    pairs = two_outcomes(scores)
    assert pairs.shape == (2, 2, 2)
    torch.testing.assert_close(pairs.softmax(-1)[..., 1], torch.sigmoid(scores))
