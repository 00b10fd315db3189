"""Pruning with calibration inputs, layer by layer and without training: Wanda and SparseGPT."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL
from compress.models.families.families import family
from compress.models.families.matrices import weight_of
from compress.models.forward import run_layers
from compress.models.layers import Batch, evaluating
from compress.pruning.magnitude import check_n_of_m, largest_of_groups, still_to_go
from compress.pruning.selection import spread, without_smallest_in_rows
from compress.pruning.weights import Masks, apply_, prunable, weights_of

Amount = float | tuple[int, int]
"""The share of weights to prune, from 0 to below 1, or (n, m): of each m neighbouring inputs n stay."""

DAMPING = 0.01
"""Of the Hessian's mean diagonal, added to the diagonal: SparseGPT's own."""
BLOCK = 128
"""Columns whose masks are chosen together: SparseGPT's own."""


def wanda_(model: Any, batches: Sequence[Batch], amount: Amount, names: Iterable[str] | None = None) -> Masks:
    """Wanda: prunes the smallest |weight| * ||input|| of each output.

    Sun et al. 2023, "A simple and effective pruning approach for large language models", equation 1. The layers are pruned
    from the first to the last, each by the inputs that it has once those before it are pruned. ALBERT's one layer is pruned
    once, by its inputs in all its places.

    Args:
        model: a sequence classifier or a generative model; weights are set to zero in place.
        batches: calibration inputs, gone over once for each layer; tokens that `attention_mask` leaves out do not count. A
            generative model's have `labels` [batch, tokens] as well, from which an encoder-decoder's decoder reads.
        amount: a share gives each output as many zeros, to one.
        names: modules to prune; without them, all that are `prunable`. What is zero before stays zero and counts.

    Returns:
        The masks, which are applied already.

    Raises:
        CompressError: there are no batches, the share is out of its range, or a matrix cannot be pruned N:M.
    """

    def prune(linear: nn.Module, squares: Tensor, count: int) -> Tensor:
        weight = weight_of(linear).detach().float()
        scores = weight.abs() * squares.sqrt().float()
        scores[weight == 0] = -1.0
        if isinstance(amount, tuple):
            mask = largest_of_groups(scores, *amount)
        else:
            gone = (weight == 0).sum(dim=1)
            present = weight.shape[1] - gone
            more = torch.tensor(spread(count, present.tolist()), device=gone.device)
            mask = without_smallest_in_rows(scores, gone + more)
        return torch.logical_and(mask, weight != 0)

    return _layer_by_layer(model, batches, amount, names, _squares, prune)


def sparsegpt_(model: Any, batches: Sequence[Batch], amount: Amount, names: Iterable[str] | None = None) -> Masks:
    """SparseGPT: prunes the weights that change the outputs least, and adjusts the others to compensate.

    Frantar & Alistarh 2023, "SparseGPT: Massive language models can be accurately pruned in one-shot", algorithm 1, with
    its blocks of 128 columns and its damping; the layers in order, as in `wanda_`, which see for the arguments. The
    arithmetic is in fp64. Of N:M, a block is as many whole groups as fit into 128 columns.
    """

    def prune(linear: nn.Module, gram: Tensor, count: int) -> Tensor:
        weight, mask = pruned_and_corrected(weight_of(linear).detach().contiguous(), 2 * gram, amount, count)
        weight_of(linear).data.copy_(weight)
        return mask

    return _layer_by_layer(model, batches, amount, names, _gram, prune)


