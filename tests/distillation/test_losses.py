"""The losses against hand-computed values and torch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from compress.distillation.losses import hard_labels, scores, soft_targets, weighted


def test_soft_targets_equal_the_formula_computed_by_hand() -> None:
    # softmax([2, 0] / 2) = [e/(e+1), 1/(e+1)] against the uniform student: T^2 * sum p log(p / 0.5)
    teacher, student = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    p = math.e / (math.e + 1)
    expected = 4 * (p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5))
    assert soft_targets(student, teacher, temperature=2.0).item() == pytest.approx(expected, rel=1e-6)


def test_soft_targets_are_the_mean_over_the_batch_not_over_labels() -> None:
    teacher, student = torch.randn(5, 3), torch.randn(5, 3)
    rows = [soft_targets(student[i : i + 1], teacher[i : i + 1], 3.0) for i in range(5)]
    torch.testing.assert_close(soft_targets(student, teacher, 3.0), torch.stack(rows).mean())


def test_soft_targets_vanish_for_equal_logits_and_for_a_shifted_teacher() -> None:
    logits = torch.randn(4, 6)
    assert soft_targets(logits, logits + 7, 4.0).item() == pytest.approx(0, abs=1e-6)


def test_gradient_of_soft_targets_is_the_published_one() -> None:
    # Hinton et al. 2015, equation 2, times T^2: dC/dz_i = T (q_i - p_i), averaged over the batch.
    teacher = torch.randn(3, 4, dtype=torch.float32)
    student = torch.randn(3, 4, requires_grad=True)
    soft_targets(student, teacher, 5.0).backward()
    expected = 5.0 * (F.softmax(student / 5, -1) - F.softmax(teacher / 5, -1)) / 3
    torch.testing.assert_close(student.grad, expected, atol=1e-6, rtol=1e-5)


def test_no_gradient_reaches_the_teacher() -> None:
    teacher = torch.randn(2, 2, requires_grad=True)
    soft_targets(torch.randn(2, 2, requires_grad=True), teacher, 2.0).backward()
    assert teacher.grad is None


def test_hard_labels_are_cross_entropy_at_temperature_one() -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    torch.testing.assert_close(hard_labels(logits, labels), F.cross_entropy(logits, labels))


def test_scores_ignore_the_column_that_a_regression_head_adds() -> None:
    torch.testing.assert_close(scores(torch.tensor([[1.0], [3.0]]), torch.tensor([2.0, 5.0])), torch.tensor(2.5))


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, 8.0), (1.0, 2.0), (0.25, 6.5)])
def test_alpha_is_the_weight_of_the_teacher(alpha: float, expected: float) -> None:
    assert weighted(torch.tensor(2.0), torch.tensor(8.0), alpha).item() == expected


def test_alpha_zero_is_the_hard_loss_itself_even_where_the_soft_one_is_not_finite() -> None:
    assert weighted(torch.tensor(math.nan), torch.tensor(8.0), 0).item() == 8.0
