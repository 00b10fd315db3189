"""Which pieces of a tokenizer can go so that every text still splits into known pieces, and its file without the others.

A tokenizer is the state that `tokenizers` writes as `tokenizer.json`. Of each kind of splitting:

- WordPiece (Schuster & Nakajima 2012) takes the longest piece from the left. With all characters there, some piece always fits.
- BPE (Sennrich et al. 2016) merges pieces in pairs. A piece needs those that it is merged from, and theirs.
- Unigram (Kudo 2018) takes the most likely pieces. An unknown character costs the least probable piece's score and 10 more, so
  that piece stays.

A text whose pieces all stay splits as before: with fewer rivals the longest, the next to be merged, or the most likely is the
same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

KINDS = ("WordPiece", "BPE", "Unigram")
"""Those that split an unknown word; `WordLevel` does not."""
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""A byte of a character that has no piece (`byte_fallback`)."""

State = Mapping[str, Any]


def ids_of(state: State) -> dict[str, int]:
    """The id of each piece and each added token."""
    vocabulary = state["model"]["vocab"]
    if not isinstance(vocabulary, Mapping):
        vocabulary = {piece: place for place, (piece, _) in enumerate(vocabulary)}
    return {**vocabulary, **{token["content"]: token["id"] for token in state["added_tokens"]}}


def required(state: State) -> set[str]:
    """The pieces that cannot go: added tokens, those that the post-processor adds, the unknown token, single characters, bytes,
    and pieces with a character that has none of its own."""
    model, ids = state["model"], ids_of(state)
    found = {token["content"] for token in state["added_tokens"]} | _named(state.get("post_processor"), ids)
    if model["type"] == "Unigram":
        scores = dict(map(tuple, model["vocab"]))
        found |= {min(scores, key=scores.__getitem__)}
        found |= {model["vocab"][model["unk_id"]][0]} if model.get("unk_id") is not None else set()
    elif model.get("unk_token") in ids:
        found.add(model["unk_token"])
    for piece in ids.keys() - found:
        own = characters(piece, model)
        is_byte = model.get("byte_fallback") and BYTE.fullmatch(piece)
        if len(own) < 2 or is_byte or not ids.keys() >= {*own}:
            found.add(piece)
    return found


def characters(piece: str, model: State) -> list[str]:
    """The single characters of a piece as the tokenizer writes them.

    >>> characters("##able", {"type": "WordPiece", "continuing_subword_prefix": "##"})
    ['##a', '##b', '##l', '##e']
    """
    prefix, suffix = (model.get(name) or "" for name in ("continuing_subword_prefix", "end_of_word_suffix"))
    goes_on, ends = piece.startswith(prefix), bool(suffix) and piece.endswith(suffix)
    letters = piece.removeprefix(prefix).removesuffix(suffix)
    found = [f"{prefix if place or goes_on else ''}{letter}" for place, letter in enumerate(letters)]
    return [*found[:-1], found[-1] + suffix] if found and ends else found


def needs(state: State) -> Callable[[str], set[str]]:
    """A function that gives the pieces without which a piece would never come out of a text, itself among them."""
    model = state["model"]
    if model["type"] != "BPE":
        return lambda piece: {piece}
    ids, ranks = ids_of(state), {pair: rank for rank, pair in enumerate(_pairs(model))}

    def merged(piece: str) -> set[str]:
        """Merges its characters as the tokenizer would: in the order of the ranks, from the left."""
        left = characters(piece, model)
        found = {piece, *(one for one in left if one in ids)}
        while len(left) > 1:
            pairs = list(pairwise(left))
            first = min(range(len(pairs)), key=lambda place: (ranks.get(pairs[place], len(ranks)), place))
            if pairs[first] not in ranks:
                break
            left[first : first + 2] = [_joined(pairs[first], model)]
            found.add(left[first])
        return found

    return merged


def chosen(state: State, counts: Mapping[str, int], *, keep: Iterable[str], least: int, most: int | None) -> set[str]:
    """The pieces to keep: the required ones, and the most frequent.

    Args:
        counts: how often each piece was seen.
        keep: further pieces that are required.
        least: a piece is kept for its own sake where it was seen as often.
        most: of the result; None for any number. A required piece stays in any case.
    """
    ids, of_piece = ids_of(state), needs(state)
    found: set[str] = set()
    for piece in {*required(state), *keep}:
        found |= of_piece(piece)
    seen = (piece for piece, count in counts.items() if count >= least and piece in ids)
    for piece in sorted(seen, key=lambda one: (-counts[one], ids[one])):
        if piece in found:
            continue
        more = of_piece(piece) - found
        if most is None or len(found) + len(more) <= most:
            found |= more
    return found


def without_others(state: State, order: Sequence[str]) -> dict[str, Any]:
    """The tokenizer with some of its pieces only, whose places in `order` are their ids.

    Args:
        order: closed under `needs`, added tokens outside the model's own vocabulary last.
    """
    ids, model = {piece: place for place, piece in enumerate(order)}, dict(state["model"])
    if model["type"] == "Unigram":
        scores = dict(map(tuple, model["vocab"]))
        if model.get("unk_id") is not None:
            model["unk_id"] = ids[model["vocab"][model["unk_id"]][0]]
        model["vocab"] = [[piece, scores[piece]] for piece in order if piece in scores]
    else:
        model["vocab"] = {piece: ids[piece] for piece in order if piece in model["vocab"]}
    if model["type"] == "BPE":
        kept = model["vocab"].keys()
        model["merges"] = [list(pair) for pair in _pairs(model) if kept >= {*pair, _joined(pair, model)}]
    padding = state.get("padding")
    return {
        **state,
        "model": model,
        "added_tokens": sorted(
            ({**token, "id": ids[token["content"]]} for token in state["added_tokens"]), key=lambda token: token["id"]
        ),
        "post_processor": _renumbered(state.get("post_processor"), ids),
        "padding": padding and {**padding, "pad_id": ids.get(padding["pad_token"], padding["pad_id"])},
    }


def _pairs(model: State) -> list[tuple[str, str]]:
    """The merges in their order; older files write one as `a b`."""
    found = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
    return [(first, second) for first, second in found]


def _joined(pair: tuple[str, str], model: State) -> str:
    return pair[0] + pair[1].removeprefix(model.get("continuing_subword_prefix") or "")


def _named(value: Any, ids: Mapping[str, int]) -> set[str]:
    """The tokens that a post-processor adds."""
    if isinstance(value, Mapping):
        if "tokens" in value and "ids" in value:
            return {*value["tokens"]}
        return set().union(*(_named(one, ids) for one in value.values()))
    if _is_token(value, ids):
        return {value[0]}
    return set().union(*(_named(one, ids) for one in value)) if isinstance(value, list) else set()


def _renumbered(value: Any, ids: Mapping[str, int]) -> Any:
    """A post-processor with other ids: `{"tokens": [...], "ids": [...]}` of a template, `["[SEP]", 102]` of others."""
    if isinstance(value, Mapping):
        if "tokens" in value and "ids" in value:
            return {**value, "ids": [ids[token] for token in value["tokens"]]}
        return {name: _renumbered(one, ids) for name, one in value.items()}
    if _is_token(value, ids):
        return [value[0], ids[value[0]]]
    return [_renumbered(one, ids) for one in value] if isinstance(value, list) else value


def _is_token(value: Any, ids: Mapping[str, int]) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int) and value[0] in ids
