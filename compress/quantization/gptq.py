"""GPTQ: rounds weights column by column and adjusts the remaining columns to compensate the error in the outputs.

Frantar et al. 2023, "GPTQ: Accurate post-training quantization for generative pre-trained transformers", algorithm 1. It is
SparseGPT with rounding in place of zeros, so that the Hessian's factor is that of `compress.pruning.calibrated`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.models.families.matrices import LINEAR, inputs_of, weight_of
from compress.models.layers import Batch, evaluating
from compress.pruning.calibrated import inverse_factor
from compress.quantization.blocks import BlockWeight, Grid, round_to_nearest

COLUMNS = 128
"""Columns after which the error is passed on to all columns that follow: the paper's own."""
IN_LAYER = re.compile(r"^(.*?\.\d+)\.")


@dataclass(frozen=True)
class Rounded:
    """One quantized matrix, and the error of its outputs on the calibration inputs.

    error: ||(W - W')X||^2 / ||WX||^2. nearest_error: the same where each weight is rounded to nearest.
    """

    weight: BlockWeight
    error: float
    nearest_error: float


def linears(model: nn.Module, exclude: Iterable[str] = ()) -> dict[str, nn.Module]:
    """The linear modules within the numbered layers, by name: no embeddings, no heads, no pooler.

    Args:
        exclude: patterns (as in a shell) of names that are left out.
    """
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, LINEAR)
        and IN_LAYER.match(name)
        and not any(fnmatchcase(name, pattern) for pattern in exclude)
    }


def gptq_(
    model: nn.Module,
    batches: Sequence[Batch],
    grid: Grid,
    names: Iterable[str] | None = None,
    *,
    act_order: bool = False,
    told: Callable[[str], None] = lambda _layer: None,
) -> dict[str, Rounded]:
    """Rounds a model's layers in order, each with the inputs that it gets from the rounded layers before it.

    Of each layer one sum of outer products for each matrix is kept, [inputs, inputs] in fp64, so that the memory needed does
    not grow with the calibration text. It is run through once for each layer, up to that layer.

    Args:
        model: any transformer; its weights become the rounded ones in place.
        batches: calibration inputs without padding, since all positions count: keyword arguments of the model.
        names: modules to round; without them, all `linears`.
        act_order: round the columns with the largest inputs first (the authors' later heuristic). Blocks keep their scales from
            before, and stay blocks of neighbours, so that every format can hold the result.
        told: is called with a layer's name before it is rounded.

    Raises:
        CompressError: there are no batches, or a module is not linear, or not used.
    """
    if not batches:
        raise CompressError("GPTQ needs calibration rows, and there are none. Raise their number.")
    inside = linears(model)
    chosen = inside if names is None else {name: inside[name] for name in _known(names, inside)}
    found: dict[str, Rounded] = {}
    with evaluating(model), torch.no_grad():
        for layer, calls in _in_order(model, batches[0], chosen).items():
            told(layer)
            here = {name: chosen[name] for name in dict.fromkeys(calls)}
            sums = _second_moments(model, batches, here, len(calls))
            for name, module in here.items():
                weight = weight_of(module).detach()
                found[name] = _with_error(weight, sums[name], grid, act_order)
                weight.copy_(found[name].weight.real())
    unused = sorted(chosen.keys() - found.keys())
    if unused:
        raise CompressError(f"{unused[0]} is not used by this model, so its inputs are unknown. Exclude it.")
    return found


