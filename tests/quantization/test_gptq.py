from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from compress.core.errors import CompressError
from compress.pruning import calibrated
from compress.quantization import gptq
from compress.quantization.blocks import Grid, round_to_nearest
from compress.quantization.gptq import gptq_, linears, rounded_and_corrected
from tests.families import EXPORTABLE
from tests.generative import strong_generator

GRIDS = [Grid(4, 32), Grid(4, 128, symmetric=True), Grid(8, 64)]


@pytest.fixture
def layer() -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix [outputs, inputs] and correlated inputs [tokens, inputs], in fp64, of unequal sizes."""
    torch.manual_seed(0)
    correlation = 0.9 ** (torch.arange(192)[:, None] - torch.arange(192)).abs().double()
    inputs = torch.randn(1000, 192).double() @ torch.linalg.cholesky(correlation).T
    return torch.randn(24, 192).double(), inputs * torch.exp(0.7 * torch.randn(192).double())


def missed(weight: torch.Tensor, other: torch.Tensor, inputs: torch.Tensor) -> float:
    return float(((weight - other.double()) @ inputs.T).norm())


@pytest.mark.parametrize("symmetric", [True, False])
def test_each_column_is_rounded_from_the_best_there_is_once_those_before_it_are_fixed(
    layer: Any, monkeypatch: Any, symmetric: bool
) -> None:
    """The paper's rule by brute force: after each column, all that follow are solved for anew by least squares."""
    monkeypatch.setattr(calibrated, "DAMPING", 1e-12)
    monkeypatch.setattr(gptq, "COLUMNS", 32)  # so that errors are passed on between blocks of columns too
    weight, inputs = layer[0][:6, :80], layer[1][:, :80]
    grid = Grid(4, 16, symmetric)
    found = rounded_and_corrected(weight, inputs.T @ inputs, grid)
    wanted = inputs @ weight.T
    now, fixed = weight.clone(), torch.zeros_like(weight)
    for column in range(80):
        if column % 16 == 0:
            scale, zero_point = grid.steps(now[:, column : column + 16])
        steps = grid.round(now[:, column], scale, zero_point)
        fixed[:, column] = (steps - zero_point) * scale
        assert torch.equal(found.integers[:, column].double(), steps)
        if column < 79:
            rest = wanted - inputs[:, : column + 1] @ fixed[:, : column + 1].T
            now[:, column + 1 :] = torch.linalg.lstsq(inputs[:, column + 1 :], rest).solution.T
    torch.testing.assert_close(found.real().double(), fixed, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_on_correlated_inputs_the_outputs_err_far_less_than_by_rounding_to_the_nearest(
    layer: Any, grid: Grid, act_order: bool
) -> None:
    weight, inputs = layer
    found = rounded_and_corrected(weight, inputs.T @ inputs, grid, act_order=act_order)
    nearest = round_to_nearest(weight, grid)
    assert 0 < missed(weight, found.real(), inputs) < 0.7 * missed(weight, nearest.real(), inputs)


def test_without_correlation_each_weight_is_rounded_to_the_nearest(layer: Any) -> None:
    weight = layer[0]
    for act_order in (False, True):
        found = rounded_and_corrected(weight, torch.diag(torch.rand(192) + 0.1).double(), Grid(), act_order=act_order)
        assert torch.equal(found.integers, round_to_nearest(weight, Grid()).integers)


def test_by_act_order_the_largest_inputs_come_first_and_blocks_stay_those_of_neighbours(layer: Any) -> None:
    weight, inputs = layer
    moments = inputs.T @ inputs
    found = rounded_and_corrected(weight, moments, Grid(), act_order=True)
    nearest = round_to_nearest(weight, Grid())
    assert torch.equal(found.scale, nearest.scale)
    first = int(moments.diagonal().argmax())
    assert torch.equal(found.integers[:, first], nearest.integers[:, first])
    assert not torch.equal(found.integers, nearest.integers)


def test_columns_that_are_passed_on_together_change_nothing(layer: Any, monkeypatch: Any) -> None:
    weight, inputs = layer
    one = rounded_and_corrected(weight, inputs.T @ inputs, Grid(4, 16))
    monkeypatch.setattr(gptq, "COLUMNS", 16)
    other = rounded_and_corrected(weight, inputs.T @ inputs, Grid(4, 16))
    assert torch.equal(one.integers, other.integers)


# A whole model


def batches(model: Any, count: int = 4) -> list[dict[str, torch.Tensor]]:
    random = np.random.default_rng(0)
    rows = [{"input_ids": torch.from_numpy(random.integers(3, 300, (2, 24)))} for _ in range(count)]
    if model.config.is_encoder_decoder:
        rows = [{**row, "labels": torch.from_numpy(random.integers(3, 300, (2, 9)))} for row in rows]
    return rows


@pytest.mark.parametrize("family", EXPORTABLE)
def test_every_familys_layers_become_the_integers_that_are_told(family: str) -> None:
    model, untouched = strong_generator(family), strong_generator(family)
    found = gptq_(model, batches(model), Grid(4, 32))
    assert set(found) == set(linears(model))
    for name, made in found.items():
        weight = model.get_submodule(name).weight.detach()
        weight = weight.T if family == "gpt2" else weight
        torch.testing.assert_close(weight, made.weight.real(), rtol=0, atol=0)
    changed = {
        name for name, value in untouched.named_parameters() if not torch.equal(value, model.get_parameter(name))
    }
    assert changed == {f"{name}.weight" for name in found}
    assert not any(part._forward_pre_hooks for part in model.modules())
    better = [made.error < made.nearest_error for made in found.values()]
    assert sum(better) >= 0.9 * len(better)


def test_a_layer_is_rounded_by_what_the_rounded_layers_before_it_give() -> None:
    name = "model.layers.1.mlp.down_proj"
    model, again, whole = (strong_generator("llama") for _ in range(3))
    found = gptq_(model, batches(model), Grid())[name]
    gptq_(again, batches(model), Grid(), [one for one in linears(again) if ".0." in one])
    seen: list[torch.Tensor] = []
    hook = again.get_submodule(name).register_forward_pre_hook(lambda _part, inputs: seen.append(inputs[0][:]))
    with torch.no_grad():
        for batch in batches(model):
            again(**batch)
    hook.remove()
    inputs = torch.cat([one.flatten(0, 1) for one in seen])
    weight = again.get_submodule(name).weight.detach()
    alone = rounded_and_corrected(weight, (inputs.T @ inputs).double(), Grid())
    assert float((alone.integers != found.weight.integers).float().mean()) < 0.01  # fp32 sums in another order
    wrong = gptq_(whole, batches(model), Grid(), [name])[name]
    assert float((wrong.weight.integers != found.weight.integers).float().mean()) > 0.03


def test_the_split_into_batches_changes_nothing() -> None:
    model, again = strong_generator("llama"), strong_generator("llama")
    whole = batches(model)
    apart = [{"input_ids": row[None]} for batch in whole for row in batch["input_ids"]]
    one, other = gptq_(model, whole, Grid()), gptq_(again, apart, Grid())
    for name, made in one.items():
        assert float((made.weight.integers != other[name].weight.integers).float().mean()) < 0.02


def test_what_cannot_be_is_refused() -> None:
    model = strong_generator("llama")
    with pytest.raises(CompressError, match="calibration rows"):
        gptq_(model, [], Grid())
    with pytest.raises(CompressError, match="lm_head is not a linear module of a layer"):
        gptq_(model, batches(model), Grid(), ["lm_head"])
    assert not any(name.endswith("_proj") for name in linears(model, ["*_proj"]))
