"""A tokenizer with some of its pieces only, of the same class and with the same settings, and the ids that stay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compress.core.errors import CompressError
from compress.models.pretrained import first_line, quiet
from compress.pruning.pieces import KINDS, State, ids_of, without_others

ANY_CLASS = "PreTrainedTokenizerFast"
"""The class that takes a `tokenizer.json` as it is; others of transformers build the tokenizer again by rules of their own."""
OF_A_CALL = ("truncation", "padding")
"""What earlier calls leave behind in a state."""


@dataclass(frozen=True)
class Trimmed:
    """A tokenizer with fewer pieces."""

    tokenizer: Any
    ids: tuple[int, ...]
    """The former id of each of its ids."""


def state_of(its_tokenizer: Any) -> State:
    """What `tokenizer.json` holds.

    Raises:
        CompressError: the tokenizer is not a fast one, or does not split unknown words.
    """
    backend = getattr(its_tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise CompressError(
            f"{type(its_tokenizer).__name__} has no tokenizer.json form, so its vocabulary cannot be trimmed. Choose another "
            "method, such as structured or layers."
        )
    state: State = json.loads(backend.to_str())
    kind = state["model"].get("type")
    if kind not in KINDS:
        raise CompressError(
            f"The tokenizer is of the type {kind}, which does not split unknown words: without a piece, a word would become "
            f"unknown. Only {', '.join(KINDS)} vocabularies can be trimmed; choose another method, such as structured or layers."
        )
    return state


def trimmed(its_tokenizer: Any, kept: set[str]) -> Trimmed:
    """The tokenizer without all other pieces.

    Args:
        kept: closed, see `compress.pruning.pieces.chosen`.

    Raises:
        CompressError: transformers cannot open the result as it was written.
    """
    state = state_of(its_tokenizer)
    former = ids_of(state)
    order = _in_order(state, kept, its_tokenizer.pad_token)
    made = _reopened(its_tokenizer, without_others(state, order))
    return Trimmed(made, tuple(former[piece] for piece in order))


def _in_order(state: State, kept: set[str], padding: str | None) -> list[str]:
    """The pieces in the order of their former ids. The padding token keeps its id where it can: RoBERTa counts positions from
    it."""
    former, own = ids_of(state), state["model"]["vocab"]
    own = own if isinstance(own, Mapping) else dict(map(tuple, own))
    order = sorted(kept, key=lambda piece: (piece not in own, former[piece]))
    if padding is not None and padding in own and former[padding] < sum(piece in own for piece in order):
        order.remove(padding)
        order.insert(former[padding], padding)
    return order


def _reopened(its_tokenizer: Any, state: Mapping[str, Any]) -> Any:
    """The tokenizer of a state as a later command will open it: of its own class, or of the general one where its own builds
    another one of the same file."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    text = json.dumps(state, ensure_ascii=False)
    wanted = _essence(Tokenizer.from_str(text))
    reason = "its file opens as another tokenizer"
    with TemporaryDirectory() as name, quiet():
        folder = Path(name)
        its_tokenizer.save_pretrained(folder)
        (folder / "tokenizer.json").write_text(text, encoding="utf-8")
        for opener in (type(its_tokenizer), PreTrainedTokenizerFast):
            _settle(folder / "tokenizer_config.json", state, opener.__name__)
            try:
                found = opener.from_pretrained(folder)
            except Exception as error:  # each class raises its own kinds
                reason = first_line(error)
                continue
            if _essence(found.backend_tokenizer) == wanted:
                return found
    raise CompressError(
        f"The trimmed {type(its_tokenizer).__name__} cannot be opened again ({reason}). Choose another method, such as "
        "structured or layers."
    )


def _settle(file: Path, state: Mapping[str, Any], name: str) -> None:
    """Puts the class, and the ids of added tokens where they are listed, into a tokenizer_config.json."""
    settings = json.loads(file.read_bytes())
    if "added_tokens_decoder" in settings:
        ids = {token["content"]: token["id"] for token in state["added_tokens"]}
        listed = settings["added_tokens_decoder"].values()
        settings["added_tokens_decoder"] = {str(ids[one["content"]]): one for one in listed if one["content"] in ids}
    settings["tokenizer_class"] = name
    file.write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")


def _essence(backend: Any) -> dict[str, Any]:
    """What decides the ids of a text."""
    return {name: value for name, value in json.loads(backend.to_str()).items() if name not in OF_A_CALL}
