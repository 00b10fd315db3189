"""Selects the smallest of many scores: exactly as many as requested, and always the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from compress.core.errors import CompressError

HALF = 1 << 16
"""Scores are compared by the upper 16 of their 32 bits first, then by the lower 16."""


def pruned_count(share: float, number: int) -> int:
    """The number of weights in a share: the nearest whole number.

    Raises:
        CompressError: the share is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise CompressError(f"The share of weights to prune must be from 0 to below 1, not {share:g}.")
    return round(share * number)


def without_smallest(
    values: Mapping[str, Tensor], count: int, score: Callable[[Tensor], Tensor] = torch.abs
) -> dict[str, Tensor]:
    """Masks that are False at the `count` smallest scores over all tensors and True elsewhere.

    Of equal scores, those go first that come first. The scores' fp32 bits are counted in two passes (a radix selection),
    so that no more memory is needed than for the largest tensor, however many there are.

    Args:
        values: tensors by name, of any shapes.
        count: from 0 to how many values there are.
        score: what counts of a value; by itself its magnitude.
    """
    if count <= 0:
        return {name: torch.ones_like(value, dtype=torch.bool) for name, value in values.items()}
    keys = _Keys(values, score)
    upper, below = _reach(keys.histogram(lambda key: (key >> 16) + HALF // 2), count)
    upper -= HALF // 2
    lower, below_here = _reach(keys.histogram(lambda key: key[key >> 16 == upper] & (HALF - 1)), count - below)
    threshold = upper * HALF + lower
    ties = count - below - below_here
    masks = {}
    for name, key in keys:
        pruned = (key < threshold).contiguous()  # a Conv1D's weight is read the other way round
        equal = (key == threshold).flatten()
        if ties > 0 and bool(equal.any()):
            places = equal.nonzero().flatten()[:ties]
            pruned.view(-1)[places] = True
            ties -= len(places)
        masks[name] = ~pruned
    return masks


def without_smallest_in_rows(scores: Tensor, counts: int | Sequence[int]) -> Tensor:
    """A mask that is False at the smallest scores of each row and True elsewhere; of equal scores the first are pruned first.

    Args:
        scores: [rows, columns].
        counts: how many go, in all rows or in each.
    """
    order = scores.argsort(dim=1, stable=True)
    place = torch.arange(scores.shape[1], device=scores.device)
    stays = place >= torch.as_tensor(counts, device=scores.device).reshape(-1, 1)
    return torch.ones_like(scores, dtype=torch.bool).scatter_(1, order, stays.expand_as(order))


def spread(count: int, sizes: Sequence[int]) -> list[int]:
    """Divides a count among groups in proportion to their sizes, in whole numbers with this sum.

    Each is within one of its exact part, and none is above its group's size while the count is not above their sum.

    >>> spread(5, [4, 4, 4])
    [2, 1, 2]
    """
    total, seen, given, parts = max(sum(sizes), 1), 0, 0, []
    for size in sizes:
        seen += size
        parts.append((2 * seen * count + total) // (2 * total) - given)  # the nearest, without floats
        given += parts[-1]
    return parts


class _Keys:
    """Whole numbers in the order of the scores, one tensor at a time."""

    def __init__(self, values: Mapping[str, Tensor], score: Callable[[Tensor], Tensor]) -> None:
        self.values, self.score = values, score

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in self.values.items():
            # Adding 0 makes -0 a 0. Read as integers, fp32 numbers are in order; negative ones once they are turned.
            bits = (self.score(value.detach()).float() + 0.0).view(torch.int32)
            yield name, torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)

    def histogram(self, part: Callable[[Tensor], Tensor]) -> Tensor:
        """How often each value from 0 to 65535 occurs, [65536]."""
        counts = torch.zeros(HALF, dtype=torch.int64)
        for _, key in self:
            counts += torch.bincount(part(key).flatten(), minlength=HALF).cpu()
        return counts


def _reach(histogram: Tensor, count: int) -> tuple[int, int]:
    """The value at which the cumulative count is reached, and how many are below it."""
    sums = histogram.cumsum(0)
    value = int(torch.searchsorted(sums, count))
    return value, int(sums[value] - histogram[value])
