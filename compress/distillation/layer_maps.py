"""Maps each student layer to the teacher layer that it is matched to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from compress.core.errors import CompressError
from compress.distillation.features import Side

Pairs = tuple[tuple[int, int], ...]
"""Pairs of layers, (student's, teacher's), counted from 0."""
SIDES: tuple[Side, ...] = ("encoder", "decoder")


def maps_by_side(
    text: str, student_layers: Mapping[Side, int], teacher_layers: Mapping[Side, int]
) -> dict[Side, Pairs]:
    """The pairs of layers of each side of an encoder-decoder, or of the only stack of another model (side "").

    `uniform` and `last` are meant for each side, see `layer_map`. Pairs name their side: `encoder.0:1,decoder.0:3`; and so may
    the words: `decoder.last`. A side that is not named then is not matched.

    Args:
        student_layers: how many layers the student has, by side.
        teacher_layers: the teacher's, of the same sides.

    Raises:
        CompressError: as of `layer_map`; or the pairs of an encoder-decoder do not name their side, or those of another
            model do.

    >>> maps_by_side("last", {"encoder": 2, "decoder": 1}, {"encoder": 6, "decoder": 6})
    {'encoder': ((1, 5),), 'decoder': ((0, 5),)}
    >>> maps_by_side("encoder.0:1,decoder.0:3", {"encoder": 2, "decoder": 1}, {"encoder": 6, "decoder": 6})
    {'encoder': ((0, 1),), 'decoder': ((0, 3),)}
    """
    parts = [part.strip() for part in text.split(",")]
    named = [part for part in parts if part.startswith(tuple(f"{side}." for side in SIDES))]
    has_sides = set(student_layers) == set(SIDES)
    if named and not has_sides:
        raise CompressError(
            f"The layer map '{text}' has '{named[0]}', but only encoder-decoders have two sides. Write pairs such as '0:1'."
        )
    if not has_sides or text in ("uniform", "last"):
        return {side: layer_map(text, layers, teacher_layers[side]) for side, layers in student_layers.items()}
    unnamed = next((part for part in parts if part not in named), None)
    if unnamed is not None:
        raise CompressError(
            f"The layer map '{text}' has '{unnamed}', which does not name the encoder or the decoder. Write 'uniform', 'last', "
            "or pairs of a student's and a teacher's layer, counted from 0, such as 'encoder.0:1,decoder.0:1'."
        )
    found: dict[Side, Pairs] = {}
    for side in SIDES:
        own = [part.removeprefix(f"{side}.") for part in parts if part.startswith(f"{side}.")]
        if own:
            found[side] = layer_map(",".join(own), student_layers[side], teacher_layers[side])
    return found


def layer_map(text: str, student_layers: int, teacher_layers: int) -> Pairs:
    """Pairs of layers, (student's, teacher's), counted from 0, in order.

    `uniform` spreads the student's layers evenly over the teacher's and ends at the last of both (TinyBERT's g(m) = 3m
    for 4 and 12 layers: Jiao et al. 2020, section 3.1); `last` pairs the two last ones (MiniLM: Wang et al. 2020);
    `0:1,1:3` says it pair by pair.

    Raises:
        CompressError: the text is none of these, or names a layer that is not there.

    >>> layer_map("uniform", 3, 6)
    ((0, 1), (1, 3), (2, 5))
    >>> layer_map("last", 3, 6)
    ((2, 5),)
    >>> layer_map("0:1,2:5", 3, 6)
    ((0, 1), (2, 5))
    """
    if text == "uniform":
        return tuple((layer, -(-(layer + 1) * teacher_layers // student_layers) - 1) for layer in range(student_layers))
    if text == "last":
        return ((student_layers - 1, teacher_layers - 1),)
    pairs = explicit_pairs(text)
    for side, layers, total in (("student", 0, student_layers), ("teacher", 1, teacher_layers)):
        beyond = [pair[layers] for pair in pairs if pair[layers] >= total]
        if beyond:
            raise CompressError(
                f"The layer map '{text}' names layer {beyond[0]} of the {side}, whose layers are 0 to {total - 1}. "
                "Correct it, or use 'uniform' or 'last'."
            )
    return pairs


def explicit_pairs(text: str) -> Pairs:
    """The pairs of a map such as `0:1,1:3`, sorted.

    Raises:
        CompressError: it is no such list, or has a pair twice.
    """
    parts = [part.strip() for part in text.split(",")]
    found = [re.fullmatch(r"(\d+)\s*:\s*(\d+)", part) for part in parts]
    wrong = next((part for part, match in zip(parts, found, strict=True) if match is None), None)
    if wrong is not None:
        raise CompressError(
            f"The layer map '{text}' has '{wrong}', which is not a pair of layers. Write 'uniform', 'last', or pairs of a "
            "student's and a teacher's layer, counted from 0, such as '0:1,1:3'."
        )
    pairs = sorted((int(match[1]), int(match[2])) for match in found if match)
    twice = next((pair for pair in pairs if pairs.count(pair) > 1), None)
    if twice:
        raise CompressError(f"The layer map '{text}' has the pair {twice[0]}:{twice[1]} twice. Keep one.")
    return tuple(pairs)
