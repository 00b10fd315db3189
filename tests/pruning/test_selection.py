"""Exactly as many as asked for, against a full sort."""

from __future__ import annotations

import pytest
import torch

from compress.core.errors import CompressError
from compress.pruning.selection import pruned_count, spread, without_smallest, without_smallest_in_rows


def smallest_by_sorting(values: torch.Tensor, count: int) -> torch.Tensor:
    mask = torch.ones(len(values), dtype=torch.bool)
    mask[values.argsort(stable=True)[:count]] = False
    return mask


def test_a_share_is_from_0_to_below_1() -> None:
    assert (pruned_count(0, 8), pruned_count(0.3, 10), pruned_count(0.6, 5), pruned_count(0.37, 10)) == (0, 3, 3, 4)
    for refused in (-0.1, 1, float("nan")):
        with pytest.raises(CompressError, match="from 0 to below 1"):
            pruned_count(refused, 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])  # the second has many equal values
def test_as_many_go_as_a_stable_sort_puts_first(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = {name: torch.randn(7, 13).mul(scale).to(dtype) for name, scale in (("a", 1), ("b", 1e-3), ("c", 1e4))}
    values["b"][2] = 0.0
    values["b"][3] = -0.0
    values["a"][0, 0], values["a"][0, 1] = float("inf"), float("-inf")
    flat = torch.cat([value.flatten() for value in values.values()])
    for count in (0, 1, 2, 20, 21, 26, 27, 100, 200, 272, 273):
        for score, expected in ((torch.abs, flat.abs()), (torch.Tensor.float, flat.float())):
            masks = without_smallest(values, count, score)
            found = torch.cat([mask.flatten() for mask in masks.values()])
            assert torch.equal(found, smallest_by_sorting(expected, count)), (count, score)
            assert all(masks[name].shape == (7, 13) for name in values)


def test_of_equal_scores_the_first_go() -> None:
    masks = without_smallest({"a": torch.ones(2, 2), "b": torch.ones(3)}, 5)
    assert masks["a"].tolist() == [[False, False], [False, False]]
    assert masks["b"].tolist() == [False, True, True]
    above = 1 + 2.0**-23  # the next number, with the same upper 16 bits
    for count, stay in ((1, [True, True, False, True]), (2, [False, True, False, True])):
        assert without_smallest({"a": torch.tensor([above, above, 1.0, above])}, count)["a"].tolist() == stay


def test_zeros_of_both_signs_are_equal_and_smaller_than_the_least_number() -> None:
    values = torch.tensor([1e-38, 0.0, -0.0, -1e-38, 0.0])
    for count, gone in ((1, [1]), (2, [1, 2]), (3, [1, 2, 4]), (4, [0, 1, 2, 4])):
        found = without_smallest({"a": values}, count)["a"]
        assert (~found).nonzero().flatten().tolist() == gone
    signed = without_smallest({"a": values}, 2, torch.clone)["a"]  # by value, not by size
    assert signed.tolist() == [True, False, True, False, True]


def test_in_rows_each_row_loses_its_own_smallest() -> None:
    scores = torch.tensor([[3.0, 1.0, 1.0, 2.0], [0.0, -1.0, 5.0, 0.0]])
    assert without_smallest_in_rows(scores, [1, 3]).tolist() == [
        [True, False, True, True],
        [False, False, True, False],
    ]
    assert without_smallest_in_rows(scores, 2).sum(dim=1).tolist() == [2, 2]


def test_in_rows_of_equal_scores_the_first_go() -> None:
    scores = torch.tensor([0.0, 1.0]).repeat(2, 50)  # more than a sort keeps in order by luck
    for row in without_smallest_in_rows(scores, 30):
        assert (~row).nonzero().flatten().tolist() == list(range(0, 60, 2))


def test_a_count_spread_over_groups_is_whole() -> None:
    for count in range(31):
        parts = spread(count, [10, 0, 7, 13])
        assert sum(parts) == count
        assert all(0 <= part <= size for part, size in zip(parts, [10, 0, 7, 13], strict=True))
    assert spread(15, [10, 0, 6, 14]) == [5, 0, 3, 7]
    assert spread(0, []) == []
    assert spread(0, [0, 0]) == [0, 0]
