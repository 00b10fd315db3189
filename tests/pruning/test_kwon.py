"""Post-training pruning: what is found, against all choices; what is folded, against the masked model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from compress.core.errors import CompressError
from compress.pruning.costs import macs
from compress.pruning.importance import Gradients
from compress.pruning.kwon import fold_, post_training, rearranged
from compress.pruning.mask_tuning import UnitMasks
from compress.pruning.removal import remove
from compress.pruning.units import Kept, masks_applied, units
from tests.pruning.pruned import IDS, INPUTS, VARIANTS, logits, some, strong

BATCHES = [{**INPUTS, "labels": torch.tensor([1, 0])}, {"input_ids": IDS[:1, 2:7], "labels": torch.tensor([0])}]


def together(goes: set[int], gradients: Tensor) -> float:
    """What the examples' losses lose, by the block of the Fisher information, when these units go together."""
    return float(gradients.double()[:, sorted(goes)].sum(dim=1).square().mean())


@given(st.integers(0, 10_000), st.integers(1, 7))
def test_the_rearrangement_keeps_as_many_units_and_never_loses_more_than_the_search(seed: int, count: int) -> None:
    torch.manual_seed(seed)
    gradients = torch.randn(20, 8) @ torch.randn(8, 8)  # units whose gradients have to do with one another
    searched = tuple(sorted(gradients.square().mean(dim=0).argsort(descending=True)[:count].tolist()))
    (found,) = rearranged(Kept((), (searched,)), Gradients((), (gradients,))).neurons
    assert len(found) == count
    assert list(found) == sorted(set(found))
    everything = set(range(8))
    assert together(everything - set(found), gradients) <= together(everything - set(searched), gradients) + 1e-9


def test_a_unit_that_undoes_another_goes_with_it_though_alone_it_would_cost_more() -> None:
    one, other = torch.tensor([1.0, -2.0, 3.0, 1.0]), torch.tensor([2.0, 1.0, 0.0, -2.0])
    gradients = torch.stack([-1.2 * other, 2 * one, other, other], dim=1)
    assert rearranged(Kept(((0, 1),), ()), Gradients((gradients,), ())).heads == ((1, 2),)


def test_a_layer_that_keeps_everything_is_left_alone() -> None:
    assert rearranged(Kept(((0, 1, 2),), ()), Gradients((torch.rand(5, 3),), ())).heads == ((0, 1, 2),)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_folded_model_computes_what_the_masked_one_did_in_every_family(variant: str, tmp_path: Path) -> None:
    model = strong(tmp_path, variant).eval()
    present = units(model)
    torch.manual_seed(3)
    masks = UnitMasks(
        *(tuple(torch.rand(count) * 2 for count in counts) for counts in (present.heads, present.neurons))
    )
    with masks_applied(model, masks.heads, masks.neurons):
        expected = logits(model)
    before = logits(model)
    fold_(model, masks)
    torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(before, expected, atol=1e-2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_found_fits_the_budget_and_is_folded_then_removed_in_every_family(variant: str, tmp_path: Path) -> None:
    model = strong(tmp_path, variant).eval()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    costs = macs(model, 16)
    found = post_training(model, BATCHES, costs, 0.6 * costs.of(units(model)))
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())  # left as it was
    assert 0.55 < found.allocation.share <= 0.6
    assert [len(one) for one in found.kept.heads] == [len(one) for one in found.allocation.kept.heads]
    assert [len(one) for one in found.kept.neurons] == [len(one) for one in found.allocation.kept.neurons]
    for part in ("heads", "neurons"):
        for kept, mask in zip(getattr(found.kept, part), getattr(found.masks, part), strict=True):
            assert mask.nonzero().flatten().tolist() == list(kept)
    fold_(model, found.masks)
    smaller = remove(model, found.kept)
    assert costs.of(units(smaller)) == found.allocation.delivered
    torch.testing.assert_close(logits(smaller), logits(model), rtol=1e-4, atol=1e-4)


def test_without_tuning_masks_are_one(tmp_path: Path) -> None:
    model = strong(tmp_path)
    costs = macs(model, 16)
    found = post_training(model, BATCHES, costs, 0.5 * costs.of(units(model)), tune=False)
    assert all(set(mask.tolist()) <= {0.0, 1.0} for mask in (*found.masks.heads, *found.masks.neurons))


def test_an_already_pruned_model_can_be_pruned_further(tmp_path: Path) -> None:
    model = strong(tmp_path)
    smaller: Any = remove(model, some(model))
    costs = macs(smaller, 16)
    found = post_training(smaller, BATCHES, costs, 0.8 * costs.of(units(smaller)), neuron_multiple=1)
    found.kept.checked(units(smaller))
    assert found.allocation.share <= 0.8


def test_rows_are_needed(tmp_path: Path) -> None:
    model = strong(tmp_path)
    with pytest.raises(CompressError, match="there are none"):
        post_training(model, [], macs(model, 16), 1e6)
