"""Magnitude pruning: removes the smallest weights of each matrix, of all matrices, or of each group of neighbours (N:M)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from compress.core.errors import CompressError
from compress.pruning.selection import pruned_count, spread, without_smallest, without_smallest_in_rows
from compress.pruning.weights import Masks

Choice = Callable[[Mapping[str, Tensor], float], Masks]
"""(weights or scores by module, share to prune) -> masks."""


def local(weights: Mapping[str, Tensor], share: float) -> Masks:
    """Prunes the smallest magnitudes of each matrix: the share of each within one weight, round(share * weights) in all.

    Weights that are zero already count as pruned and stay so, even where there are more of them than asked for.

    Args:
        weights: [outputs, inputs] by module's name.
        share: of the weights to prune, from 0 to below 1.

    Raises:
        CompressError: the share is out of its range.
    """
    masks: Masks = {}
    for name, more in still_to_go(weights, share).items():
        zeros = int((weights[name] == 0).sum())
        masks |= without_smallest({name: weights[name]}, zeros + more)
    return _with_zeros(masks, weights)


def global_(weights: Mapping[str, Tensor], share: float) -> Masks:
    """Prunes the smallest magnitudes of all matrices together: round(share * all weights).

    As `local` for all else.
    """
    total = sum(weight.numel() for weight in weights.values())
    return _with_zeros(without_smallest(weights, pruned_count(share, total)), weights)


def still_to_go(weights: Mapping[str, Tensor], share: float) -> dict[str, int]:
    """How many more weights of each matrix to prune, so that the zeros are round(share * all weights) in all.

    As many of each matrix as its part of what is not zero yet; of a whole model that is the share of each.
    """
    present = {name: int((weight != 0).sum()) for name, weight in weights.items()}
    total = sum(weight.numel() for weight in weights.values())
    more = pruned_count(share, total) - (total - sum(present.values()))
    return dict(zip(weights, spread(max(more, 0), list(present.values())), strict=True))


def n_of_m(weights: Mapping[str, Tensor], n: int = 2, m: int = 4) -> Masks:
    """Of each `m` neighbouring inputs of an output, the `n` largest magnitudes stay: 2:4 is what sparse kernels read.

    Mishra et al. 2021, "Accelerating sparse deep neural networks". Zeros stay zero.

    Raises:
        CompressError: n is not from 1 to below m, or a matrix's inputs cannot be divided into groups of m.
    """
    check_n_of_m(weights, n, m)
    return _with_zeros({name: largest_of_groups(weight.abs(), n, m) for name, weight in weights.items()}, weights)


def check_n_of_m(weights: Mapping[str, Tensor], n: int, m: int) -> None:
    """Refuses matrices that cannot be pruned N:M; see `n_of_m`."""
    if not 1 <= n < m:
        raise CompressError(
            f"{n}:{m} is not an N:M sparsity: N of every M weights stay, from 1 to M - 1. Use 2:4, for example."
        )
    for name, weight in weights.items():
        if weight.shape[1] % m:
            raise CompressError(
                f"{name} has {weight.shape[1]} inputs, which is not a multiple of {m}. "
                "Exclude it, or choose another N:M."
            )


def largest_of_groups(scores: Tensor, n: int, m: int) -> Tensor:
    """A mask that is True at the `n` largest of each `m` neighbours in a row, [outputs, inputs]."""
    groups = scores.reshape(-1, m)
    return without_smallest_in_rows(groups, m - n).view(scores.shape)


def _with_zeros(masks: Masks, weights: Mapping[str, Tensor]) -> Masks:
    return {name: torch.logical_and(mask, weights[name] != 0) for name, mask in masks.items()}
