"""The losses against hand-computed values, torch's own, the published formulas written as loops, and their gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from compress.core.errors import CompressError
from compress.distillation.laws import weighted
from compress.distillation.losses import (
    attention_kl,
    attention_mse,
    attention_scores,
    hidden_cosine,
    hidden_mse,
    normalized_mse,
    patient,
    relation_kl,
)
from compress.tasks.kinds.losses import hard_labels, mixed_scores, mixed_targets, scores, soft_targets

MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
"""Three rows of three, five and one real tokens."""
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
OF_HIDDEN: dict[str, Loss] = {
    "mse": hidden_mse,
    "cosine": hidden_cosine,
    "patient": patient,
    "normalized": normalized_mse,
    "relation": lambda student, teacher, mask: relation_kl(student, teacher, mask, 2),
}
OF_ATTENTION: dict[str, Loss] = {
    "mse": attention_mse,
    "kl": attention_kl,
    "causal mse": lambda student, teacher, mask: attention_mse(student, teacher, mask, causal(mask)),
    "causal kl": lambda student, teacher, mask: attention_kl(student, teacher, mask, causal(mask)),
}


def causal(mask: Tensor) -> Tensor:
    """What each token of a decoder attends to: the real ones up to itself."""
    return mask.bool()[:, None, :] & torch.ones(mask.shape[1], mask.shape[1]).tril().bool()


def hidden(seed: int, width: int = 8, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(3, 5, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def maps(seed: int, heads: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(3, heads, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=dtype)


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


def test_two_teachers_are_mixed_as_probabilities_by_hand() -> None:
    # At T = 2: softmax([2, 0] / 2) = [p, 1 - p] and softmax([0, 0]) = [1/2, 1/2]; three parts of one, one of the other.
    p = math.e / (math.e + 1)
    teachers = torch.tensor([[[2.0, 0.0], [0.0, 0.0]]])
    mean = 0.75 * p + 0.25 * 0.5
    expected = torch.tensor([[2 * math.log(mean), 2 * math.log(1 - mean)]])
    torch.testing.assert_close(mixed_targets(teachers, [0.75, 0.25], 2.0), expected)


def test_soft_targets_of_mixed_teachers_are_the_distance_from_the_mean_distribution() -> None:
    teachers, student = torch.randn(5, 3, 4), torch.randn(5, 4)
    weights, temperature = [0.5, 0.2, 0.3], 3.0
    expected = torch.tensor(0.0)
    for row, logits in zip(teachers, student, strict=True):
        mean = sum(w * F.softmax(t / temperature, -1) for w, t in zip(weights, row, strict=True))
        q = F.softmax(logits / temperature, -1)
        expected += temperature**2 * (mean * (mean / q).log()).sum() / 5
    found = soft_targets(student, mixed_targets(teachers, weights, temperature), temperature)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_a_single_teachers_targets_are_its_logits_bit_by_bit() -> None:
    logits = torch.randn(4, 3)
    assert torch.equal(mixed_targets(logits[:, None], [0.7], 4.0), logits)
    assert torch.equal(mixed_scores(logits[:, None, :1], [0.7]), logits[:, :1])


def test_mixed_targets_are_finite_for_teachers_that_are_far_apart_or_weigh_nothing() -> None:
    far = torch.tensor([[[1e4, 0.0], [0.0, 1e4]]], dtype=torch.float64)
    torch.testing.assert_close(mixed_targets(far, [1, 1], 1.0).softmax(-1), torch.full((1, 2), 0.5).double())
    torch.testing.assert_close(mixed_targets(far, [0, 1], 1.0).softmax(-1), far[:, 1].softmax(-1))


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=4), st.floats(0.5, 10))
def test_only_the_proportions_of_the_teachers_weights_count(weights: list[float], temperature: float) -> None:
    teachers = torch.linspace(-3, 3, 6 * len(weights), dtype=torch.float64).reshape(2, len(weights), 3).sin() * 5
    found = mixed_targets(teachers, weights, temperature)
    torch.testing.assert_close(found, mixed_targets(teachers, [3 * one for one in weights], temperature))
    torch.testing.assert_close((found / temperature).exp().sum(-1), torch.ones(2, dtype=torch.float64))


def test_mixed_scores_are_the_weighted_mean() -> None:
    teachers = torch.tensor([[[1.0], [4.0]], [[0.0], [2.0]]])
    torch.testing.assert_close(mixed_scores(teachers, [2, 1]), torch.tensor([[2.0], [2 / 3]]))


def test_rows_without_a_label_do_not_count() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    found = hard_labels(logits, torch.tensor([2, -100, 0, -100]))
    torch.testing.assert_close(found, F.cross_entropy(logits[[0, 2]], torch.tensor([2, 0])))
    found.backward()
    assert not logits.grad[[1, 3]].any()
    assert logits.grad[[0, 2]].any()


def test_scores_without_a_target_do_not_count() -> None:
    student = torch.tensor([[1.0], [9.0], [3.0]], requires_grad=True)
    found = scores(student, torch.tensor([2.0, math.nan, 5.0]))
    torch.testing.assert_close(found, torch.tensor(2.5))
    found.backward()
    torch.testing.assert_close(student.grad, torch.tensor([[-1.0], [0.0], [-2.0]]))


@pytest.mark.parametrize(
    ("loss", "labels"),
    [(hard_labels, torch.tensor([-100, -100])), (scores, torch.tensor([math.nan, math.nan]))],
)
def test_a_batch_without_labels_costs_nothing_and_gives_a_gradient_of_zero(
    loss: Callable[[Tensor, Tensor], Tensor], labels: Tensor
) -> None:
    student = torch.randn(2, 1 if loss is scores else 3, requires_grad=True)
    found = loss(student, labels)
    assert found.item() == 0
    found.backward()
    assert torch.equal(student.grad, torch.zeros_like(student))


def test_hidden_mse_by_hand() -> None:
    student = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]])
    teacher = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]]])
    found = hidden_mse(student, teacher, torch.tensor([[1, 1, 0]]))
    assert found.item() == pytest.approx((0 + 4 + 9 + 1) / 4)


def test_hidden_cosine_by_hand() -> None:
    student = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    teacher = torch.tensor([[[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]])
    found = hidden_cosine(student, teacher, torch.tensor([[1, 1, 0]]))
    assert found.item() == pytest.approx((0 + 1 - math.sqrt(0.5)) / 2, abs=1e-6)


def test_hidden_cosine_is_torchs_embedding_loss_over_the_real_tokens() -> None:
    student, teacher, real = hidden(0), hidden(1), MASK.bool()
    by_row = [
        F.cosine_embedding_loss(student[row][real[row]], teacher[row][real[row]], torch.ones(int(real[row].sum())))
        for row in range(3)
    ]
    torch.testing.assert_close(hidden_cosine(student, teacher, MASK), torch.stack(by_row).mean())


@pytest.mark.parametrize("name", OF_HIDDEN)
def test_a_batch_is_the_mean_of_its_rows_so_that_it_can_be_cut_in_parts(name: str) -> None:
    student, teacher, loss = hidden(0), hidden(1), OF_HIDDEN[name]
    by_row = [loss(student[row : row + 1], teacher[row : row + 1], MASK[row : row + 1]) for row in range(3)]
    torch.testing.assert_close(loss(student, teacher, MASK), torch.stack(by_row).mean())


def test_patient_by_hand() -> None:
    # [3, 4] / 5 and [0, 2] / 2 are [0.6, 0.8] and [0, 1]: 0.36 + 0.04. The second row's lengths differ, not its direction.
    student = torch.tensor([[[3.0, 4.0], [5.0, 5.0]], [[1.0, 1.0], [5.0, 5.0]]])
    teacher = torch.tensor([[[0.0, 2.0], [7.0, 0.0]], [[8.0, 8.0], [7.0, 0.0]]])
    assert patient(student, teacher, torch.ones(2, 2)).item() == pytest.approx(0.4 / 2, abs=1e-6)


def test_attention_scores_are_the_ones_that_torchs_attention_uses() -> None:
    query, key, value = (hidden(seed) for seed in range(3))
    heads = [one.reshape(3, 5, 2, 4).permute(0, 2, 1, 3) for one in (query, key, value)]
    expected = F.scaled_dot_product_attention(*heads)
    torch.testing.assert_close(attention_scores(query, key, 2).softmax(-1) @ heads[2], expected)


def test_attention_mse_by_hand() -> None:
    student = torch.zeros(1, 2, 3, 3)
    teacher = torch.full((1, 2, 3, 3), 50.0)  # what pairs with padding say does not count
    teacher[0, 0, :2, :2] = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    teacher[0, 1, :2, :2] = torch.tensor([[0.0, 0.0], [0.0, 4.0]])
    found = attention_mse(student, teacher, torch.tensor([[1, 1, 0]]))
    assert found.item() == pytest.approx((1 + 4 + 9 + 16) / 8)


def test_attention_kl_by_hand() -> None:
    # Two real keys of three: the teacher looks at them with 3/4 and 1/4, the student with a half each.
    teacher = torch.tensor([math.log(3), 0.0, 50.0]).expand(1, 1, 3, 3)
    student = torch.tensor([0.0, 0.0, 50.0]).expand(1, 1, 3, 3)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    found = attention_kl(student, teacher, torch.tensor([[1, 1, 0]]))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_attention_kl_is_the_published_sum_over_heads_and_tokens() -> None:
    student, teacher, total = maps(0), maps(1), 0.0
    for row in range(3):
        real = int(MASK[row].sum())
        for head, token in itertools.product(range(2), range(real)):
            q = F.softmax(student[row, head, token, :real], 0)
            p = F.softmax(teacher[row, head, token, :real], 0)
            total += float((p * (p / q).log()).sum()) / (2 * real)
    assert attention_kl(student, teacher, MASK).item() == pytest.approx(total / 3, rel=1e-5)


def test_where_head_counts_differ_the_means_over_heads_are_compared() -> None:
    student, teacher = maps(0, heads=2), maps(1, heads=4)
    expected = attention_mse(student.mean(1, keepdim=True), teacher.mean(1, keepdim=True), MASK)
    torch.testing.assert_close(attention_mse(student, teacher, MASK), expected)
    ours, theirs = (
        one.masked_fill(~MASK.bool()[:, None, None], -math.inf).softmax(-1).mean(1) for one in (student, teacher)
    )
    divergence = torch.where(theirs > 0, theirs * (theirs / ours).log(), 0).sum(-1)
    by_row = torch.stack([divergence[row, : int(MASK[row].sum())].mean() for row in range(3)])
    torch.testing.assert_close(attention_kl(student, teacher, MASK), by_row.mean())


def test_a_decoders_attention_is_compared_where_it_looks_back_by_hand() -> None:
    # The last two of three tokens count; the second attends to 2 keys, the third to 3.
    mask, seen = torch.tensor([[0, 1, 1]]), torch.ones(1, 3, 3).tril().bool()
    student, teacher = torch.zeros(1, 1, 3, 3), torch.full((1, 1, 3, 3), 50.0)
    teacher[0, 0, 1, :2] = torch.tensor([math.log(3), 0.0])
    teacher[0, 0, 2] = 0.0
    second = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert attention_kl(student, teacher, mask, seen).item() == pytest.approx(second / 2, abs=1e-6)
    assert attention_mse(student, teacher, mask, seen).item() == pytest.approx(math.log(3) ** 2 / 5, rel=1e-6)
    relations = relation_kl(hidden(0)[:1, :3], hidden(1)[:1, :3], mask, 2, seen)
    scores = [hidden(seed)[:1, :3].unflatten(-1, (2, 4)).transpose(1, 2) for seed in (0, 1)]
    products = [one @ one.transpose(-1, -2) / 2 for one in scores]
    torch.testing.assert_close(relations, attention_kl(*products, mask, seen))


def test_keys_that_several_heads_of_queries_share_are_repeated_for_each() -> None:
    query, key = hidden(0, 8), hidden(1, 4)
    found = attention_scores(query, key, 4)
    for head in range(4):  # heads of width 2; the first two share a key
        own = query[..., 2 * head : 2 * head + 2] @ key[..., 2 * (head // 2) :][..., :2].transpose(1, 2)
        torch.testing.assert_close(found[:, head], own / math.sqrt(2))
    torch.testing.assert_close(attention_scores(query, key, 4, scaled=False), found * math.sqrt(2))


def test_at_one_token_the_normalized_distance_is_the_patient_one() -> None:
    student, teacher = hidden(0), hidden(1)
    first = torch.tensor([[1, 0, 0, 0, 0]]).expand(3, -1)
    torch.testing.assert_close(normalized_mse(student, teacher, first), patient(student, teacher, MASK))
    # |a/|a| - b/|b||^2 = 2 - 2 cos(a, b)
    torch.testing.assert_close(normalized_mse(student, teacher, MASK), 2 * hidden_cosine(student, teacher, MASK))


def test_relations_by_hand() -> None:
    # One relation head of width 1, tokens 1 and 0: the products are [[1, 0], [0, 0]], the student's are all 0.
    teacher, student = torch.tensor([[[1.0], [0.0]]]), torch.zeros(1, 2, 1)
    p = math.e / (math.e + 1)
    first = p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5)
    assert relation_kl(student, teacher, torch.ones(1, 2), 1).item() == pytest.approx(first / 2, rel=1e-5)


def test_relations_are_the_published_formula_also_where_widths_differ() -> None:
    student, teacher, total = hidden(0, 8), hidden(1, 12), 0.0
    for row, head in itertools.product(range(3), range(4)):
        real = int(MASK[row].sum())
        ours = student[row, :real, 2 * head : 2 * head + 2]
        theirs = teacher[row, :real, 3 * head : 3 * head + 3]
        q = F.softmax(ours @ ours.T / math.sqrt(2), -1)
        p = F.softmax(theirs @ theirs.T / math.sqrt(3), -1)
        total += float((p * (p / q).log()).sum()) / (4 * real)
    found = relation_kl(student, teacher, MASK, 4)
    assert found.item() == pytest.approx(total / 3, rel=1e-5)


def test_relation_heads_that_do_not_divide_both_widths_are_refused_with_those_that_do() -> None:
    with pytest.raises(
        CompressError, match="widths 8 .student. and 12 .teacher.. Set relation_heads to one of 1, 2, 4."
    ):
        relation_kl(hidden(0, 8), hidden(1, 12), MASK, 3)


@pytest.mark.parametrize("name", OF_HIDDEN)
def test_losses_of_hidden_states_have_the_gradient_that_differences_show(name: str) -> None:
    student = hidden(0, dtype=torch.float64).requires_grad_()
    teacher = hidden(1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda ours: OF_HIDDEN[name](ours, teacher, MASK), student)


@pytest.mark.parametrize("heads", [2, 3])
@pytest.mark.parametrize("name", OF_ATTENTION)
def test_losses_of_attention_have_the_gradient_that_differences_show(name: str, heads: int) -> None:
    student = maps(0, dtype=torch.float64).requires_grad_()
    teacher = maps(1, heads, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda ours: OF_ATTENTION[name](ours, teacher, MASK), student)


def test_losses_of_logits_have_the_gradient_that_differences_show() -> None:
    teachers = torch.randn(4, 2, 3, dtype=torch.float64)
    student = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, -100, 2, 1])
    targets = mixed_targets(teachers, [1, 3], 2.0)
    assert torch.autograd.gradcheck(lambda ours: soft_targets(ours, targets, 2.0), student)
    assert torch.autograd.gradcheck(lambda ours: hard_labels(ours, labels), student)
    wanted = torch.tensor([1.0, math.nan, 3.0, 0.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda ours: scores(ours[:, :1], wanted), student)


@pytest.mark.parametrize(
    "loss",
    [*OF_HIDDEN.values(), *OF_ATTENTION.values()],
    ids=[*OF_HIDDEN, *(f"attention {name}" for name in OF_ATTENTION)],
)
def test_a_loss_is_zero_at_its_teacher_and_above_elsewhere(loss: Loss) -> None:
    make = maps if loss in OF_ATTENTION.values() else hidden
    assert loss(make(0), make(0), MASK).item() == pytest.approx(0, abs=1e-6)
    assert loss(make(0), make(1), MASK).item() > 1e-3


@pytest.mark.parametrize("name", OF_HIDDEN)
def test_more_padding_changes_no_loss_of_hidden_states(name: str) -> None:
    student, teacher = hidden(0), hidden(1)
    expected = OF_HIDDEN[name](student, teacher, MASK)
    longer = [torch.cat([one, 100 * torch.randn(3, 4, 8)], 1) for one in (student, teacher)]
    torch.testing.assert_close(OF_HIDDEN[name](*longer, F.pad(MASK, (0, 4))), expected)
    garbage = torch.where(MASK[..., None].bool(), teacher, 1e4 * torch.randn(3, 5, 8))
    torch.testing.assert_close(OF_HIDDEN[name](student, garbage, MASK), expected)


@pytest.mark.parametrize("name", OF_ATTENTION)
def test_more_padding_changes_no_loss_of_attention(name: str) -> None:
    student, teacher = maps(0), maps(1)
    expected = OF_ATTENTION[name](student, teacher, MASK)
    longer = [F.pad(one, (0, 4, 0, 4), value=value) for one, value in ((student, 70.0), (teacher, -70.0))]
    torch.testing.assert_close(OF_ATTENTION[name](*longer, F.pad(MASK, (0, 4))), expected)


@pytest.mark.parametrize(
    "loss",
    [*OF_HIDDEN.values(), *OF_ATTENTION.values()],
    ids=[*OF_HIDDEN, *(f"attention {name}" for name in OF_ATTENTION)],
)
def test_padding_gets_no_gradient_and_nor_does_the_teacher(loss: Loss) -> None:
    make = maps if loss in OF_ATTENTION.values() else hidden
    student, teacher = make(0).requires_grad_(), make(1).requires_grad_()
    loss(student, teacher, MASK).backward()
    assert teacher.grad is None
    assert torch.isfinite(student.grad).all()
    by_token = student.grad.abs().sum(-1) if make is hidden else student.grad.abs().sum((1, 3))
    assert not by_token[~MASK.bool()].any()
    assert by_token[1].any()


@pytest.mark.parametrize("name", OF_HIDDEN)
def test_losses_under_autocast_are_those_of_fp32(name: str) -> None:
    student, teacher = (hidden(seed).bfloat16() for seed in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        found = OF_HIDDEN[name](student, teacher, MASK)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, OF_HIDDEN[name](student.float(), teacher.float(), MASK), rtol=1e-6, atol=1e-7)


def test_attention_scores_under_autocast_are_those_of_fp32() -> None:
    query, key = hidden(0), hidden(1)
    with torch.autocast("cpu", torch.bfloat16):
        found = attention_scores(query, key, 2)
    assert torch.equal(found, attention_scores(query, key, 2))


@given(st.integers(0, 1000), st.floats(0.1, 30))
def test_a_cosine_and_a_patient_loss_do_not_see_lengths(seed: int, factor: float) -> None:
    student, teacher = hidden(seed), hidden(seed + 1)
    for loss in (hidden_cosine, patient, normalized_mse):
        torch.testing.assert_close(loss(factor * student, teacher, MASK), loss(student, teacher, MASK))


@given(st.integers(0, 1000), st.floats(-30, 30))
def test_an_attention_map_does_not_see_a_shift_of_its_scores(seed: int, shift: float) -> None:
    student, teacher = maps(seed, dtype=torch.float64), maps(seed + 1, dtype=torch.float64)
    found = attention_kl(student + shift, teacher, MASK)
    torch.testing.assert_close(found, attention_kl(student, teacher, MASK))
    assert found >= 0
