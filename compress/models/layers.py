"""A model's layers: finds them, chooses those that a student keeps, and cuts the model to them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compress.core.errors import CompressError, listing
from compress.models.families.cutting import resized_
from compress.models.families.families import family, stack
from compress.models.families.layer_widths import of_layers, units, write_
from compress.models.families.plain_computation import compute_plainly_

Batch = dict[str, Tensor]
"""The tensors of one forward pass by name: `input_ids` [batch, tokens], `attention_mask`, ...; no labels."""


def chosen_layers(total: int, kept: int, choice: str, *, first: bool = False) -> tuple[int, ...]:
    """Which layers to keep, by their places alone.

    Args:
        total: the teacher's layers.
        kept: how many to keep, from 1 to `total`.
        choice: "even" (see `evenly_spaced`), "first" or "last".
        first: keep the first one as well, wherever more than one is kept.

    Raises:
        CompressError: `kept` is out of its range, or there is no such choice.

    >>> chosen_layers(6, 3, "last")
    (3, 4, 5)
    >>> chosen_layers(6, 3, "last", first=True)
    (0, 4, 5)
    """
    even = evenly_spaced(total, kept, first=first)
    last = tuple(range(total - kept, total))
    choices = {"even": even, "first": tuple(range(kept)), "last": (0, *last[1:]) if first and kept > 1 else last}
    if choice not in choices:
        raise CompressError(f"Unknown layer choice '{choice}'. Choose {listing(choices)}.")
    return choices[choice]


def evenly_spaced(total: int, kept: int, *, first: bool = False) -> tuple[int, ...]:
    """Which layers to keep: evenly spaced and always the last, since the classifier reads it.

    Cutting a 6-layer teacher to 3 leaves the layers 1, 3 and 5.

    Args:
        total: the teacher's layers.
        kept: how many to keep, from 1 to `total`.
        first: keep the first one as well, wherever more than one is kept.

    Raises:
        CompressError: `kept` is out of its range.

    >>> evenly_spaced(6, 3)
    (1, 3, 5)
    >>> evenly_spaced(12, 5)
    (2, 4, 7, 9, 11)
    """
    if not 1 <= kept <= total:
        raise CompressError(f"A student cannot keep {kept} layers of a teacher that has {total}. Keep 1 to {total}.")
    if first and kept > 1:
        return tuple(round(index * (total - 1) / (kept - 1)) for index in range(kept))
    return tuple(-(-(index + 1) * total // kept) - 1 for index in range(kept))


def layer_count(config: Any, side: str = "") -> int:
    """How many layers a model has; of an encoder-decoder, that side (see `compress.models.families.families.stack`)."""
    return int(getattr(config, stack(config, side).layer_count))


def layer_modules(model: Any, side: str = "") -> list[nn.Module]:
    """The module that is applied as each layer, in order; ALBERT's one layer is repeated as often as it is applied.

    Args:
        side: of an encoder-decoder, whose layers: see `compress.models.families.families.stack`.
    """
    architecture = stack(model.config, side)
    layers = list(model.get_submodule(architecture.layers))
    if not architecture.shares_layers:
        return layers
    total = layer_count(model.config)
    return [layers[int(index / (total / len(layers)))] for index in range(total)]  # AlbertTransformer.forward's rule


def classifier_path(model: Any) -> str:
    """The path of the linear module that computes a classifier's outputs, in this model; empty where the family has none.

    A model that classifies tokens has no head of several modules where one that classifies texts does (RoBERTa).
    """
    path = family(model.config).classifier
    return path if path in dict(model.named_modules()) else path.split(".")[0]


def projects_embeddings(model: Any) -> bool:
    """Whether embeddings of a width of their own are projected to that of the hidden states (ALBERT, small ELECTRA)."""
    path = family(model.config).embedding_projection
    return bool(path) and f"{path}.weight" in model.state_dict()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Without gradients and dropout; the model's mode is restored."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def keep_layers(teacher: Any, kept: Sequence[int], side: str = "") -> Any:
    """A student with copies of the teacher's embeddings, of the given layers, and of its head.

    Of an encoder-decoder, the other side stays whole; call it once more to shorten that too. Layers find their place in the
    cache of keys and values by their new numbers, and a table that T5's first layers hold for all stays with the first.

    Args:
        teacher: a sequence classifier or a generative model; it is not changed.
        kept: indices of layers, in increasing order, counted from 0.
        side: of an encoder-decoder, whose layers: see `compress.models.families.families.stack`.

    Raises:
        CompressError: the indices are no such list, or the family is unknown.
    """
    architecture = stack(teacher.config, side)
    total = layer_count(teacher.config, side)
    if not kept or list(kept) != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= total:
        raise CompressError(f"The layers {list(kept)} are not increasing indices from 0 to {total - 1}. Correct them.")
    config = copy.deepcopy(teacher.config)
    setattr(config, architecture.layer_count, len(kept))
    for name, value in architecture.layer_config(teacher.config, kept).items():
        setattr(config, name, value)
    if not architecture.shares_layers:
        write_(config, of_layers(teacher.config, units(teacher), kept, side))
    student = unfilled_student(teacher, config)
    weights = teacher.state_dict()
    if not architecture.shares_layers:
        tables = {name: weights[name] for name in architecture.head_tables}
        weights = _renumbered(weights, architecture.layers, kept) | tables
    own = student.state_dict()
    missing = own.keys() - weights.keys()
    if missing:
        raise CompressError(
            f"The teacher has no weights for the student's {sorted(missing)[:3]}. Report this family as a bug."
        )
    # A first layer that differs has fewer weights than the layer whose place it takes: those alone are left behind.
    student.load_state_dict({name: weights[name] for name in own})
    return student


def unfilled_student(teacher: Any, config: Any) -> Any:
    """A model of its teacher's class and precision with this config, whose weights are still random."""
    student = _untied_like(compute_plainly_(resized_(type(teacher)(config))), teacher)
    if getattr(teacher, "generation_config", None) is not None:
        student.generation_config = copy.deepcopy(teacher.generation_config)
    return student.to(dtype=teacher.dtype)


def _untied_like(student: Any, teacher: Any) -> Any:
    """A newly made student, whose parameters are tied only where its teacher's are.

    A config says that they are tied, as T5's always does, even where a checkpoint has each of them, as FLAN-T5's has a head of
    its own: transformers (5.23) leaves these apart when it opens the checkpoint.
    """
    places = {name: value.data_ptr() for name, value in teacher.state_dict().items()}
    tied = getattr(student, "all_tied_weights_keys", {})
    for name, source in list(tied.items()):
        if name in places and source in places and places[name] != places[source]:
            path, _, kind = name.rpartition(".")
            module = student.get_submodule(path)
            setattr(module, kind, nn.Parameter(module.get_parameter(kind).detach().clone()))
            del tied[name]
    return student


def _renumbered(weights: dict[str, Any], layers: str, kept: Sequence[int]) -> dict[str, Any]:
    place = {str(old): str(new) for new, old in enumerate(kept)}
    pattern = re.compile(rf"^({re.escape(layers)}\.)(\d+)(\..*)$")
    renumbered = {}
    for name, value in weights.items():
        match = pattern.match(name)
        if match is None:
            renumbered[name] = value
        elif match[2] in place:
            renumbered[f"{match[1]}{place[match[2]]}{match[3]}"] = value
    return renumbered
