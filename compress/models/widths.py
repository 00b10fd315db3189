"""The possible widths of a narrower student: transformers' configs tie the hidden size to heads times head size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compress.core.errors import CompressError
from compress.models.families.families import family
from compress.models.families.layer_widths import widths_of


@dataclass(frozen=True)
class Widths:
    """The three widths of an encoder."""

    hidden: int
    heads: int
    neurons: int

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


def widths(config: Any) -> Widths:
    """The widths in a config."""
    architecture = family(config)
    names = (architecture.hidden_width, architecture.head_count, architecture.ffn_width)
    return Widths(*(int(getattr(config, name)) for name in names))


def narrower(
    config: Any, *, hidden_size: int | None = None, intermediate_size: int | None = None, heads: int | None = None
) -> Widths:
    """The widths of a student of a model with this config.

    - `hidden_size` alone keeps the size of a head, and so the heads become fewer: 384 in 12 heads to 192 is 6 heads;
    - `heads` alone does likewise, so that the hidden width becomes heads * head size;
    - both: a head becomes hidden_size / heads wide, each keeping as many of its dimensions;
    - `intermediate_size` is independent of them.

    Raises:
        CompressError: they cannot be; says which could.
    """
    if widths_of(config) is not None:
        raise CompressError(
            "This model's layers have widths of their own, since heads or neurons were removed from it, so it cannot be made "
            "narrower by one width for all. Narrow the model first and prune it then, or prune it further."
        )
    old, rotary = widths(config), family(config).rotary
    asked = {
        "hidden_size": (hidden_size, old.hidden),
        "heads": (heads, old.heads),
        "intermediate_size": (intermediate_size, old.neurons),
    }
    for name, (width, most) in asked.items():
        if width is not None and not 1 <= width <= most:
            raise CompressError(f"{name} {width} cannot be cut out of the teacher's {most}. Choose 1 to {most}.")
    size = old.head_size
    if heads is None:
        heads = old.heads if hidden_size is None else hidden_size // size
        if hidden_size is not None and hidden_size % size:
            fitting = [width for width in (heads * size, (heads + 1) * size) if width]
            raise CompressError(
                f"hidden_size {hidden_size} is not a multiple of {size}, the size of a head, which is kept unless `heads` is "
                f"given too. Choose {' or '.join(map(str, fitting))}, or give heads."
            )
    new = Widths(hidden_size or heads * size, heads, intermediate_size or old.neurons)
    if new.hidden % heads:
        raise CompressError(
            f"hidden_size {new.hidden} cannot be divided among {heads} heads. Choose a multiple of {heads}."
        )
    if new.head_size > size:
        raise CompressError(
            f"hidden_size {new.hidden} in {heads} heads makes each {new.head_size} wide, but the teacher's are {size}. "
            f"Choose at most {heads * size}, or more heads."
        )
    if rotary and new.head_size != size:
        raise CompressError(
            f"hidden_size {new.hidden} in {heads} heads makes each {new.head_size} wide instead of {size}, but rotary positions "
            f"need a head whole. Choose hidden_size {heads * size}, or give one of the two alone."
        )
    return new
