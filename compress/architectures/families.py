"""Which family a model is of, by its config's `model_type`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

import compress.architectures
from compress.architectures.architecture import Architecture
from compress.errors import CompressError, listing


def family(config: Any) -> Architecture:
    """The architecture of a model, by its config.

    Raises:
        CompressError: no file here describes it; lists the types there are.
    """
    known = _by_model_type()
    if config.model_type not in known:
        raise CompressError(
            f"Models of type '{config.model_type}' are not known here, so their layers cannot be chosen. "
            f"Known types: {listing(known)}."
        )
    return known[config.model_type]


@cache
def _by_model_type() -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for module in pkgutil.iter_modules(compress.architectures.__path__):
        if module.name not in ("architecture", "families", "layer_widths", "cutting"):
            architecture: Architecture = importlib.import_module(f"compress.architectures.{module.name}").ARCHITECTURE
            found.update(dict.fromkeys(architecture.model_types, architecture))
    return found
