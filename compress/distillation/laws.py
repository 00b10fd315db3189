"""How answers are learned under each law: the loss with the labels, and the distance from what teachers say.

An answer is one row of scores: one a text, or one a word. A loss is the mean over a row's answers, then over the rows that have
any, so that a long sentence counts as much as a short one and accumulated batches are one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.core.labels import NO_LABEL
from compress.distillation import losses
from compress.tasks.kinds.laws import BINARY, NUMBER, Law


@dataclass(frozen=True)
class Answers:
    """The answers of a batch, one after another."""

    values: Tensor
    """Scores, [answers, outputs]."""
    targets: Tensor
    """Class ids or numbers, [answers], or 0 and 1 for each label, [answers, labels]; `Law.no_label` where there is none."""
    row: Tensor | None = None
    """The batch's row of each answer, [answers]; None where each row has exactly one."""


def answers(logits: Tensor, labels: Tensor, answered: Tensor | None = None) -> Answers:
    """The answers that a model gives to a batch.

    Args:
        logits: [batch, outputs], or [batch, tokens, outputs].
        labels: [batch], [batch, labels], or [batch, tokens].
        answered: the tokens that are answers, [batch, tokens]; None where a row is one answer.
    """
    if answered is None:
        return Answers(logits, labels)
    mask = answered.bool()
    return Answers(logits[mask], labels[mask], mask.nonzero()[:, 0])


def hard(law: Law, found: Answers) -> Tensor:
    """The loss with the labels, over the rows that have any: cross-entropy, binary cross-entropy, or the squared error."""
    if law is NUMBER:
        return losses.scores(found.values, found.targets)
    if law is BINARY:
        known = ~torch.isnan(found.targets).any(-1)
        each = F.binary_cross_entropy_with_logits(
            losses.in_fp32(found.values), found.targets.nan_to_num(), reduction="none"
        ).mean(-1)
        return _mean(each, known, found.row)
    if found.row is None:
        return losses.hard_labels(found.values, found.targets)
    known = found.targets != NO_LABEL
    each = F.cross_entropy(losses.in_fp32(found.values), found.targets, ignore_index=NO_LABEL, reduction="none")
    return _mean(each, known, found.row)


def soft(law: Law, found: Answers, teachers: Tensor, weights: Sequence[float], temperature: float) -> Tensor:
    """The distance from the teachers' answers.

    Of classes `T^2 KL(teachers || student)` at temperature T (Hinton et al. 2015, section 2); of labels each by itself the same
    of the two outcomes of each label, the mean over labels; of a number the squared error.

    Args:
        teachers: scores, [answers, teachers, outputs].
        weights: one a teacher.
    """
    if law is NUMBER:
        return losses.scores(found.values, losses.mixed_scores(teachers, weights))
    if law is BINARY:
        theirs = losses.mixed_targets(_two_outcomes(teachers), weights, temperature)
        each = losses.soft_targets_of_each(_two_outcomes(found.values), theirs, temperature).mean(-1)
        return _mean(each, torch.ones_like(each, dtype=torch.bool), found.row)
    mixed = losses.mixed_targets(teachers, weights, temperature)
    if found.row is None:
        return losses.soft_targets(found.values, mixed, temperature)
    each = losses.soft_targets_of_each(found.values, mixed, temperature)
    return _mean(each, torch.ones_like(each, dtype=torch.bool), found.row)


def loss_by_row(law: Law, found: Answers, rows: int) -> Tensor:
    """Each row's own loss with its labels, [rows]; 0 for a row without any."""
    values, targets = losses.in_fp32(found.values), found.targets
    if law is NUMBER:
        each = F.mse_loss(values.reshape(-1), targets.to(values.dtype), reduction="none")
    elif law is BINARY:
        each = F.binary_cross_entropy_with_logits(values, targets.to(values.dtype), reduction="none").mean(-1)
    else:
        each = F.cross_entropy(values, targets.long(), ignore_index=NO_LABEL, reduction="none")
    if found.row is None:
        return each
    known = (targets != NO_LABEL).to(each.dtype)
    sums = torch.zeros(rows, dtype=each.dtype, device=each.device).index_add(0, found.row, each * known)
    counts = torch.zeros_like(sums).index_add(0, found.row, known)
    return sums / counts.clamp(min=1)


def _mean(each: Tensor, known: Tensor, row: Tensor | None) -> Tensor:
    """The mean over a row's known answers, then over the rows that have any; 0, with a gradient of 0, where none has."""
    if not bool(known.any()):
        return each.sum() * 0
    if row is None:
        return each[known].mean()
    here, values = row[known], each[known]
    counts = torch.bincount(here)
    return (values / counts[here]).sum() / (counts > 0).sum()


def _two_outcomes(scores: Tensor) -> Tensor:
    """A label's score as those of two outcomes, no and yes: [..., labels] -> [..., labels, 2]; sigmoid(s) = softmax(0, s)."""
    return torch.stack([torch.zeros_like(scores), scores], dim=-1)
