"""Costs of layers, against torch's count of operations and the modules' own parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.models.load import classifier
from compress.pruning.costs import Costs, linear, macs, parameters
from compress.pruning.units import Units, units
from tests.pruning.pruned import VARIANTS
from tests.tiny import FAMILIES, write_model


@pytest.mark.parametrize("variant", VARIANTS)
def test_macs_are_those_that_torch_counts_in_the_layers_of_every_family(variant: str, tmp_path: Path) -> None:
    name, changes = VARIANTS[variant]
    model = classifier(write_model(tmp_path, name, **changes)).eval()
    model.set_attn_implementation("eager")  # whose products torch counts
    ids = torch.arange(5, 16).view(1, 11)
    inside = []  # torch counts from the first layer's beginning to the last one's end

    def operations(*_: object) -> None:
        inside.append(counter.get_total_flops())

    layers = model.get_submodule(family(model.config).layers)
    hooks = []
    for layer in layers:
        hooks += [layer.register_forward_pre_hook(operations), layer.register_forward_hook(operations)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    counted = sum(end - start for start, end in zip(inside[::2], inside[1::2], strict=True))
    assert macs(model, 11).of(units(model)) == counted / 2  # two operations each


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_those_of_the_layers(name: str, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path, name))
    layers = model.get_submodule(family(model.config).layers)
    assert parameters(model).of(units(model)) == sum(one.numel() for one in layers.parameters())


def test_a_head_and_a_neuron_of_bert_cost_what_the_formula_says(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path))  # width 64, 4 heads of 16
    counted, computed = parameters(model), macs(model, 10)
    assert counted.attention[0][1] == 4 * 64 * 16 + 3 * 16
    assert counted.ffn[2][3] == 3 * (2 * 64 + 1)
    assert counted.rest == 4 * (2 * 64 + 4 * 64)  # in each layer two output biases, two norms
    assert computed.attention[3][2] == 2 * (4 * 64 * 16 * 10 + 2 * 16 * 10 * 10)
    assert computed.ffn[0][128] == 128 * 2 * 64 * 10


def test_the_share_is_of_the_original(tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path))
    costs, whole = macs(model, 16), units(model)
    half = type(whole)((2,) * 4, (64,) * 4, 16)
    assert costs.share(half, whole) == pytest.approx(0.5)
    assert costs.share(whole, whole) == 1


def test_costs_know_whether_they_are_linear() -> None:
    assert linear("MACs", 3.0, 0.7, Units((4, 2), (8, 8), 16), rest=2.0).are_linear
    measured = (0.0, 1.0, 1.1), (0.0, 1.0, 2.0)
    assert not Costs("milliseconds", measured[:1], measured[1:]).are_linear
    assert not Costs("milliseconds", ((0.0, 1.0), (0.0, 2.0)), ((0.0, 1.0), (0.0, 1.0))).are_linear


def test_a_length_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="at least 1 token, not 0"):
        macs(classifier(write_model(tmp_path)), 0)