def rounded_and_corrected(weight: Tensor, hessian: Tensor, grid: Grid, *, act_order: bool = False) -> BlockWeight:
    """One matrix rounded by algorithm 1, in fp64.

    Args:
        weight: [outputs, inputs].
        hessian: [inputs, inputs], X X' of the inputs X; its scale does not matter.

    A block's scale is taken from its weights as corrected so far; with `act_order`, from the weights as they were.
    """
    outputs, inputs = weight.shape
    fixed = round_to_nearest(weight, grid) if act_order else None
    order = hessian.diagonal().argsort(descending=True, stable=True) if act_order else torch.arange(inputs)
    order = order.to(weight.device)
    left = weight.double()[:, order]
    factor = inverse_factor(hessian[order][:, order])
    integers = torch.zeros_like(left)
    blocks = -(-inputs // grid.block)
    scale = left.new_zeros(outputs, blocks) if fixed is None else fixed.scale.double()
    zero_point = left.new_zeros(outputs, blocks) if fixed is None else fixed.zero_point.double()
    width = max(COLUMNS, grid.block)
    for start in range(0, inputs, width):
        columns = slice(start, min(start + width, inputs))
        now, near = left[:, columns].clone(), factor[columns, columns]
        errors = torch.zeros_like(now)
        for column in range(now.shape[1]):
            source = int(order[start + column])
            block = source // grid.block
            if fixed is None and source % grid.block == 0:
                scale[:, block], zero_point[:, block] = grid.steps(now[:, column : column + grid.block])
            steps = grid.round(now[:, column], scale[:, block], zero_point[:, block])
            integers[:, start + column] = steps
            missed = now[:, column] - (steps - zero_point[:, block]) * scale[:, block]
            errors[:, column] = missed / near[column, column]
            now[:, column:] -= errors[:, column, None] * near[column, column:]
        left[:, columns.stop :] -= errors @ factor[columns, columns.stop :]
    back = torch.empty_like(order)
    back[order] = torch.arange(inputs, device=order.device)
    return BlockWeight(grid, integers[:, back].to(torch.uint8), scale.float(), zero_point.to(torch.uint8))


def by_kind(names: Iterable[str]) -> dict[str, int]:
    """How many modules there are of each kind, without the layers' names: `mlp.up_proj: 5`."""
    return dict(sorted(Counter(IN_LAYER.sub("", name) for name in names).items()))


def error_facts(found: Mapping[str, Rounded]) -> dict[str, Any]:
    """The values to report: the number of matrices, and the median errors of their outputs with GPTQ and with plain rounding."""
    return {
        "layers": len(found),
        "median_output_error": median(one.error for one in found.values()),
        "median_output_error_of_nearest": median(one.nearest_error for one in found.values()),
    }


def _with_error(weight: Tensor, moments: Tensor, grid: Grid, act_order: bool) -> Rounded:
    whole = _energy(weight, moments)
    made = rounded_and_corrected(weight, moments, grid, act_order=act_order)
    errors = [
        _energy(weight - other.real(), moments) / whole if whole else 0.0
        for other in (made, round_to_nearest(weight, grid))
    ]
    return Rounded(made, *errors)


def _energy(weight: Tensor, moments: Tensor) -> float:
    real = weight.double()
    return float(((real @ moments) * real).sum())


def _known(names: Iterable[str], inside: Mapping[str, nn.Module]) -> list[str]:
    wanted = list(names)
    for name in wanted:
        if name not in inside:
            raise CompressError(f"{name} is not a linear module of a layer. Name only those that are.")
    return wanted


class _Enough(Exception):  # noqa: N818 - no error
    """Ends a forward pass when the layer has been reached."""


def _in_order(model: nn.Module, batch: Batch, chosen: Mapping[str, nn.Module]) -> dict[str, list[str]]:
    """The module names of each layer, in the order in which layers run, each as often as it is called."""
    calls: dict[str, list[str]] = {}

    def record(name: str) -> Callable[..., None]:
        layer = IN_LAYER.match(name)
        assert layer is not None

        def hook(_module: nn.Module, _inputs: tuple[Tensor]) -> None:
            calls.setdefault(layer[1], []).append(name)

        return hook

    _run(model, [batch], {name: record(name) for name in chosen}, chosen)
    return calls


def _second_moments(
    model: nn.Module, batches: Sequence[Batch], here: Mapping[str, nn.Module], calls: int
) -> dict[str, Tensor]:
    """The sum over all positions of x x' of each module's inputs, [inputs, inputs] in fp64."""
    sums = {
        name: torch.zeros(inputs_of(one), inputs_of(one), dtype=torch.float64, device=weight_of(one).device)
        for name, one in here.items()
    }
    seen = 0
    last: tuple[Any, Any] = (None, None)  # query, key and value read the same states

    def record(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor]) -> None:
            nonlocal seen, last
            if inputs[0] is not last[0]:
                rows = inputs[0].detach().flatten(0, -2).float()
                last = inputs[0], (rows.T @ rows).double()
            sums[name] += last[1]
            seen += 1
            if seen % calls == 0:
                raise _Enough

        return hook

    _run(model, batches, {name: record(name) for name in here}, here)
    return sums


def _run(
    model: nn.Module,
    batches: Sequence[Batch],
    hooks: Mapping[str, Callable[..., None]],
    modules: Mapping[str, nn.Module],
) -> None:
    device = next(model.parameters()).device
    handles = [modules[name].register_forward_pre_hook(hook) for name, hook in hooks.items()]
    try:
        for batch in batches:
            try:
                model(**{name: value.to(device) for name, value in batch.items()})
            except _Enough:
                continue
    finally:
        for handle in handles:
            handle.remove()
