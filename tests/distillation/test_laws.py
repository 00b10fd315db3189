"""Losses of answers: equal to torch's own where a row is one answer, a mean over a row's answers and then over rows where it has
several, and no matter how a batch is cut."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from compress.core.labels import ANSWERED, LABELS
from compress.distillation import laws
from compress.distillation.laws import hard, loss_by_row, soft, weight_of_teachers, weighted
from compress.tasks.kinds import losses
from compress.tasks.kinds.answers import Answers, marked
from compress.tasks.kinds.laws import BINARY, CATEGORICAL, NUMBER, Law


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def answers(logits: torch.Tensor, labels: torch.Tensor, answered: torch.Tensor | None = None) -> Answers:
    batch = {LABELS: labels} if answered is None else {LABELS: labels, ANSWERED: answered}
    return marked({"logits": logits}, batch)


def test_a_text_with_one_class_is_learned_by_cross_entropy_to_the_bit() -> None:
    scores, labels = drawn(6, 3), torch.tensor([0, 2, 1, -100, 0, 2])
    found = answers(scores, labels)
    assert hard(CATEGORICAL, found) == losses.hard_labels(scores, labels)
    teacher = drawn(6, 1, 3)
    assert soft(CATEGORICAL, found, teacher, (1.0,), 2.0) == losses.soft_targets(scores, teacher[:, 0], 2.0)
    assert hard(NUMBER, Answers(scores[:, :1], drawn(6))) == losses.scores(scores[:, :1], drawn(6))


def test_of_a_row_with_several_answers_the_least_certain_one_says_how_sure_the_teachers_are() -> None:
    teachers = torch.tensor([[[0.9, 0.1]], [[0.6, 0.4]], [[0.2, 0.8]]]).log()  # [answers, teachers, classes]
    found = Answers(teachers[:, 0], None, row=torch.tensor([0, 0, 2]))
    sure = laws.confidence(CATEGORICAL, found, teachers, (1.0,), 3)
    torch.testing.assert_close(sure, torch.tensor([0.6, 1.0, 0.8]))  # the second row has no answer


def test_several_teachers_are_as_sure_as_the_mean_of_their_probabilities_and_nobody_is_sure_of_what_has_no_answer() -> (
    None
):
    teachers = torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[0.9, 0.1], [math.nan] * 2], [[math.nan] * 2] * 2]).log()
    sure = laws.confidence(CATEGORICAL, Answers(drawn(3, 2), None), teachers, (2.0, 1.0), 3)
    torch.testing.assert_close(sure, torch.tensor([0.7, 0.9, 0.0]))


def test_of_several_labels_the_least_certain_one_counts() -> None:
    scores = torch.tensor([[4.0, -5.0, 0.3], [-3.0, 6.0, 5.0]])
    sure = laws.confidence(BINARY, Answers(scores, None), scores[:, None], (1.0,), 2)
    torch.testing.assert_close(sure, torch.sigmoid(torch.tensor([0.3, 3.0])))


def test_a_long_sentence_counts_as_much_as_a_short_one() -> None:
    scores, labels = drawn(2, 4, 3), torch.tensor([[1, -100, 2, 0], [2, -100, -100, -100]])
    answered = torch.tensor([[True, False, True, True], [True, False, False, False]])
    each = F.cross_entropy(scores[answered], labels[answered], reduction="none")
    expected = (each[:3].mean() + each[3]) / 2
    torch.testing.assert_close(hard(CATEGORICAL, answers(scores, labels, answered)), expected)


def test_a_word_without_a_tag_is_learned_from_the_teacher_alone() -> None:
    scores, labels = drawn(1, 2, 3), torch.tensor([[-100, 1]])
    both = answers(scores, labels, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(hard(CATEGORICAL, both), F.cross_entropy(scores[0, 1:], labels[0, 1:]))
    teacher = drawn(2, 1, 3)
    of_each = losses.soft_targets_of_each(scores[0], teacher[:, 0], 2.0)
    torch.testing.assert_close(soft(CATEGORICAL, both, teacher, (1.0,), 2.0), of_each.mean())


def test_outcomes_that_a_row_does_not_have_are_neither_learned_nor_taught() -> None:
    """Each row is one answer, and the second one has two outcomes only."""
    scores, labels, teacher = drawn(2, 3), torch.tensor([2, 0]), drawn(2, 1, 3)
    valid = torch.tensor([[True, True, True], [True, True, False]])
    found = Answers(scores, labels, valid=valid)
    alone = [F.cross_entropy(scores[line, :kept], labels[line]) for line, kept in ((0, 3), (1, 2))]
    torch.testing.assert_close(hard(CATEGORICAL, found), torch.stack(alone).mean())
    from_teacher = [
        losses.soft_targets_of_each(scores[line, :kept], teacher[line, 0, :kept], 2.0)
        for line, kept in ((0, 3), (1, 2))
    ]
    torch.testing.assert_close(soft(CATEGORICAL, found, teacher, (1.0,), 2.0), torch.stack(from_teacher).mean())


def test_a_batch_in_parts_is_the_batch() -> None:
    scores, labels = drawn(4, 5, 3), torch.randint(0, 3, (4, 5), generator=torch.Generator().manual_seed(0))
    answered = torch.tensor([[True] * 5, [True] * 2 + [False] * 3, [True] * 4 + [False], [True] + [False] * 4])
    whole = hard(CATEGORICAL, answers(scores, labels, answered))
    halves = [
        hard(CATEGORICAL, answers(scores[part], labels[part], answered[part])) for part in (slice(2), slice(2, 4))
    ]
    torch.testing.assert_close(whole, sum(halves) / 2)


def test_labels_by_themselves_are_learned_by_binary_cross_entropy() -> None:
    scores, labels = drawn(3, 4), torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [math.nan] * 4])
    expected = F.binary_cross_entropy_with_logits(scores[:2], labels[:2].double())
    torch.testing.assert_close(hard(BINARY, answers(scores, labels.double())), expected)
    teacher = drawn(3, 1, 4)
    p, q = torch.sigmoid(teacher[:, 0] / 2), torch.sigmoid(scores / 2)
    divergence = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    torch.testing.assert_close(soft(BINARY, answers(scores, labels), teacher, (1.0,), 2.0), 4 * divergence.mean())


def test_two_teachers_of_labels_are_averaged_as_probabilities() -> None:
    scores, teachers = drawn(2, 3), drawn(2, 2, 3)
    p, q = torch.sigmoid(teachers).mean(1), torch.sigmoid(scores)
    divergence = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    found = soft(BINARY, answers(scores, torch.zeros(2, 3)), teachers, (1.0, 1.0), 1.0)
    torch.testing.assert_close(found, divergence.mean())


@pytest.mark.parametrize("law", [CATEGORICAL, NUMBER, BINARY])
def test_without_any_label_the_loss_is_0_and_has_a_gradient(law: laws.Law) -> None:
    scores = drawn(2, 1 if law is NUMBER else 3).requires_grad_()
    labels = torch.full((2, 3) if law is BINARY else (2,), law.no_label)
    loss = hard(law, answers(scores, labels))
    by_row = hard(law, Answers(scores, labels, row=torch.tensor([0, 0])))
    assert (loss, by_row) == (0, 0)
    (loss + by_row).backward()
    assert scores.grad is not None
    assert not scores.grad.any()


def test_each_row_has_its_own_loss() -> None:
    scores, labels = drawn(2, 3, 4), torch.tensor([[1, 2, -100], [3, -100, -100]])
    answered = torch.tensor([[True, True, False], [True, False, False]])
    found = loss_by_row(CATEGORICAL, answers(scores, labels, answered), 2)
    expected = torch.stack(
        [F.cross_entropy(scores[0, :2], labels[0, :2]), F.cross_entropy(scores[1, :1], labels[1, :1])]
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        loss_by_row(NUMBER, Answers(drawn(2, 1), drawn(2)), 2), (drawn(2, 1)[:, 0] - drawn(2)).square()
    )


@pytest.mark.parametrize("law", [CATEGORICAL, BINARY])
def test_outcomes_that_do_not_exist_take_no_part_whatever_their_scores_are(law: laws.Law) -> None:
    """Scores, losses, soft targets and their gradients are those of the outcomes that exist, alone."""
    scores, teachers = drawn(3, 5), drawn(3, 2, 5)
    valid = torch.tensor([[True] * 5, [True, False, True, True, False], [True, True, False, False, False]])
    few = [row.nonzero()[:, 0] for row in valid]
    targets = torch.tensor([4, 2, 1]) if law is CATEGORICAL else (drawn(3, 5) > 0).double()
    row = torch.arange(3)
    given = scores.masked_fill(~valid, -math.inf).requires_grad_()
    theirs = teachers.masked_fill(~valid[:, None], math.nan)
    found = Answers(given, targets, row, valid)
    from_teacher = soft(law, found, theirs, (1.0, 3.0), 0.5)
    learned = hard(law, found)
    (from_teacher + learned).backward()
    alone = scores.clone().requires_grad_()
    of_each = []
    for number, some in enumerate(few):
        label = (some == targets[number]).nonzero()[0] if law is CATEGORICAL else targets[number : number + 1, some]
        one = Answers(alone[number : number + 1, some], label)
        of_each.append(hard(law, one) + soft(law, one, teachers[number : number + 1][:, :, some], (1.0, 3.0), 0.5))
    expected = torch.stack(of_each).mean()
    torch.testing.assert_close(from_teacher + learned, expected)
    expected.backward()
    assert given.grad is not None
    torch.testing.assert_close(given.grad, alone.grad)


def test_a_label_that_is_no_outcome_is_none_and_an_answer_without_outcomes_teaches_nothing() -> None:
    scores, teacher = drawn(2, 3).requires_grad_(), drawn(2, 1, 3)
    valid = torch.tensor([[True, True, False], [False, False, False]])
    found = Answers(scores, torch.tensor([2, 1]), torch.tensor([0, 1]), valid)
    assert hard(CATEGORICAL, found) == 0
    assert loss_by_row(CATEGORICAL, found, 2).tolist() == [0, 0]
    one = Answers(scores[:1, :2], None)
    torch.testing.assert_close(
        soft(CATEGORICAL, found, teacher, (1.0,), 2.0), soft(CATEGORICAL, one, teacher[:1, :, :2], (1.0,), 2.0)
    )


def test_nothing_labelled_at_all_is_a_loss_of_0_with_labels_and_no_loss_by_row() -> None:
    found = Answers(drawn(2, 3).requires_grad_(), None)
    assert hard(CATEGORICAL, found) == 0
    with pytest.raises(ValueError, match="no labels"):
        loss_by_row(CATEGORICAL, found, 2)


def test_a_loss_of_the_batch_as_a_whole_is_added_to_that_with_the_labels() -> None:
    scores, labels = drawn(4, 3), torch.tensor([0, 2, 1, 1])
    alone = hard(CATEGORICAL, Answers(scores, labels))
    assert hard(CATEGORICAL, Answers(scores, labels, batch_loss=torch.tensor(2.0))) == alone + 2
    assert hard(CATEGORICAL, Answers(scores, None, batch_loss=torch.tensor(2.0))) == 2


def test_with_an_alpha_of_0_or_1_the_other_loss_takes_no_part_even_where_it_is_not_finite() -> None:
    loss, infinite = torch.tensor(2.0), torch.tensor(math.inf)
    assert weighted(loss, infinite, 1) is loss
    assert weighted(infinite, loss, 0) is loss


def test_a_label_weighs_the_same_whether_the_other_rows_of_its_batch_have_one_or_not() -> None:
    scores, teacher, alpha = drawn(8, 3), drawn(8, 1, 3), 0.25

    def gradient_of_labels(labels: torch.Tensor) -> torch.Tensor:
        values = scores.clone().requires_grad_()
        found = Answers(values, labels)
        of_teachers = weight_of_teachers(CATEGORICAL, found, teacher, (1.0,), alpha)
        weighted(torch.tensor(0.0), hard(CATEGORICAL, found), of_teachers).backward()
        assert values.grad is not None
        return values.grad[0]

    labels = torch.tensor([2, 0, 1, 1, 2, 0, 0, 1])
    one = torch.where(torch.arange(8) == 0, labels, -100)
    torch.testing.assert_close(gradient_of_labels(one), gradient_of_labels(labels))


@pytest.mark.parametrize(
    ("labelled", "answered", "of_teachers"),
    [
        ("1111", "1111", 0.25),
        ("0000", "1111", 1),
        ("1111", "0000", 0),
        ("1000", "1111", (0.25 + 3) / 4),
        ("1111", "1000", 0.25 / 4),
        ("1100", "0110", (0 + 0.25 + 1) / 3),
    ],
)
def test_a_row_with_both_counts_alpha_for_its_teacher_one_without_a_label_wholly(
    labelled: str, answered: str, of_teachers: float
) -> None:
    labels = torch.tensor([1 if one == "1" else -100 for one in labelled])
    teacher = drawn(4, 1, 3)
    teacher[[one == "0" for one in answered]] = math.nan
    found = Answers(drawn(4, 3), labels)
    assert weight_of_teachers(CATEGORICAL, found, teacher, (1.0,), 0.25) == pytest.approx(of_teachers)
    for alpha in (0.0, 1.0):
        assert weight_of_teachers(CATEGORICAL, found, teacher, (1.0,), alpha) == alpha


def test_a_sentence_with_one_labelled_token_is_a_labelled_row() -> None:
    scores = drawn(2, 3, 4)
    labels = torch.tensor([[1, -100, -100], [-100, -100, -100]])
    found = answers(scores, labels, torch.ones(2, 3, dtype=torch.bool))
    assert weight_of_teachers(CATEGORICAL, found, drawn(6, 1, 4), (1.0,), 0.5) == pytest.approx((0.5 + 1) / 2)


def test_a_loss_of_the_batch_as_a_whole_needs_no_labels_to_weigh_its_share() -> None:
    found = Answers(drawn(2, 3), None, batch_loss=torch.tensor(2.0))
    assert weight_of_teachers(CATEGORICAL, found, drawn(2, 1, 3), (1.0,), 0.5) == 0.5


@pytest.mark.parametrize("law", [CATEGORICAL, BINARY, NUMBER])
def test_what_a_teacher_did_not_answer_is_learned_from_the_others(law: Law) -> None:
    """NaN marks it: the mean is over the answers that any teacher gave, each with the teachers that gave it."""
    outcomes = 1 if law is NUMBER else 3
    scores, teachers = drawn(6, outcomes), drawn(6, 2, outcomes)
    teachers[:2, 1] = math.nan  # answered by the first alone
    teachers[5] = math.nan  # by none
    found, weights = Answers(scores, None), (1.0, 3.0)
    alone = soft(law, Answers(scores[:2], None), teachers[:2, :1], (1.0,), 2.0)
    both = soft(law, Answers(scores[2:5], None), teachers[2:5], weights, 2.0)
    torch.testing.assert_close(soft(law, found, teachers, weights, 2.0), (2 * alone + 3 * both) / 5)


def test_a_sentence_that_no_teacher_answered_counts_in_no_mean() -> None:
    scores, teacher = drawn(2, 2, 3), drawn(4, 1, 3)
    both = answers(scores, torch.zeros(2, 2, dtype=torch.long), torch.ones(2, 2, dtype=torch.bool))
    first = answers(scores[:1], torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))
    expected = soft(CATEGORICAL, first, teacher[:2], (1.0,), 2.0)
    teacher[2:] = math.nan
    torch.testing.assert_close(soft(CATEGORICAL, both, teacher, (1.0,), 2.0), expected)


def test_a_batch_without_answers_has_no_loss_and_a_gradient_of_0() -> None:
    scores = drawn(2, 3).requires_grad_()
    loss = soft(CATEGORICAL, Answers(scores, None), torch.full((2, 1, 3), math.nan), (1.0,), 2.0)
    loss.backward()
    assert (loss.item(), scores.grad.abs().sum().item()) == (0, 0)


def test_gradients_reach_the_answered_rows_alone() -> None:
    scores, teacher = drawn(3, 3).requires_grad_(), drawn(3, 1, 3)
    teacher[1] = math.nan
    soft(CATEGORICAL, Answers(scores, None), teacher, (1.0,), 2.0).backward()
    assert [bool(row.any()) for row in scores.grad] == [True, False, True]
