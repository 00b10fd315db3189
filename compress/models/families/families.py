"""Finds the family of a model by its config's `model_type`."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import compress.models.families
from compress.core.errors import CompressError, listing
from compress.models.families.architecture import Architecture

MARK = re.compile(r"^ARCHITECTURE\b.*=", re.MULTILINE)
"""What makes a file here a family."""


def family(config: Any) -> Architecture:
    """The architecture of a model, by its config.

    Raises:
        CompressError: no file here describes it; lists the types there are.
    """
    known = architectures()
    if config.model_type not in known:
        raise CompressError(
            f"Models of type '{config.model_type}' are not supported, so their layers cannot be chosen. "
            f"Known types: {listing(known)}."
        )
    found = known[config.model_type]
    return found if found.variant is None else found.variant(config)


def stack(config: Any, side: str = "") -> Architecture:
    """The stack of layers that is meant: of an encoder-decoder the one on this side, else the only one.

    Args:
        side: `encoder` or `decoder`; empty: the decoder, where there are two.

    Raises:
        CompressError: the family is unknown, or there is no such side.
    """
    if side not in ("", "encoder", "decoder"):
        raise CompressError(f"Unknown stack '{side}'. Choose encoder or decoder.")
    found = family(config)
    return found if side == "encoder" else found.stacks[-1]


@cache
def architectures() -> dict[str, Architecture]:
    """All families with a file here, by `model_type`."""
    found: dict[str, Architecture] = {}
    files = [file for folder in compress.models.families.__path__ for file in sorted(Path(folder).glob("*.py"))]
    for file in files:
        if MARK.search(file.read_text(encoding="utf-8")):
            architecture: Architecture = importlib.import_module(f"compress.models.families.{file.stem}").ARCHITECTURE
            found.update(dict.fromkeys(architecture.model_types, architecture))
    return found
