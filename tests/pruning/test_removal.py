"""Heads and neurons removed for good, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.layers import keep_layers
from compress.models.narrowing import narrow
from compress.pruning.removal import remove, widths_of
from compress.pruning.units import Kept, everything, masks_applied, units
from tests.pruning.pruned import INPUTS, VARIANTS, logits, masks, some, strong

HEADS, NEURONS, HIDDEN, HEAD_SIZE = 4, 128, 64, 16


@pytest.fixture(scope="module", params=VARIANTS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return strong(tmp_path_factory.mktemp("model"), request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return strong(tmp_path_factory.mktemp("bert"))


@pytest.mark.parametrize("seed", range(3))
def test_units_removed_equal_units_masked(model: Any, seed: int) -> None:
    kept = some(model, seed)
    with masks_applied(model, *masks(model, kept)):
        masked = logits(model)
    removed = logits(remove(model, kept))
    torch.testing.assert_close(removed, masked, rtol=1e-4, atol=1e-5)  # only the order of sums differs
    assert (logits(model) - masked).abs().max() > 0.01


def test_one_head_removed_equals_it_masked_whichever_it_is(model: Any) -> None:
    present = units(model)
    whole = logits(model)
    for layer, head in ((len(present.heads) - 1, 0), (0, HEADS - 1)):
        heads = list(everything(present).heads)
        heads[layer] = tuple(one for one in range(HEADS) if one != head)
        kept = Kept(tuple(heads), everything(present).neurons)
        with masks_applied(model, masks(model, kept)[0]):
            masked = logits(model)
        torch.testing.assert_close(logits(remove(model, kept)), masked, rtol=1e-4, atol=1e-5)
        assert (whole - masked).abs().max() > 1e-4


def test_removing_twice_is_removing_what_is_left_of_both(model: Any) -> None:
    first = some(model, 3)
    once = remove(model, first)
    second = some(once, 4)
    both = Kept(
        heads=tuple(tuple(a[i] for i in b) for a, b in zip(first.heads, second.heads, strict=True)),
        neurons=tuple(tuple(a[i] for i in b) for a, b in zip(first.neurons, second.neurons, strict=True)),
    )
    twice, direct = remove(once, second), remove(model, both)
    assert twice.config.to_dict() == direct.config.to_dict()
    for (name, weight), (other, same) in zip(twice.named_parameters(), direct.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(weight, same)
    torch.testing.assert_close(logits(twice), logits(direct), rtol=0, atol=0)


def test_the_model_is_left_as_it_was_and_its_copy_is_of_its_class_mode_and_precision(model: Any) -> None:
    before, config = {name: value.clone() for name, value in model.state_dict().items()}, model.config.to_dict()
    half = remove(model, some(model)).to(torch.bfloat16).train()
    again = remove(half, some(half))
    assert type(again) is type(model)
    assert again.training
    assert again.dtype == torch.bfloat16
    assert all(weight.requires_grad for weight in again.parameters())
    assert model.config.to_dict() == config
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_gone_is_gone_from_the_weights(bert: Any) -> None:
    kept = Kept(((0, 1), (3,), (0, 1, 2, 3), (0, 2, 3)), ((5,), tuple(range(100)), (0, 127), tuple(range(128))))
    smaller = remove(bert, kept)
    of_a_head = 4 * HIDDEN * HEAD_SIZE + 3 * HEAD_SIZE  # query, key, value with biases, and the output's columns
    of_a_neuron = 2 * HIDDEN + 1
    gone = (2 + 3 + 0 + 1) * of_a_head + (127 + 28 + 126 + 0) * of_a_neuron
    count = [sum(weight.numel() for weight in one.parameters()) for one in (bert, smaller)]
    assert count[0] - count[1] == gone
    assert units(smaller).heads == (2, 1, 4, 3)
    assert units(smaller).neurons == (1, 100, 2, 128)
    assert not any((value == 0).all(dim=-1).any() for value in smaller.bert.encoder.state_dict().values())


def test_equal_widths_are_in_transformers_own_config_and_unequal_ones_in_ours(model: Any) -> None:
    present = units(model)
    layers = len(present.neurons)
    equal = remove(model, Kept(everything(present).heads, tuple(tuple(range(i, i + 40)) for i in range(layers))))
    assert not hasattr(equal.config, "compress_widths")
    assert units(equal).neurons == (40,) * layers
    fewer_heads = remove(equal, Kept(((1, 2),) * layers, everything(units(equal)).neurons))
    written = fewer_heads.config.compress_widths
    assert written["heads"] == [2] * layers
    assert written["neurons"] == [40] * layers
    assert written["head_size"] == HEAD_SIZE
    if layers > 1:
        neurons = ((0,), *((0, 1),) * (layers - 1))
        assert remove(model, Kept(everything(present).heads, neurons)).config.compress_widths["neurons"] == [1, 2, 2, 2]


def test_keeping_all_units_changes_nothing(model: Any) -> None:
    same = remove(model, everything(units(model)))
    assert widths_of(same.config) is None
    torch.testing.assert_close(logits(same), logits(model), rtol=0, atol=0)


def test_layers_can_be_dropped_from_a_pruned_model_as_units_from_a_shorter_one(model: Any) -> None:
    kept, layers = some(model, 5), (0, 2, 3)
    pruned_first = keep_layers(remove(model, kept), layers)
    shorter = keep_layers(model, layers).eval()
    own = range(1) if len(kept.heads) == 1 else layers
    of_those = Kept(tuple(kept.heads[i] for i in own), tuple(kept.neurons[i] for i in own))
    torch.testing.assert_close(logits(pruned_first.eval()), logits(remove(shorter, of_those)), rtol=1e-4, atol=1e-5)
    assert units(pruned_first).heads == units(remove(shorter, of_those)).heads


def test_a_pruned_model_learns(model: Any) -> None:
    smaller = remove(model, some(model, 6))
    smaller(**INPUTS, labels=torch.tensor([0, 1])).loss.backward()
    frozen = [name for name, weight in smaller.named_parameters() if weight.grad is None]
    assert not [name for name in frozen if "embedding" not in name]


def test_a_pruned_model_is_not_made_narrower_by_one_width_for_all(bert: Any) -> None:
    smaller = remove(bert, some(bert))
    with pytest.raises(CompressError, match="layers have widths of their own.*prune it further"):
        narrow(smaller, [INPUTS], hidden_size=32)


def test_a_table_shared_by_layers_gives_each_layer_the_columns_of_its_own_heads(tmp_path: Path) -> None:
    mpnet = strong(tmp_path, "mpnet")
    heads = ((1, 3), (0,), (0, 1, 2, 3), (2, 3))
    smaller = remove(mpnet, Kept(heads, everything(units(mpnet)).neurons))
    assert units(smaller).head_columns == heads
    again = remove(smaller, Kept(((1,), (0,), (1, 3), (0, 1)), everything(units(smaller)).neurons))
    assert units(again).head_columns == ((3,), (0,), (1, 3), (2, 3))
    assert again.config.compress_widths["head_columns"] == [[3], [0], [1, 3], [2, 3]]
