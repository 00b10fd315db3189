"""The smallest magnitudes go, exactly as many as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.load import classifier
from compress.pruning.magnitude import global_, local, n_of_m
from compress.pruning.weights import apply_, masks_of_zeros, share_of_zeros, weights_of
from tests.tiny import FAMILIES, write_model


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {"small": 0.1 * torch.randn(30, 20), "large": torch.randn(20, 40)}


def test_local_pruning_takes_the_same_share_of_each_matrix(weights: dict[str, torch.Tensor]) -> None:
    masks = local(weights, 0.333)
    assert int((~masks["small"]).sum()) == 200
    assert int((~masks["large"]).sum()) == 266
    for name, mask in masks.items():
        assert weights[name][~mask].abs().max() < weights[name][mask].abs().min()


def test_global_pruning_takes_the_smallest_wherever_they_are(weights: dict[str, torch.Tensor]) -> None:
    masks = global_(weights, 0.5)
    assert sum(int((~mask).sum()) for mask in masks.values()) == 700
    gone = torch.cat([weights[name][~mask].abs() for name, mask in masks.items()])
    kept = torch.cat([weights[name][mask].abs() for name, mask in masks.items()])
    assert gone.max() < kept.min()
    assert int((~masks["small"]).sum()) > 550


def test_of_each_group_of_neighbouring_inputs_the_largest_stay() -> None:
    weights = {
        "w": torch.tensor([[1.0, -4.0, 3.0, 2.0, 5.0, 5.0, 5.0, 0.0], [0.0, 0.0, 1.0, 0.0, -2.0, 3.0, -4.0, 1.0]])
    }
    assert n_of_m(weights)["w"].int().tolist() == [[0, 1, 1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 1, 1, 0]]
    assert n_of_m(weights, 1, 2)["w"].int().tolist() == [[0, 1, 1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 1, 1, 0]]


def test_inputs_that_do_not_divide_into_groups_are_refused_by_name() -> None:
    with pytest.raises(CompressError, match="layer.0.query has 66 inputs"):
        n_of_m({"layer.0.query": torch.ones(4, 66)})
    with pytest.raises(CompressError, match="4:4"):
        n_of_m({"layer.0.query": torch.ones(4, 64)}, 4, 4)


def test_zeros_stay_zero_and_count(weights: dict[str, torch.Tensor]) -> None:
    before = local(weights, 0.4)
    pruned = {name: weight * before[name] for name, weight in weights.items()}
    for choose in (local, global_):
        after = choose(pruned, 0.6)
        assert sum(int((~mask).sum()) for mask in after.values()) == 840
        assert not any(bool((after[name] & ~before[name]).any()) for name in after)
        less = choose(pruned, 0.2)  # nothing comes back
        assert all(torch.equal(less[name], before[name]) for name in less)


def test_local_pruning_of_an_uneven_model_is_exact_over_all(weights: dict[str, torch.Tensor]) -> None:
    before = global_(weights, 0.5)  # far more than 0.6 of the small matrix
    after = local({name: weight * before[name] for name, weight in weights.items()}, 0.6)
    assert sum(int((~mask).sum()) for mask in after.values()) == 840
    for name, mask in after.items():  # a fifth of what is left of each
        assert int(mask.sum()) == pytest.approx(0.8 * int(before[name].sum()), abs=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_pruned_to_the_share_and_saved_with_its_zeros(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path / "model", name))
    whole = {key: value.clone() for key, value in model.state_dict().items()}
    masks = global_(weights_of(model), 0.6)
    apply_(model, masks)
    total = sum(mask.numel() for mask in masks.values())
    assert share_of_zeros(model) == round(0.6 * total) / total
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, whole[key])}
    assert changed == {f"{module}.weight" for module in masks}
    model.save_pretrained(tmp_path / "pruned")
    again: Any = classifier(tmp_path / "pruned")
    assert all(torch.equal(mask, masks[module]) for module, mask in masks_of_zeros(again).items())


def test_two_of_four_is_a_half_of_a_model(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "modernbert"))
    apply_(model, n_of_m(weights_of(model)))
    assert share_of_zeros(model) == 0.5
