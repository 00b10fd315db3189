"""How answers are learned under their law: from labels, and from what teachers say.

A loss is the mean over a row's answers, then over the rows that have any, so that a long sentence counts as much as a short one
and accumulated batches are one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from compress.distillation.token_distributions import Divergence, NextTokens, divergences
from compress.tasks.kinds.answers import Answers
from compress.tasks.kinds.laws import Law
from compress.tasks.kinds.losses import in_fp32, mean_by_row, without


def hard(law: Law, found: Answers) -> Tensor:
    """The loss on the labels, over the rows that have any; 0, with a gradient of 0, without labels. The loss of the batch as a
    whole, where there is one, is added."""
    of_labels = _of_labels(law, found)
    return of_labels if found.batch_loss is None else of_labels + found.batch_loss


def _of_labels(law: Law, found: Answers) -> Tensor:
    if found.targets is None:
        return found.values.float().sum() * 0
    if found.row is None and found.valid is None:
        return law.mean_loss(found.values, found.targets)
    each = law.loss(found.values, found.targets, found.valid)
    return _mean(each, law.labelled(found.targets, found.valid), found.row)


def soft(law: Law, found: Answers, teachers: Tensor, weights: Sequence[float], temperature: float) -> Tensor:
    """The distance from the teachers' answers, see `Law.divergence`.

    Args:
        teachers: scores, [answers, teachers, outcomes]; NaN where one did not answer: then the others count, and what no
            teacher answered has no distance.
        weights: one a teacher.
    """
    given = _given(found, teachers)
    if not bool(given.all()):
        return _soft_of_some(law, found, teachers, given, weights, temperature)
    mixed = law.mixed(teachers, weights, temperature, found.valid)
    if found.row is None and found.valid is None:
        return law.mean_divergence(found.values, mixed, temperature)
    each = law.divergence(found.values, mixed, temperature, found.valid)
    exist = torch.ones_like(each, dtype=torch.bool) if found.valid is None else found.valid.any(-1)
    return _mean(each, exist, found.row)


def _soft_of_some(
    law: Law, found: Answers, teachers: Tensor, given: Tensor, weights: Sequence[float], temperature: float
) -> Tensor:
    """`soft` where some teachers did not answer some rows; `given` says which did, [answers, teachers]."""
    each = (
        without(in_fp32(found.values), found.valid).sum(-1) * 0
    )  # so that there is a gradient, of 0, where nobody answered
    for places, mixed, valid in _mixed_by_teachers(law, found, teachers, given, weights, temperature):
        distances = law.divergence(found.values[places], mixed, temperature, valid)
        each = each.masked_scatter(places, distances.to(each.dtype))
    return _mean(each, _answered(found, teachers, weights), found.row)


def _mixed_by_teachers(
    law: Law, found: Answers, teachers: Tensor, given: Tensor, weights: Sequence[float], temperature: float
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Of each set of teachers that answered something: which answers those are, [answers], boolean; what the teachers say
    together; and which outcomes exist."""
    for which in given.unique(dim=0):
        shares = [weight for weight, is_given in zip(weights, which.tolist(), strict=True) if is_given]
        if not any(shares):
            continue
        places = (given == which).all(-1)
        valid = None if found.valid is None else found.valid[places]
        yield places, law.mixed(teachers[places][:, which], shares, temperature, valid), valid


def confidence(law: Law, found: Answers, teachers: Tensor, weights: Sequence[float], rows: int) -> Tensor:
    """How sure the teachers are together of each row, [rows], 0 to 1: of a row with several answers, of the least certain one.

    See `Law.confidence`; their distributions are averaged at temperature 1. What no teacher answered has 0, and a row without
    answers 1.

    Args:
        teachers, weights: as of `soft`.
        rows: of the batch.
    """
    each = torch.zeros(len(teachers), device=teachers.device)
    for places, mixed, valid in _mixed_by_teachers(law, found, teachers, _given(found, teachers), weights, 1.0):
        each[places] = law.confidence(mixed, valid).to(each.dtype)
    if found.row is None:
        return each
    return torch.ones(rows, device=each.device).scatter_reduce(0, found.row, each, "amin")


def _given(found: Answers, teachers: Tensor) -> Tensor:
    """Which teachers gave which answers, [answers, teachers]."""
    unknown = teachers.isnan()
    return ~(unknown if found.valid is None else unknown & found.valid[:, None]).any(-1)


