"""Masks by least squares, where the right ones are known: a unit that has a double can stand in for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.pruning.mask_tuning import LIMIT, _held_at_one, tuned
from compress.pruning.units import Kept, everything, masks_applied, own_layers, units
from tests.pruning.pruned import IDS, INPUTS, VARIANTS, logits, strong

torch.manual_seed(5)
BATCHES = [INPUTS, *({"input_ids": torch.randint(5, 30, (4, length))} for length in (5, 9, 12))]
"""Of several lengths, one of them padded."""


def without(kept: Kept, part: str, layer: int, unit: int) -> Kept:
    lists = [list(one) for one in getattr(kept, part)]
    lists[layer].remove(unit)
    return Kept(**{"heads": kept.heads, "neurons": kept.neurons, part: tuple(map(tuple, lists))})


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_goes_is_taken_over_by_its_double_in_every_family(variant: str, tmp_path: Path) -> None:
    model = strong(tmp_path, variant).eval()
    architecture, layers = family(model.config), own_layers(model)
    here = min(1, len(layers) - 1)
    made, out = (layers[here].get_submodule(path) for path in (architecture.ffn_in, architecture.ffn_out))
    with torch.no_grad():  # neuron 5 does what neuron 3 does, half as strongly
        for half in range(2 if architecture.gated_ffn else 1):
            made.weight[half * 128 + 5] = made.weight[half * 128 + 3]
            if made.bias is not None:
                made.bias[half * 128 + 5] = made.bias[half * 128 + 3]
        out.weight[:, 5] = 0.5 * out.weight[:, 3]
    masks = tuned(model, without(everything(units(model)), "neurons", here, 5), BATCHES, ridge=1e-6)
    assert masks.neurons[here][5] == 0
    assert masks.neurons[here][3] == pytest.approx(1.5, abs=0.02)
    expected = logits(model)
    with masks_applied(model, masks.heads, masks.neurons):
        torch.testing.assert_close(logits(model), expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


def test_a_head_is_taken_over_by_its_double(tmp_path: Path) -> None:
    model = strong(tmp_path).eval()
    attention = model.bert.encoder.layer[2].attention
    with torch.no_grad():
        for linear in (attention.self.query, attention.self.key, attention.self.value):
            linear.weight[48:] = linear.weight[:16]
            linear.bias[48:] = linear.bias[:16]
        attention.output.dense.weight[:, 48:] = 2 * attention.output.dense.weight[:, :16]
    masks = tuned(model, without(everything(units(model)), "heads", 2, 3), BATCHES, ridge=1e-6)
    torch.testing.assert_close(masks.heads[2], torch.tensor([3.0, 1.0, 1.0, 0.0]), rtol=0, atol=0.02)


@pytest.mark.parametrize("variant", VARIANTS)
def test_where_nothing_goes_nothing_changes(variant: str, tmp_path: Path) -> None:
    model = strong(tmp_path, variant)
    masks = tuned(model, everything(units(model)), BATCHES)
    assert all(torch.equal(mask, torch.ones(4)) for mask in masks.heads)
    assert all(torch.equal(mask, torch.ones(128)) for mask in masks.neurons)


def test_masks_are_those_of_least_squares(tmp_path: Path) -> None:
    model = strong(tmp_path).eval()
    kept = Kept(((0, 1, 2, 3),) * 4, (tuple(range(20)), *[tuple(range(128))] * 3))
    found = tuned(model, kept, BATCHES[1:], ridge=1e-9).neurons[0][:20]
    layer, rows = model.bert.encoder.layer[0], []
    hook = layer.output.dense.register_forward_pre_hook(lambda _module, inputs: rows.append(inputs[0].flatten(0, 1)))
    with torch.no_grad():
        for batch in BATCHES[1:]:
            model(**batch)
    hook.remove()
    neurons = torch.cat(rows).double()
    weight = layer.output.dense.weight.detach().double()
    columns = torch.einsum("tf,of->tof", neurons[:, :20], weight[:, :20]).flatten(0, 1)
    wanted = (neurons @ weight.T).flatten()
    expected = torch.linalg.lstsq(columns, wanted).solution
    torch.testing.assert_close(found, expected.float(), rtol=1e-3, atol=1e-3)


def test_masks_stay_within_the_limit_whatever_is_missing(tmp_path: Path) -> None:
    model = strong(tmp_path).eval()
    with torch.no_grad():  # neuron 0 could stand in for all the others only at a hundred times its strength
        out = model.bert.encoder.layer[3].output.dense
        out.weight.copy_(out.weight[:, :1].expand_as(out.weight))
        out.weight[:, 0] /= 100
    kept = Kept(((0, 1, 2, 3),) * 4, (*[tuple(range(128))] * 3, (0,)))
    mask = tuned(model, kept, BATCHES, ridge=1e-12).neurons[3][0]
    assert 1 < mask.abs() <= LIMIT


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = strong(tmp_path).train()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    tuned(model, Kept(((0,),) * 4, (tuple(range(16)),) * 4), BATCHES)
    assert model.training
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    model.eval()
    assert torch.equal(logits(model), logits(model))


def test_rows_are_needed(tmp_path: Path) -> None:
    model = strong(tmp_path)
    with pytest.raises(CompressError, match="there are none"):
        tuned(model, everything(units(model)), [])
    assert len(IDS) == 2


def test_activations_that_are_no_numbers_end_the_fit() -> None:
    with pytest.raises(CompressError, match="activations .* NaN or infinite"):
        _held_at_one(torch.full((2, 2), float("nan"), dtype=torch.float64), torch.ones(2, dtype=torch.float64), 1e-3)
