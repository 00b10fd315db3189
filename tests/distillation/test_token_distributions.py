"""Token losses against formulas in fp64 written as sums over the vocabulary, torch's own, and the bounds that coarsening has."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from compress.distillation import laws
from compress.distillation.token_distributions import (
    Divergence,
    NextTokens,
    alike,
    divergences,
    in_batch,
    jsd,
    mass,
    top_k,
    whole,
)
from compress.tasks.kinds.answers import Answers
from compress.tasks.kinds.laws import TOKENS
from compress.tasks.kinds.losses import mean_by_row

DIVERGENCES = get_args(Divergence)
LABELS = torch.tensor([[4, 1, -100, -100], [2, 2, 9, 3], [-100, 7, 0, -100]])
"""Rows of two, four and two counted tokens."""
COUNTED = LABELS != -100


def logits(seed: int, *shape: int, spread: float = 2.0, dtype: torch.dtype = torch.float64) -> Tensor:
    return spread * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def answers(scores: Tensor) -> Answers:
    """The counted tokens of a batch's rows."""
    return Answers(scores[COUNTED], LABELS[COUNTED], COUNTED.nonzero()[:, 0])


def by_hand(p: Tensor, q: Tensor, divergence: str, beta: float) -> float:
    """The divergence of two rows of probabilities, outcome by outcome."""

    def kl(a: list[float], b: list[float]) -> float:
        return sum(x * math.log(x / y) for x, y in zip(a, b, strict=True) if x > 0)

    teacher, student = p.tolist(), q.tolist()
    mixed = [beta * a + (1 - beta) * b for a, b in zip(teacher, student, strict=True)]
    if divergence == "forward_kl":
        return kl(teacher, student)
    if divergence == "reverse_kl":
        return kl(student, teacher)
    return beta * kl(teacher, mixed) + (1 - beta) * kl(student, mixed)


def coarse(p: Tensor, ids: Tensor) -> Tensor:
    """Probabilities of the tokens named, and of the rest."""
    return torch.cat([p[ids], (p.sum() - p[ids].sum())[None]])


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("k", [0, 3])
def test_a_loss_is_its_formula_averaged_by_row_and_times_the_temperature_squared(
    divergence: Divergence, temperature: float, k: int
) -> None:
    student, teacher = logits(1, 3, 4, 11), logits(2, 3, 4, 11)
    targets = top_k(teacher[COUNTED], k, temperature) if k else whole(teacher[COUNTED], temperature)
    rows = []
    for row in range(3):
        tokens = []
        for at in COUNTED[row].nonzero().flatten().tolist():
            p, q = (F.softmax(one[row, at] / temperature, dim=-1) for one in (teacher, student))
            if k:
                ids = p.argsort(descending=True)[:k]
                p, q = coarse(p, ids), coarse(q, ids)
            tokens.append(by_hand(p, q, divergence, 0.3))
        rows.append(sum(tokens) / len(tokens))
    expected = temperature**2 * sum(rows) / 3
    found = laws.next_tokens(answers(student), targets, temperature, divergence, beta=0.3)
    assert found.item() == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 12),
    temperature=st.sampled_from([0.7, 1.0, 4.0]),
    divergence=st.sampled_from(DIVERGENCES),
)
def test_coarsening_never_raises_a_divergence_and_all_tokens_lose_nothing(
    seed: int, k: int, temperature: float, divergence: Divergence
) -> None:
    student, teacher = logits(seed, 5, 12), logits(seed + 1, 5, 12)
    full = divergences(student, whole(teacher, temperature), temperature, divergence)
    kept = divergences(student, top_k(teacher, k, temperature), temperature, divergence)
    assert (kept <= full + 1e-12).all()
    assert (kept >= -1e-12).all()
    if k == 12:
        torch.testing.assert_close(kept, full, rtol=1e-9, atol=1e-12)


def test_the_k_and_the_rest_are_a_distribution_of_both_sides() -> None:
    student, teacher = logits(3, 6, 50), logits(4, 6, 50)
    for side in alike(student, top_k(teacher, 8, 2.0), 2.0):
        assert side.shape == (6, 9)
        torch.testing.assert_close(side.exp().sum(-1), torch.ones(6, dtype=torch.float64))
    p = F.softmax(teacher / 2.0, dim=-1)
    torch.testing.assert_close(mass(top_k(teacher, 8, 2.0)), p.sort(descending=True).values[:, :8].sum(-1))


def test_a_rest_that_is_tiny_is_not_lost_in_rounding() -> None:
    """One minus the kept mass would be 0 in fp32, whose logarithm is minus infinity."""
    teacher = torch.tensor([[40.0, 0.0, 1.0, -3.0]])
    rest = top_k(teacher, 1, 1.0).rest
    assert rest is not None
    assert rest.item() == pytest.approx(math.log(1 + math.e + math.exp(-3)) - 40, rel=1e-6)
    student = torch.tensor([[1.0, 30.0, 0.0, 0.0]], requires_grad=True)
    loss = divergences(student, top_k(teacher, 4, 1.0), 1.0, "reverse_kl").sum()
    loss.backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradients_are_the_numerical_ones(divergence: Divergence) -> None:
    student = logits(5, 4, 9).requires_grad_()
    for targets in (whole(logits(6, 4, 9), 2.0), top_k(logits(6, 4, 9), 3, 2.0)):
        assert torch.autograd.gradcheck(lambda one, t=targets: divergences(one, t, 2.0, divergence, 0.2), (student,))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_student_that_is_the_teacher_has_nothing_to_learn(divergence: Divergence) -> None:
    same = logits(7, 3, 4, 20, dtype=torch.float32).requires_grad_()
    loss = laws.next_tokens(answers(same), top_k(same[COUNTED], 5, 2.0), 2.0, divergence)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert same.grad is not None
    assert same.grad.abs().max() < 1e-6


