"""The losses of answers, each a small function with its source: their distance from labels, and from what teachers say.

All of them compute in fp32, whatever the autocast (in fp64 where given fp64), and let no gradient into the teacher. Those of
layers are in `compress.distillation.losses`. This file imports torch: laws import it where they need it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.core.labels import NO_LABEL


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The distance of the student's softened distribution from the teacher's.

    `T^2 * KL(softmax(teacher / T) || softmax(student / T))`, the mean over the batch: Hinton et al. 2015, "Distilling the
    Knowledge in a Neural Network", section 2. The factor T^2 keeps the size of its gradient when T changes.

    Args:
        student: logits, [batch, labels].
        teacher: logits, [batch, labels]; no gradient flows into them.
        temperature: T, above 0; above 1 it broadens the teacher's distribution.

    Returns:
        A scalar, at least 0, in fp32.
    """
    student_log = F.log_softmax(in_fp32(student) / temperature, dim=-1)
    teacher_log = F.log_softmax(in_fp32(teacher.detach()) / temperature, dim=-1)
    return temperature**2 * F.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)


def soft_targets_of_each(student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None) -> Tensor:
    """`soft_targets` of each distribution by itself: [..., outcomes] -> [...].

    Args:
        valid: the outcomes that exist, in the shape of the logits; None where all do. The others take no part.
    """
    student_log = F.log_softmax(masked(in_fp32(student) / temperature, valid), dim=-1)
    teacher_log = F.log_softmax(masked(in_fp32(teacher.detach()) / temperature, valid), dim=-1)
    return temperature**2 * F.kl_div(student_log, teacher_log, reduction="none", log_target=True).sum(-1)


def mixed_targets(
    teachers: Tensor, weights: Sequence[float], temperature: float, valid: Tensor | None = None
) -> Tensor:
    """Logits whose softened distribution is the weighted mean of several teachers' softened distributions.

    `T * log(sum_i w_i softmax(t_i / T))`, so `soft_targets` of them at the same T is the distance from that mean: the
    ensemble as a teacher of Hinton et al. 2015, section 3, where probabilities are averaged, not logits.

    Args:
        teachers: logits, [batch, teachers, ..., labels].
        weights: one a teacher, at least 0 and not all 0; they are divided by their sum.
        valid: the outcomes that exist, [batch, ..., labels]; None where all do.

    Returns:
        [batch, labels]; of a single teacher, its logits as they are.
    """
    if teachers.shape[1] == 1:
        return teachers[:, 0].detach()
    exist = None if valid is None else valid[:, None]
    logs = F.log_softmax(masked(in_fp32(teachers.detach()) / temperature, exist), dim=-1)
    log_shares = torch.log(_shares(weights, logs))  # -inf for a weight of 0 is what logsumexp wants
    return temperature * torch.logsumexp(logs + log_shares.view(-1, *[1] * (logs.ndim - 2)), dim=1)


def mixed_scores(teachers: Tensor, weights: Sequence[float]) -> Tensor:
    """The weighted mean of several teachers' scores of a regression: [batch, teachers, 1] -> [batch, 1]."""
    if teachers.shape[1] == 1:
        return teachers[:, 0].detach()
    found = in_fp32(teachers.detach())
    return (found * _shares(weights, found)[:, None]).sum(1)


def hard_labels(student: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels at temperature 1, the mean over the rows that have a label.

    Args:
        student: logits, [batch, labels].
        labels: class ids, [batch]; `NO_LABEL` (-100) for a row without one. Where no row has one the loss is 0.
    """
    if bool((labels == NO_LABEL).all()):
        return in_fp32(student).sum() * 0  # with a gradient of 0, so that data-parallel training waits for nothing
    return F.cross_entropy(in_fp32(student), labels, ignore_index=NO_LABEL)


def scores(student: Tensor, target: Tensor) -> Tensor:
    """The mean squared error of a regression's scores, over the rows that have a target.

    Args:
        student: scores, [batch, 1] or [batch].
        target: the labels' or the teacher's scores, of as many elements; NaN for a row without a label. Where no row has
            one the loss is 0.
    """
    found, wanted = in_fp32(student).reshape(-1), in_fp32(target.detach()).reshape(-1)
    known = ~torch.isnan(wanted)
    if not bool(known.any()):
        return found.sum() * 0
    return F.mse_loss(found[known], wanted[known])


def in_fp32(values: Tensor) -> Tensor:
    """Half types become fp32; fp64 stays, so that gradients can be checked in it."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _shares(weights: Sequence[float], like: Tensor) -> Tensor:
    given = torch.as_tensor(weights, dtype=like.dtype, device=like.device)
    return given / given.sum()


def masked(scores: Tensor, valid: Tensor | None) -> Tensor:
    """Scores with those of outcomes that do not exist very low, but finite: minus infinity times a chance of 0 is no number."""
    return scores if valid is None else scores.masked_fill(~valid, torch.finfo(scores.dtype).min)


def without(scores: Tensor, valid: Tensor | None) -> Tensor:
    """Scores with those that do not exist as 0, where each is compared by itself."""
    return scores if valid is None else scores.masked_fill(~valid, 0)


def two_outcomes(scores: Tensor) -> Tensor:
    """A label's score as those of two outcomes, no and yes: [..., labels] -> [..., labels, 2]; sigmoid(s) = softmax(0, s)."""
    return torch.stack([torch.zeros_like(scores), scores], dim=-1)


def mean_of(each: Tensor, valid: Tensor | None) -> Tensor:
    """The mean over the outcomes that exist, [answers, outcomes] -> [answers]; 0 where none does."""
    if valid is None:
        return each.mean(-1)
    return each.masked_fill(~valid, 0).sum(-1) / valid.sum(-1).clamp(min=1)


def mean_by_row(each: Tensor, row: Tensor) -> Tensor:
    """The mean over each row's answers, then over the rows that have any; 0, with a gradient of 0, without an answer.

    Args:
        each: a loss of each answer, [answers].
        row: the batch's row of each, [answers], rising.
    """
    counts = torch.bincount(row)
    shares = 1 / (counts.clamp(min=1) * (counts > 0).sum()).to(each.dtype)
    return (each * shares[row]).sum()
