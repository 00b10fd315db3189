"""Makes a student from its teacher: some of its layers, with everything around them."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from compress.architectures.families import family
from compress.errors import CompressError


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


def layer_count(config: Any) -> int:
    """How many layers a model has."""
    return int(getattr(config, family(config).layer_count))


def layer_modules(model: Any) -> list[nn.Module]:
    """The module that is applied as each layer, in order; ALBERT's one layer stands there as often as it is applied."""
    architecture = family(model.config)
    layers = list(model.get_submodule(architecture.layers))
    if not architecture.shares_layers:
        return layers
    total = layer_count(model.config)
    return [layers[int(index / (total / len(layers)))] for index in range(total)]  # AlbertTransformer.forward's rule


def embedding_module(model: Any) -> nn.Module:
    """The module whose output is hidden state 0, [batch, tokens, hidden width]: what the first layer reads."""
    architecture = family(model.config)
    path = architecture.embedding_projection
    projects = path and any(name == path for name, _ in model.named_modules())
    found: nn.Module = model.get_submodule(path if projects else architecture.embeddings)
    return found


def keep_layers(teacher: Any, kept: Sequence[int]) -> Any:
    """A student that holds copies of the teacher's embeddings, of the layers named, and of its head.

    Args:
        teacher: a sequence classifier; it is not changed.
        kept: indices of layers, in increasing order, counted from 0.

    Raises:
        CompressError: the indices are no such list, or the family is unknown.
    """
    architecture = family(teacher.config)
    total = layer_count(teacher.config)
    if not kept or list(kept) != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= total:
        raise CompressError(f"The layers {list(kept)} are not increasing indices from 0 to {total - 1}. Correct them.")
    config = copy.deepcopy(teacher.config)
    setattr(config, architecture.layer_count, len(kept))
    for name, value in architecture.layer_config(teacher.config, kept).items():
        setattr(config, name, value)
    student = type(teacher)(config)
    weights = teacher.state_dict()
    if not architecture.shares_layers:
        weights = _renumbered(weights, architecture.layers, kept)
    own = student.state_dict()
    missing = own.keys() - weights.keys()
    if missing:
        raise CompressError(
            f"The teacher lacks the student's weights {sorted(missing)[:3]}. Report this family as a bug."
        )
    # A first layer that differs has fewer weights than the layer whose place it takes: those alone are left behind.
    student.load_state_dict({name: weights[name] for name in own})
    return student.to(dtype=teacher.dtype)


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
