"""Which weights can be pruned, in every family, and masks put on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.load import classifier
from compress.pruning.weights import apply_, masks_of_zeros, prunable, share_of_zeros, weights_of
from tests.tiny import FAMILIES, write_model

MATRICES = {  # in one layer: [outputs, inputs]
    "modernbert": [(192, 64), (64, 64), (256, 64), (64, 128)],
    "default": [(64, 64)] * 4 + [(128, 64), (64, 128)],
}


@pytest.fixture
def bert(tmp_path: Path) -> Any:
    return classifier(write_model(tmp_path, "bert"))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_matrices_of_the_layers_are_prunable_and_nothing_else_is(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name))
    layers = 1 if name == "albert" else 4
    expected = sorted(MATRICES.get(name, MATRICES["default"]) * layers)
    found = prunable(model)
    assert sorted(tuple(part.weight.shape) for part in found.values()) == expected
    assert all(model.get_submodule(path) is part for path, part in found.items())


def test_projections_of_positions_are_prunable_where_deberta_has_its_own(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, "deberta-v2", share_att_key=False))
    assert "deberta.encoder.layer.3.attention.self.pos_key_proj" in prunable(model)
    assert len(prunable(model)) == 4 * 8


def test_what_is_left_alone_is_named_by_patterns(bert: Any) -> None:
    found = prunable(bert, ("*.layer.0.*", "*.value"))
    assert len(found) == 3 * 5
    assert not any(".layer.0." in name or name.endswith("value") for name in found)
    with pytest.raises(CompressError, match="'classifier' matches nothing that would be pruned"):
        prunable(bert, ("classifier",))  # which is left alone anyway


def test_a_pattern_that_fits_nothing_or_leaves_nothing_is_refused(bert: Any) -> None:
    with pytest.raises(CompressError, match=r"'\*\.valeu'.*bert\.encoder\.layer\.0\.attention"):
        prunable(bert, ("*.valeu",))
    with pytest.raises(CompressError, match="all 24 matrices"):
        prunable(bert, ("bert.*",))


def test_masks_make_exact_zeros_even_of_what_is_not_finite(bert: Any) -> None:
    name, other = list(prunable(bert))[:2]
    weight = bert.get_submodule(name).weight
    before = {key: value.clone() for key, value in bert.state_dict().items()}
    with torch.no_grad():
        weight[0, 0] = float("inf")
        weight[0, 1] = -1.0
    mask = torch.ones_like(weight, dtype=torch.bool)
    mask[0, :2] = False
    apply_(bert, {name: mask, other: torch.ones_like(mask)})
    assert weight[0, :2].tolist() == [0.0, 0.0]
    assert torch.equal(weight[mask], before[f"{name}.weight"][mask])
    assert all(torch.equal(value, before[key]) for key, value in bert.state_dict().items() if key != f"{name}.weight")
    assert share_of_zeros(bert, [name]) == 2 / 4096
    assert share_of_zeros(bert) == 2 / sum(weight.numel() for weight in weights_of(bert).values())
    assert torch.equal(masks_of_zeros(bert)[name], mask)


def test_a_mask_of_another_model_is_refused(bert: Any) -> None:
    name = next(iter(prunable(bert)))
    with pytest.raises(CompressError, match=name):
        apply_(bert, {name: torch.ones(64, 1, dtype=torch.bool)})