def _answered(found: Answers, teachers: Tensor, weights: Sequence[float]) -> Tensor:
    """Which answers a teacher that counts gave, [answers]."""
    weighted_ones = torch.as_tensor([weight > 0 for weight in weights], device=teachers.device)
    exist = (_given(found, teachers) & weighted_ones).any(-1)
    return exist if found.valid is None else exist & found.valid.any(-1)


def next_tokens(
    found: Answers, teacher: NextTokens, temperature: float, divergence: Divergence = "forward_kl", beta: float = 0.5
) -> Tensor:
    """`T^2 * D(teacher || student)` of the softened next-token distributions; of a vocabulary, so from what is stored of it.

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2, at every token of the reference: word-level
    distillation (Kim & Rush 2016, "Sequence-Level Knowledge Distillation", section 3.1).

    Args:
        teacher: at the same tokens and the same temperature, [answers, ...].
        temperature: T, above 0.
        divergence: `forward_kl`, `reverse_kl` or `jsd`; see the functions of these names.
        beta: of `jsd`.

    Returns:
        A scalar, at least 0 but for rounding.
    """
    each = divergences(found.values, teacher, temperature, divergence, beta)
    return temperature**2 * _mean(each, torch.ones_like(each, dtype=torch.bool), found.row)


def weight_of_teachers(law: Law, found: Answers, teachers: Tensor, weights: Sequence[float], alpha: float) -> float:
    """What the distance from the teachers weighs in a batch's loss, 0 to 1; the loss with the labels weighs the rest.

    The mean over the rows of a batch: of one with labels and answers `alpha`, of one with answers alone 1, of one with labels
    alone 0. So where all rows have answers a label weighs `(1 - alpha) / rows`, however many have one. Within either loss rows
    weigh the same: unless all rows are of one sort, the sum is not the mean of the rows' own losses. With an alpha of 0 or 1 the
    other loss takes no part at all. A loss of the batch as a whole needs no labels of rows: alpha.

    Args:
        teachers, weights: as of `soft`.
    """
    if alpha in (0, 1) or found.batch_loss is not None:
        return alpha
    if found.targets is None:
        return 1.0
    labelled = _rows(law.labelled(found.targets, found.valid), found.row)
    answered = _rows(_answered(found, teachers, weights), found.row)
    if bool((labelled & answered).all()):
        return alpha
    of_rows = torch.where(labelled, alpha * answered, answered.float())[labelled | answered]
    return float(of_rows.mean()) if len(of_rows) else alpha


def _rows(known: Tensor, row: Tensor | None) -> Tensor:
    """Which rows have an answer that is known, [rows]; rows behind the last one with answers are left out."""
    if row is None or not len(row):
        return known
    return torch.bincount(row[known], minlength=int(row.max()) + 1) > 0


def weighted(soft: Tensor, hard: Tensor, of_soft: float) -> Tensor:
    """`of_soft * soft + (1 - of_soft) * hard`; exactly the other one where that is 0 or 1, so no gradient of 0 is computed."""
    if of_soft == 0:
        return hard
    return soft if of_soft == 1 else of_soft * soft + (1 - of_soft) * hard


def loss_by_row(law: Law, found: Answers, rows: int) -> Tensor:
    """Each row's own loss with its labels, [rows]; 0 for a row without any.

    Raises:
        ValueError: the answers have no labels at all.
    """
    if found.targets is None:
        raise ValueError("these answers have no labels, so that rows have no losses")
    each = law.loss(found.values, found.targets, found.valid)
    known = law.labelled(found.targets, found.valid)
    each = torch.where(known, each, torch.zeros_like(each))
    if found.row is None:
        return each
    sums = torch.zeros(rows, dtype=each.dtype, device=each.device).index_add(0, found.row, each)
    counts = torch.zeros_like(sums).index_add(0, found.row, known.to(each.dtype))
    return sums / counts.clamp(min=1)


def _mean(each: Tensor, known: Tensor, row: Tensor | None) -> Tensor:
    """The mean over a row's known answers, then over the rows that have any; 0, with a gradient of 0, without any."""
    if not bool(known.any()):
        return each.sum() * 0
    return each[known].mean() if row is None else mean_by_row(each[known], row[known])
