"""Counting the units of a model and masking them, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.models.load import classifier
from compress.pruning.units import Kept, everything, masks_applied, own_layers, units
from tests.tiny import FAMILIES, write_model

HEADS, NEURONS, HEAD_SIZE = 4, 128, 16
IDS = torch.tensor([[2, 6, 9, 12, 7, 3], [2, 8, 11, 3, 0, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return classifier(write_model(tmp_path_factory.mktemp("model"), request.param))


def test_each_layer_with_weights_of_its_own_counts_its_heads_and_neurons(model: Any) -> None:
    layers = 1 if model.config.model_type == "albert" else 4
    counted = units(model)
    assert counted.heads == (HEADS,) * layers
    assert counted.neurons == (NEURONS,) * layers
    assert counted.head_size == HEAD_SIZE


def test_a_masked_unit_is_one_whose_output_weights_are_zero(model: Any) -> None:
    torch.manual_seed(0)
    layers = own_layers(model)
    heads = torch.randint(0, 2, (len(layers), HEADS)).float()
    neurons = torch.randint(0, 2, (len(layers), NEURONS)).float()
    architecture = family(model.config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        with masks_applied(model, heads, neurons):
            masked = model(**INPUTS).logits
        whole = model(**INPUTS).logits
        for index, layer in enumerate(layers):
            output = layer.get_submodule(architecture.attention_output).get_parameter("weight")
            for head in range(HEADS):
                output[:, head * HEAD_SIZE : (head + 1) * HEAD_SIZE] *= heads[index, head]
            layer.get_submodule(architecture.ffn_out).get_parameter("weight").mul_(neurons[index])
        zeroed = model(**INPUTS).logits
    model.load_state_dict(before)
    torch.testing.assert_close(masked, zeroed)
    assert not torch.allclose(masked, whole, atol=1e-4)


def test_masks_of_one_change_nothing_and_masks_end_with_their_context(model: Any) -> None:
    count = len(own_layers(model))
    with torch.no_grad():
        whole = model(**INPUTS).logits
        with masks_applied(model, torch.ones(count, HEADS), torch.ones(count, NEURONS)):
            torch.testing.assert_close(model(**INPUTS).logits, whole, rtol=0, atol=0)
        with pytest.raises(ZeroDivisionError), masks_applied(model, torch.zeros(count, HEADS)):
            raise ZeroDivisionError
        torch.testing.assert_close(model(**INPUTS).logits, whole, rtol=0, atol=0)


def test_a_masks_gradient_is_what_a_small_change_of_it_does(model: Any) -> None:
    count = len(own_layers(model))
    heads = torch.ones(count, HEADS, dtype=torch.float64, requires_grad=True)
    neurons = torch.ones(count, NEURONS, dtype=torch.float64, requires_grad=True)
    exact = model.double()

    def score(heads: Any, neurons: Any) -> Any:
        with masks_applied(exact, heads, neurons):
            return exact(**INPUTS).logits[:, 0].sum()

    try:
        by_head, by_neuron = torch.autograd.grad(score(heads, neurons), (heads, neurons))
        step = 1e-5
        for gradient, place in ((by_head, (count - 1, 2)), (by_neuron, (0, 77))):
            moved = torch.zeros_like(gradient)
            moved[place] = step
            pairs = [
                score(heads + sign * moved, neurons) if gradient is by_head else score(heads, neurons + sign * moved)
                for sign in (1, -1)
            ]
            change = (pairs[0] - pairs[1]).item() / (2 * step)
            assert float(gradient[place]) == pytest.approx(change, rel=1e-3, abs=1e-6)
    finally:
        model.float()


def test_a_mask_for_each_row_gives_each_row_its_own_gradient(model: Any) -> None:
    count = len(own_layers(model))
    heads = torch.ones(count, len(IDS), HEADS, requires_grad=True)
    neurons = torch.ones(count, len(IDS), NEURONS, requires_grad=True)
    with masks_applied(model, heads, neurons):
        together = torch.autograd.grad(model(**INPUTS).logits[:, 0].sum(), (heads, neurons))
    for row in range(len(IDS)):
        own = [torch.ones(count, width, requires_grad=True) for width in (HEADS, NEURONS)]
        with masks_applied(model, *own):
            score = model(**{name: value[row : row + 1] for name, value in INPUTS.items()}).logits[0, 0]
            alone = torch.autograd.grad(score, own)
        for part, one in zip(together, alone, strict=True):
            torch.testing.assert_close(part[:, row], one, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("masks", [torch.ones(4, 5), torch.ones(3, 4), [torch.ones(4)] * 3 + [torch.ones(1)]])
def test_masks_that_do_not_fit_are_refused(masks: Any, tmp_path: Path) -> None:
    model = classifier(write_model(tmp_path))
    with (
        pytest.raises(CompressError, match=r"do not fit the model's heads, which are 4, 4, 4, 4"),
        masks_applied(model, masks),
    ):
        pass


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        (((0, 1), (0,)), "2 layers were given, but there are 4"),
        (((0,), (), (0,), (0,)), "Layer 1 would lose all its heads"),
        (((0,), (0,), (2, 1), (0,)), "layer 2 are not increasing indices from 0 to 3"),
        (((0,), (0,), (0,), (4,)), "layer 3 are not increasing indices from 0 to 3"),
        (((-1, 0), (0,), (0,), (0,)), "layer 0 are not increasing indices"),
    ],
)
def test_units_that_cannot_be_kept_are_refused(heads: Any, said: str, tmp_path: Path) -> None:
    present = units(classifier(write_model(tmp_path)))
    assert everything(present).checked(present) == everything(present)
    with pytest.raises(CompressError, match=said):
        Kept(heads, everything(present).neurons).checked(present)
