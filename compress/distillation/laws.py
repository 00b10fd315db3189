"""How answers are learned under their law: from labels, and from what teachers say.

A loss is the mean over a row's answers, then over the rows that have any, so that a long sentence counts as much as a short one
and accumulated batches are one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from compress.tasks.kinds.answers import Answers
from compress.tasks.kinds.laws import Law


def hard(law: Law, found: Answers) -> Tensor:
    """The loss with the labels, over the rows that have any; 0, with a gradient of 0, where none has."""
    if found.targets is None:
        return found.values.float().sum() * 0
    if found.row is None and found.valid is None:
        return law.mean_loss(found.values, found.targets)
    each = law.loss(found.values, found.targets, found.valid)
    return _mean(each, law.labelled(found.targets, found.valid), found.row)


def soft(law: Law, found: Answers, teachers: Tensor, weights: Sequence[float], temperature: float) -> Tensor:
    """The distance from the teachers' answers, see `Law.divergence`.

    Args:
        teachers: scores, [answers, teachers, outcomes].
        weights: one a teacher.
    """
    mixed = law.mixed(teachers, weights, temperature, found.valid)
    if found.row is None and found.valid is None:
        return law.mean_divergence(found.values, mixed, temperature)
    each = law.divergence(found.values, mixed, temperature, found.valid)
    exist = torch.ones_like(each, dtype=torch.bool) if found.valid is None else found.valid.any(-1)
    return _mean(each, exist, found.row)


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
    """The mean over a row's known answers, then over the rows that have any; 0, with a gradient of 0, where none has."""
    if not bool(known.any()):
        return each.sum() * 0
    if row is None:
        return each[known].mean()
    here, values = row[known], each[known]
    counts = torch.bincount(here)
    return (values / counts[here]).sum() / (counts > 0).sum()
