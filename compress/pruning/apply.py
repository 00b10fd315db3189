"""Runs the method that `compress prune` asks for on a model in memory, with its settings and rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from compress.core.labels import LABELS, inputs_of
from compress.core.progress import warn
from compress.distillation.layer_importance import most_important_layers
from compress.distillation.students import chosen
from compress.models.kinds import kind_of_model
from compress.models.layers import Batch, classifier_path, keep_layers, layer_count
from compress.models.narrowing import narrow
from compress.models.reading_length import positions
from compress.models.widths import all_widths, change_in_words
from compress.pruning import allocation, calibrated, costs, gradual, importance, kwon, magnitude
from compress.pruning.movement import Movement, SoftMovement
from compress.pruning.prune_settings import Prune
from compress.pruning.removal import remove
from compress.pruning.units import Kept, Units, units
from compress.pruning.weights import apply_, prunable, share_of_zeros, weights_of
from compress.training.objectives import Hold


def fewer_layers(
    model: Any, layers: int | tuple[int, ...], choice: str, batches: Sequence[Batch], side: str = ""
) -> tuple[Any, dict[str, Any]]:
    """A model with some of its layers, and their indices.

    Args:
        side: of a generative model, whose layers: `encoder` or `decoder`; empty of a classifier.
    """
    total = layer_count(model.config, side)
    if choice == "importance" and isinstance(layers, int):
        kept = most_important_layers(model, layers, [_inputs(model, batch, LABELS) for batch in batches], side)
    else:
        kept, _ = chosen(layers, model.config, side, choice)
    whose = f"{side}_" if side and model.config.is_encoder_decoder else ""
    told = {f"{whose}layers_kept": list(kept), f"{whose}layers_of_teacher": total}
    return keep_layers(model, kept, side), told


def fewer_dimensions(model: Any, settings: Prune, batches: Sequence[Batch]) -> tuple[Any, dict[str, Any]]:
    """A model with smaller sizes, the same in all layers: its most important hidden dimensions, heads and neurons.

    Args:
        settings: of `compress prune`: hidden_size, heads, intermediate_size.

    Raises:
        CompressError: the widths cannot be, or the layers have widths of their own by now.
    """
    smaller = narrow(model, [_inputs(model, batch) for batch in batches], **settings.widths)
    before, after = all_widths(model.config), all_widths(smaller.config)
    told = {"hidden_kept": after[0].hidden, "hidden_of": before[0].hidden}
    if settings.heads is None and settings.intermediate_size is None:
        return smaller, told
    return smaller, {**told, "widths": change_in_words(before, after)}


def fewer_units(model: Any, settings: Prune, batches: Sequence[Batch], cache: Path) -> tuple[Any, dict[str, Any]]:
    """A model with the heads and neurons kept within a budget, and those removed.

    Args:
        settings: of `compress prune`: method, target_ratio, budget, latency_budget_ms, length, new_tokens, importance,
            allocation, units.
        batches: with labels, where importance is measured on rows.
        cache: for measured latencies.

    Raises:
        CompressError: the budget does not pay for a head and a group of neurons in each layer.
    """
    present = units(model)
    price = _costs(model, settings, cache)
    original = price.of(present)
    budget = settings.latency_budget_ms or settings.target_ratio * original
    if settings.method == "kwon":
        plan = kwon.post_training(model, batches, price, budget, parts=settings.units)
        kwon.fold_(model, plan.masks)
        found, kept = plan.allocation, plan.kept
    else:
        scores = importance.scores(model, settings.importance, batches)
        choose = allocation.uniform if settings.allocation == "uniform" else allocation.everywhere
        found = choose(scores, price, budget, parts=settings.units)
        kept = found.kept
    smaller = remove(model, kept)
    of_both = model.config.is_encoder_decoder or settings.budget == "latency"
    return smaller, {
        **_removed(kept, present),
        "budget": {
            "unit": found.unit,
            "asked": found.asked / original,
            "delivered": found.share,
            "remainder": found.remainder,
            "of": found.original,
            "length": settings.length,
            **({"written": settings.new_tokens} if of_both and kind_of_model(model).generates else {}),
        },
        "macs_kept": _macs(model, settings).share(units(smaller), present),
        "parameters_kept": costs.parameters(model).share(units(smaller), present),
    }


def zeroed_(model: Any, settings: Prune, batches: Sequence[Batch]) -> tuple[Any, Hold, dict[str, Any]]:
    """A model with zero weights, or one that gets them during training, and the hold that keeps them zero.

    Raises:
        CompressError: a pattern of `exclude` fits no module, or a matrix cannot be pruned N:M.
    """
    names = list(prunable(model, settings.exclude))
    choose = magnitude.local if settings.scope == "local" else magnitude.global_
    total = sum(weight.numel() for weight in weights_of(model, names).values())
    told = {"prunable_weights": total, "prunable_matrices": len(names)}
    if settings.method == "movement":
        return model, _movement(model, settings, names), told
    if settings.is_gradual:
        return model, gradual.Gradual(model, gradual.Schedule(settings.sparsity), choose, names), told
    inputs = [_inputs(model, batch) for batch in batches]
    if settings.method == "wanda":
        masks = calibrated.wanda_(model, inputs, settings.amount, names)
    elif settings.method == "sparsegpt":
        masks = calibrated.sparsegpt_(model, inputs, settings.amount, names)
    else:
        weights = weights_of(model, names)
        amount = settings.amount
        masks = magnitude.n_of_m(weights, *amount) if isinstance(amount, tuple) else choose(weights, amount)
        apply_(model, masks)
    return model, gradual.Fixed(model, masks), told


def _movement(model: Any, settings: Prune, names: Sequence[str]) -> Movement | SoftMovement:
    """Learned scores: the sparsity grows on the cubic schedule, or a penalty decides it."""
    if settings.penalty is not None:
        return SoftMovement(model, settings.penalty, names)
    return Movement(model, gradual.Schedule(settings.sparsity), names, by_matrix=settings.scope == "local")


def sparsity_hold(model: Any) -> Hold | None:
    """A hold that keeps a model's existing zeros; None if it has none."""
    return gradual.Fixed(model) if share_of_zeros(model) else None


