"""Removes heads and neurons: the smaller model computes what the masked one did."""

from __future__ import annotations

import copy
from typing import Any

from compress.models.families.cutting import cut_, resized_
from compress.models.families.layer_widths import widths_of, write_
from compress.pruning.units import Kept, units

__all__ = ["remove", "resized_", "widths_of"]


def remove(model: Any, kept: Kept) -> Any:
    """A copy of a model with only the kept units.

    It equals the model with the others masked (`compress.pruning.units.masks_applied`) to rounding. Where every layer keeps
    all its heads (of Llama's groups, equally many) and as many neurons as the others, what `save_pretrained` writes is a
    plain checkpoint with a smaller config. Else its config carries the widths of its layers as `compress_widths`, since
    transformers' settings cannot say them, and `compress.models.load` opens it; `from_pretrained` refuses it for the shapes of
    its weights.

    Args:
        model: of a known family, which may have lost units before; it is left as it was. No masks may be
            applied to it now.
        kept: indices among the units that it has at present.

    Returns:
        A model of the same class, in the same mode and precision and on the same device.

    Raises:
        CompressError: there are no such units, or a layer would lose its last head or neuron.
    """
    kept.checked(units(model))
    smaller = copy.deepcopy(model)
    cut_(smaller, kept.heads, kept.neurons)
    write_(smaller.config, units(smaller))
    return smaller
