"""The possible widths of a narrower student: transformers' configs mostly tie the hidden size to heads times head size."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compress.core.errors import CompressError
from compress.models.families.architecture import Architecture
from compress.models.families.blocks import group_size, hidden_width
from compress.models.families.blocks import head_size as size_of_heads
from compress.models.families.families import family
from compress.models.families.layer_widths import refusal, widths_of


@dataclass(frozen=True)
class Widths:
    """The widths of one stack of layers: an encoder, or a decoder."""

    hidden: int
    heads: int
    """Of queries; in grouped-query attention those of keys and values are fewer."""
    neurons: int
    own_head_size: int | None = None
    """Where a family's config has the size of a head apart from hidden / heads (T5, Llama)."""

    @property
    def head_size(self) -> int:
        return self.own_head_size or self.hidden // self.heads


def widths(config: Any, stack: Architecture | None = None) -> Widths:
    """The widths in a config.

    Args:
        stack: of an encoder-decoder, which of the two; by default the encoder.
    """
    one = family(config) if stack is None else stack
    hidden = hidden_width(config)
    neurons = getattr(config, one.ffn_width) or 4 * hidden  # GPT-2's config may leave it out
    return Widths(
        hidden,
        int(getattr(config, one.head_count)),
        int(neurons),
        size_of_heads(config, one) if one.head_width else None,
    )


def all_widths(config: Any) -> tuple[Widths, ...]:
    """The widths of each stack of layers; of an encoder-decoder, the encoder's come first."""
    return tuple(widths(config, stack) for stack in family(config).stacks)


def narrower(
    config: Any, *, hidden_size: int | None = None, intermediate_size: int | None = None, heads: int | None = None
) -> tuple[Widths, ...]:
    """The widths of a student of a model with this config, by stack; an encoder-decoder's have one hidden width.

    - `hidden_size` alone keeps the size of a head, and so the heads become fewer: 384 in 12 heads to 192 is 6 heads;
    - `heads` alone does likewise, so that the hidden width becomes heads * head size;
    - both: a head becomes hidden_size / heads wide, each keeping as many of its dimensions;
    - `intermediate_size` is independent of them.

    Where a config has the size of a head apart (T5, Llama and its relatives), that size stays, and `hidden_size` and `heads` are
    independent too.

    Raises:
        CompressError: they cannot be; says which could.
    """
    if widths_of(config) is not None:
        raise CompressError(
            "This model's layers have widths of their own, since heads or neurons were removed from it, so it cannot be made "
            "narrower by one width for all. Narrow the model first and prune it then, or prune it further."
        )
    new = tuple(_narrower(config, stack, hidden_size, intermediate_size, heads) for stack in family(config).stacks)
    if len({one.hidden for one in new}) > 1:
        raise CompressError(
            f"{heads} heads make the encoder {new[0].hidden} wide and the decoder {new[-1].hidden}, since their heads have "
            "unlike sizes. Give hidden_size instead."
        )
    if family(config).head_width:
        _check_accepted(config, new)
    return new


def check_narrows(config: Any, *, generates: bool) -> None:
    """Raises a CompressError where no model with this config can be made narrower: a classifier with a decoder."""
    if not generates and not family(config).classifier:
        raise CompressError(
            f"This {config.model_type} model is a classifier with a decoder, and only encoders and generative models can be made "
            "narrower. Choose fewer layers instead."
        )