def test_the_generalized_jsd_nears_both_kls_and_is_symmetric_in_the_middle() -> None:
    ours, theirs = (F.log_softmax(logits(seed, 6, 10), dim=-1) for seed in (8, 9))
    forward, reverse = ((a.exp() * (a - b)).sum(-1) for a, b in ((theirs, ours), (ours, theirs)))
    torch.testing.assert_close(jsd(ours, theirs, 1e-6) / 1e-6, forward, rtol=1e-3, atol=0)
    torch.testing.assert_close(jsd(ours, theirs, 1 - 1e-6) / 1e-6, reverse, rtol=1e-3, atol=0)
    torch.testing.assert_close(jsd(ours, theirs, 0.5), jsd(theirs, ours, 0.5))
    assert (jsd(ours, theirs, 0.5) <= math.log(2)).all()


def test_references_are_the_cross_entropy_of_counted_tokens() -> None:
    student = logits(10, 3, 4, 11)
    rows = [F.cross_entropy(student[row], LABELS[row], ignore_index=-100) for row in range(3)]
    assert laws.hard(TOKENS, answers(student)).item() == pytest.approx(torch.stack(rows).mean().item())


def test_a_row_counts_the_same_in_any_batch_and_an_empty_row_is_nothing() -> None:
    each, row = logits(11, 8).square(), COUNTED.nonzero()[:, 0]
    parts = [mean_by_row(each[row == line], row[row == line] * 0) for line in range(3)]
    torch.testing.assert_close(mean_by_row(each, row), torch.stack(parts).mean())
    torch.testing.assert_close(mean_by_row(each, row + 1), mean_by_row(each, row))
    assert mean_by_row(each[:0], row[:0]) == 0


def test_no_gradient_flows_into_the_teacher_and_half_types_are_widened() -> None:
    teacher = logits(12, 2, 9, dtype=torch.float32).requires_grad_()
    for targets in (whole(teacher, 1.0), top_k(teacher, 3, 1.0)):
        assert not targets.log_probabilities.requires_grad
    student = logits(13, 2, 9, dtype=torch.bfloat16)
    assert divergences(student, whole(teacher, 1.0), 1.0, "forward_kl").dtype == torch.float32


def test_log_probabilities_in_sixteen_bits_change_a_loss_by_little() -> None:
    student, teacher = logits(15, 40, 200, dtype=torch.float32), logits(16, 40, 200, dtype=torch.float32)
    exact = top_k(teacher, 16, 1.0)
    assert exact.rest is not None
    stored = NextTokens(exact.log_probabilities.half(), exact.ids, exact.rest.half())
    fine, rounded = (divergences(student, one, 1.0, "forward_kl").mean() for one in (exact, stored))
    # Half precision rounds a log-probability of 1 to 8 by less than 0.004.
    assert rounded.item() == pytest.approx(fine.item(), rel=0.005)


@pytest.mark.parametrize("shifted", [False, True])
def test_a_batch_has_a_distribution_for_each_label_that_counts_and_none_for_a_decoders_first_token(
    shifted: bool,
) -> None:
    labels = torch.tensor([[4, 1, -100], [-100, 2, 3]])
    kept = top_k(logits(17, 2, 3, 9), 2, 1.0)
    assert kept.ids is not None
    assert kept.rest is not None
    names = {"log_probabilities": kept.log_probabilities, "ids": kept.ids.int(), "rest": kept.rest}
    batch = {"labels": labels} | {f"teacher.next.{name}": value for name, value in names.items()}
    rows, places = ([0, 1, 1], [1, 1, 2]) if shifted else ([0, 0, 1, 1], [0, 1, 1, 2])
    found = in_batch(batch, shifted=shifted)
    assert found.log_probabilities.equal(kept.log_probabilities[rows, places])
    assert found.ids is not None
    assert found.ids.equal(kept.ids[rows, places])
    assert found.rest is not None
    assert found.rest.equal(kept.rest[rows, places])


def test_distributions_at_some_tokens_are_those_of_these_tokens() -> None:
    every = whole(logits(18, 3, 4, 9), 1.0)
    assert every.at(COUNTED).log_probabilities.equal(every.log_probabilities[COUNTED])
    assert (every.at(COUNTED).ids, every.at(COUNTED).rest) == (None, None)
    kept = top_k(logits(18, 3, 4, 9), 2, 1.0)
    assert kept.ids is not None
    some = kept.at(COUNTED)
    assert some.ids is not None
    assert some.ids.equal(kept.ids[COUNTED])


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("k", [0, 6])
def test_tokens_in_rows_have_the_divergences_they_have_one_after_another(divergence: Divergence, k: int) -> None:
    student, teacher = logits(19, 2, 4, 9), logits(20, 2, 4, 9)

    def found(some: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        targets = top_k(some[1], k, 2.0) if k else whole(some[1], 2.0)
        return divergences(some[0], targets, 2.0, divergence), mass(targets)

    in_rows, in_a_line = found((student, teacher)), found((student.flatten(0, 1), teacher.flatten(0, 1)))
    for ours, theirs in zip(in_rows, in_a_line, strict=True):
        torch.testing.assert_close(ours, theirs.view(2, 4))