@contextmanager
def adapters(model: Any, rank: int, seed: int) -> Iterator[None]:
    """LoRA adapters on all prunable matrices while a model is trained, merged into its weights at the end.

    A classifier's head is trained with them; all other weights rest. Rank 0 is no adapters.
    """
    if not rank:
        yield
        return
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    names = list(prunable(model))
    torch.manual_seed(seed)
    resting = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    tuner = LoraModel(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names), "default")
    classifier = classifier_path(model)
    if classifier:  # a generative model's head is mostly its table of tokens
        for parameter in model.get_submodule(classifier).parameters():
            parameter.requires_grad_(True)
    yield
    tuner.merge_and_unload()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(resting[name])


def finish_(model: Any, hold: Hold | None) -> None:
    """Restore plain weights, with their zeros."""
    if isinstance(hold, Movement | SoftMovement):
        hold.finish_()
    elif isinstance(hold, gradual.Fixed):
        apply_(model, hold.masks)  # merged adapters have filled them


def _costs(model: Any, settings: Prune, cache: Path) -> costs.Costs:
    if settings.budget == "parameters":
        return costs.parameters(model)
    if settings.budget == "macs":
        return _macs(model, settings)
    from compress.core.cores import available_cores
    from compress.pruning.latency_table import table

    return table(
        model,
        batch=settings.batch,
        length=_length(model, settings),
        written=settings.new_tokens,
        threads=available_cores(),
        cache=cache,
    ).costs()


def _macs(model: Any, settings: Prune) -> costs.Costs:
    """The decoder of a classifier reads as many tokens as its encoder."""
    return costs.macs(model, settings.length, settings.new_tokens if kind_of_model(model).generates else None)


def _length(model: Any, settings: Prune) -> int:
    """The sequence length at which latency is measured: no more than the model reads."""
    most = positions(model.config)
    if most is None or settings.length <= most:
        return int(settings.length)
    warn(f"length is {settings.length}, but this model reads {most} tokens at most: its layers are timed for {most}.")
    return most


def _removed(kept: Kept, present: Units) -> dict[str, Any]:
    """Which heads and neurons were removed, by layer, and how many are left."""
    return {
        "heads_removed": _others(kept.heads, present.heads),
        "neurons_removed": _others(kept.neurons, present.neurons),
        "heads_kept": [len(some) for some in kept.heads],
        "neurons_kept": [len(some) for some in kept.neurons],
        "heads_of": list(present.heads),
        "neurons_of": list(present.neurons),
    }


def _others(kept: Sequence[Sequence[int]], counts: Sequence[int]) -> list[list[int]]:
    return [sorted(set(range(count)) - set(some)) for some, count in zip(kept, counts, strict=True)]


def _inputs(model: Any, batch: Batch, *left_out: str) -> Batch:
    """A model's inputs in a batch; for a generative model the references too.

    Args:
        left_out: the names of what it does not read; all targets where none is given.
    """
    if model.can_generate():
        return batch
    return {name: value for name, value in batch.items() if name not in left_out} if left_out else inputs_of(batch)
