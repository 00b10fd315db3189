"""The setting for layers to keep: how many, or which."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

HOW = "write a number of layers (3), or the indices of those that stay (0,2,5)"


def _count_or_indices(given: Any) -> Any:
    """YAML gives a number or a list of numbers, the command line a list of texts, of which a single one is a count."""
    if isinstance(given, list | tuple) and len(given) == 1 and isinstance(given[0], str):
        given = given[0]
    try:
        if isinstance(given, list | tuple):
            found: Any = tuple(int(one) for one in given)
        else:
            found = None if given is None else int(given)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(HOW) from None
    if found == () or (isinstance(found, int) and found < 1):
        raise ValueError("keep at least one layer")
    return found


Layers = Annotated[int | tuple[int, ...] | None, BeforeValidator(_count_or_indices)]
"""The type of such a setting; None where layers are not chosen."""