def pruned_and_corrected(weight: Tensor, hessian: Tensor, amount: Amount, count: int = 0) -> tuple[Tensor, Tensor]:
    """One matrix pruned by algorithm 1 of SparseGPT.

    Args:
        weight: [outputs, inputs]; its zeros stay.
        hessian: [inputs, inputs], 2 X X' of the inputs X; its scale does not matter.
        amount: (n, m), or a share, of which `count` says what it is here.
        count: how many weights are to go besides those that are zero.

    Returns:
        The corrected weights, in fp64 and exactly zero where pruned, and the mask.
    """
    inverse = inverse_factor(hessian)
    left = weight.to(torch.float64, copy=True)
    stays = weight != 0
    groups = amount[1] if isinstance(amount, tuple) else 1
    starts = range(0, weight.shape[1], max(BLOCK // groups, 1) * groups)
    blocks = [slice(start, min(start + starts.step, weight.shape[1])) for start in starts]
    more = spread(count, [int(stays[:, block].sum()) for block in blocks])
    for block, going in zip(blocks, more, strict=True):
        factor, now, kept = inverse[block, block], left[:, block].clone(), stays[:, block].clone()
        pivots = factor.diagonal()
        if not isinstance(amount, tuple):
            scores = torch.where(kept, (now / pivots) ** 2, -1.0)
            goes = int((~kept).sum()) + going
            kept &= without_smallest_in_rows(scores.view(1, -1), goes).view_as(kept)
        errors = torch.zeros_like(now)
        for column in range(now.shape[1]):
            if isinstance(amount, tuple) and column % groups == 0:
                group = slice(column, column + groups)
                scores = torch.where(kept[:, group], (now[:, group] / pivots[group]) ** 2, -1.0)
                kept[:, group] &= largest_of_groups(scores, *amount)
            missed = now[:, column].masked_fill(kept[:, column], 0)
            errors[:, column] = missed / pivots[column]
            now[:, column:] -= errors[:, column, None] * factor[column, column:]
        left[:, block], stays[:, block] = now.masked_fill(~kept, 0), kept
        left[:, block.stop :] -= errors @ inverse[block, block.stop :]
    return left, stays


def inverse_factor(hessian: Tensor) -> Tensor:
    """The upper Cholesky factor of the damped Hessian's inverse, in fp64.

    Its row i, over its diagonal, is the row i of the inverse once the columns before i are eliminated.
    """
    damped = hessian.double().clone()
    mean = damped.diagonal().mean()
    damped.diagonal().add_(DAMPING * mean if mean > 0 else 1.0)  # without any input, magnitudes alone decide
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)


def _layer_by_layer(
    model: Any,
    batches: Sequence[Batch],
    amount: Amount,
    names: Iterable[str] | None,
    statistic: Callable[[Tensor], Tensor],
    prune: Callable[[nn.Module, Tensor, int], Tensor],
) -> Masks:
    """Prunes the layers in order: a pass over the batches for the inputs' statistics of one, then its matrices.

    `prune` gets the module, its statistic, and how many weights are to go besides those that are zero.
    """
    if not batches:
        raise CompressError(
            "This pruning method needs calibration rows, and there are none. Use a larger calibration set."
        )
    inside = prunable(model)
    weights = weights_of(model, inside if names is None else names)
    outside = sorted(weights.keys() - inside.keys())
    if outside:
        raise CompressError(f"{outside[0]} is not a linear module of a layer. Name only those that are.")
    if isinstance(amount, tuple):
        check_n_of_m(weights, *amount)
        more = dict.fromkeys(weights, 0)
    else:
        more = still_to_go(weights, amount)
    masks: Masks = {}
    layers = [
        f"{stack.layers}.{index}."
        for stack in family(model.config).stacks
        for index, _ in enumerate(model.get_submodule(stack.layers))
    ]
    with evaluating(model):
        for layer in layers:
            here = {name: model.get_submodule(name) for name in weights if name.startswith(layer)}
            found = _statistics(model, batches, here, statistic) if here else {}
            for name, linear in here.items():
                masks[name] = prune(linear, found[name], more[name])
                apply_(model, {name: masks[name]})
    return masks


def _statistics(
    model: Any, batches: Sequence[Batch], linears: Mapping[str, nn.Module], statistic: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """The sum of a statistic of each module's inputs over all tokens except padding, in fp64."""
    architecture = family(model.config)
    of_positions = tuple(path for path in (architecture.position_query, architecture.position_key) if path)
    sums: dict[str, Tensor] = {}
    sources = references = torch.ones(0, 0, dtype=torch.bool)

    def record(name: str) -> Callable[..., None]:
        of_references = _reads_references(model, name)

        def hook(_module: nn.Module, inputs: tuple[Tensor]) -> None:
            values, tokens = inputs[0], references if of_references else sources
            if values.shape[:2] == tokens.shape:
                values = values[tokens]
            elif not name.endswith(of_positions):  # DeBERTa's modules of tokens project its table of positions as well
                return
            found = statistic(values.flatten(0, -2).float()).double()
            sums[name] = sums[name] + found if name in sums else found

        return hook

    hooks = [linear.register_forward_pre_hook(record(name)) for name, linear in linears.items()]
    try:
        for batch in batches:
            here = {name: value.to(model.device) for name, value in batch.items()}
            ids = here["input_ids"]
            sources = here.get("attention_mask", torch.ones_like(ids)).bool()
            if "labels" in here:
                references = here["labels"] != NO_LABEL
            run_layers(model, here)
    finally:
        for hook in hooks:
            hook.remove()
    unused = sorted(linears.keys() - sums.keys())
    if unused:
        raise CompressError(f"{unused[0]} is not used by this model, so its inputs are unknown. Exclude it.")
    return sums


def _reads_references(model: Any, name: str) -> bool:
    """Whether a module's inputs are what an encoder-decoder has written so far; those of keys and values of its
    cross-attention are the encoder's states."""
    decoder = family(model.config).decoder
    if decoder is None or not name.startswith(f"{decoder.layers}."):
        return False
    cross = decoder.cross
    return cross is None or not name.endswith((f".{cross.key}", f".{cross.value}"))


def _squares(inputs: Tensor) -> Tensor:
    """[tokens, inputs] -> [inputs]: the squared length of each input over the tokens."""
    return (inputs**2).sum(dim=0)


def _gram(inputs: Tensor) -> Tensor:
    """[tokens, inputs] -> [inputs, inputs]: X X' in the papers' orientation."""
    return inputs.T @ inputs
