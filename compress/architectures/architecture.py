"""What a technique must know about a model family: where its layers are and which settings count them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """Where the parts of one family of encoders are.

    Paths are those of the classifier's `named_modules()`, so they begin with the family's prefix (`bert.`).
    """

    model_types: tuple[str, ...]
    """The `model_type` of the configs that are of this family."""
    layers: str
    """The path of the list of layers."""
    layer_count: str = "num_hidden_layers"
    """The config's name for their number."""
    shares_layers: bool = False
    """Whether all layers are one set of weights applied again and again (ALBERT)."""
    first_layer_differs: bool = False
    """Whether the first layer is built otherwise than the rest, so that a student should keep it (ModernBERT)."""
    layer_config: Callable[[Any, Sequence[int]], dict[str, Any]] = lambda config, kept: {}
    """(config, kept layers) -> further settings of the config that are lists by layer."""