def narrowed(config: Any, new: Sequence[Widths], *, embeddings_follow: bool = True) -> Any:
    """A copy of a config with these widths, by stack.

    Args:
        embeddings_follow: whether embeddings as wide as the hidden states become narrower with them.
    """
    architecture, made = family(config), copy.deepcopy(config)
    old = widths(config).hidden
    follows = [*architecture.also_hidden_width, *([architecture.embedding_width] if embeddings_follow else [])]
    for name in follows:
        if name and getattr(config, name, None) == old:
            setattr(made, name, new[0].hidden)
    for stack, one in zip(architecture.stacks, new, strict=True):
        setattr(made, stack.hidden_width, one.hidden)
        setattr(made, stack.head_count, one.heads)
        setattr(made, stack.ffn_width, one.neurons)
        if stack.key_value_head_count:
            setattr(made, stack.key_value_head_count, one.heads // group_size(config, stack))
        if one.own_head_size is not None:
            setattr(made, stack.head_width, one.own_head_size)
    return made


def change_in_words(before: Sequence[Widths], after: Sequence[Widths]) -> str:
    """What became of a model's widths.

    >>> change_in_words([Widths(64, 4, 128)], [Widths(48, 3, 128)])
    'hidden width 64 to 48, heads 4 to 3, feed-forward 128 to 128'
    """
    told = [
        f"hidden width {old.hidden} to {new.hidden}, heads {old.heads} to {new.heads}, "
        f"feed-forward {old.neurons} to {new.neurons}"
        for old, new in zip(before, after, strict=True)
    ]
    if len(set(told)) == 1:
        return told[0]
    return "; ".join(f"{side} {words}" for side, words in zip(("encoder", "decoder"), told, strict=True))


def _narrower(
    config: Any, stack: Architecture, hidden_size: int | None, intermediate_size: int | None, heads: int | None
) -> Widths:
    old = widths(config, stack)
    asked = {
        "hidden_size": (hidden_size, old.hidden),
        "heads": (heads, old.heads),
        "intermediate_size": (intermediate_size, old.neurons),
    }
    for name, (width, most) in asked.items():
        if width is not None and not 1 <= width <= most:
            raise CompressError(f"{name} {width} cannot be cut out of the teacher's {most}. Choose 1 to {most}.")
    neurons = intermediate_size or old.neurons
    if old.own_head_size is None:
        new = _of_tied_heads(stack, old, hidden_size, heads, neurons)
    else:
        new = Widths(hidden_size or old.hidden, heads or old.heads, neurons, old.own_head_size)
    group = group_size(config, stack)
    if new.heads % group:
        fewer = new.heads // group * group
        fitting = [count for count in (fewer, fewer + group) if count]
        raise CompressError(
            f"heads {new.heads} is not a multiple of {group}, the query heads that share a head of keys and values. "
            f"Choose {' or '.join(map(str, fitting))}."
        )
    if stack.sinusoidal and new.hidden != old.hidden:
        raise CompressError(
            f"A {config.model_type} model's positions are sines that its hidden size of {old.hidden} determines, so it stays. "
            "Choose intermediate_size, fewer layers, or `compress prune --method structured`."
        )
    return new


def _of_tied_heads(
    stack: Architecture, old: Widths, hidden_size: int | None, heads: int | None, neurons: int
) -> Widths:
    """The widths where the heads together are as wide as the hidden states."""
    size = old.head_size
    if heads is None:
        heads = old.heads if hidden_size is None else hidden_size // size
        if hidden_size is not None and hidden_size % size:
            fitting = [width for width in (heads * size, (heads + 1) * size) if width]
            raise CompressError(
                f"hidden_size {hidden_size} is not a multiple of {size}, the size of a head, which is kept unless `heads` is "
                f"given too. Choose {' or '.join(map(str, fitting))}, or give heads."
            )
    new = Widths(hidden_size or heads * size, heads, neurons)
    if new.hidden % heads:
        raise CompressError(
            f"hidden_size {new.hidden} cannot be divided among {heads} heads. Choose a multiple of {heads}."
        )
    if new.head_size > size:
        raise CompressError(
            f"hidden_size {new.hidden} in {heads} heads makes each {new.head_size} wide, but the teacher's are {size}. "
            f"Choose at most {heads * size}, or more heads."
        )
    if stack.rotary and new.head_size != size:
        raise CompressError(
            f"hidden_size {new.hidden} in {heads} heads makes each {new.head_size} wide instead of {size}, but rotary positions "
            f"need a head whole. Choose hidden_size {heads * size}, or give one of the two alone."
        )
    return new


def _check_accepted(config: Any, new: Sequence[Widths]) -> None:
    """Raises a CompressError where transformers refuses a config with these widths."""
    reason = refusal(narrowed(config, new))
    if not reason:
        return
    hidden, heads = new[0].hidden, new[0].heads
    what = f"transformers opens no {config.model_type} model of hidden_size {hidden} with {heads} heads"
    if hidden % heads == 0:
        raise CompressError(
            f"{what}: {reason}. Keep hidden size and heads, and choose intermediate_size or fewer layers."
        )
    fewer = hidden // heads * heads
    fitting = [width for width in (fewer, fewer + heads) if 0 < width <= widths(config).hidden]
    raise CompressError(
        f"{what}, since the one is not a multiple of the other. Choose hidden_size {' or '.join(map(str, fitting))}."
    )
