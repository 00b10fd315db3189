"""Tokenizes sentences that are lists of words: the word of each token, and the label of each token.

The first piece of a word has its tag, the other pieces and the special tokens have none (-100), as in the `run_ner` example of
transformers. So a word is answered once, however many pieces it has.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from compress.core.errors import CompressError
from compress.core.labels import NO_LABEL

WORD_IDS, LABELS = "word_ids", "labels"
NO_WORD = -1


def for_words(tokenizer: Any) -> Any:
    """The tokenizer as words need it: one of bytes (RoBERTa, GPT-2) puts a space before each, as in running text.

    Raises:
        CompressError: it cannot tell which piece belongs to which word.
    """
    if not tokenizer.is_fast:
        raise CompressError(
            f"The tokenizer ({type(tokenizer).__name__}) does not say which piece belongs to which word, so it tags no words. "
            "Put its fast version (tokenizer.json) beside the model."
        )
    splitter = tokenizer.backend_tokenizer.pre_tokenizer
    if splitter is None or not _with_spaces(json.loads(splitter.__getstate__())):
        return tokenizer
    if tokenizer not in _READY:
        from tokenizers import Tokenizer

        state = json.loads(tokenizer.backend_tokenizer.to_str())
        _with_spaces(state["pre_tokenizer"])
        ready = copy.deepcopy(tokenizer)
        ready._tokenizer = Tokenizer.from_str(json.dumps(state))
        ready.add_prefix_space = True
        _READY[tokenizer] = ready
    return _READY[tokenizer]


_READY: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""To a tokenizer the one with spaces, since it is asked for with every batch and takes a copy of the vocabulary."""


def _with_spaces(pre_tokenizer: Any) -> bool:
    """Switches the space before a word on, wherever bytes are split; whether it was off."""
    if not isinstance(pre_tokenizer, dict):
        return False
    inner = [_with_spaces(one) for one in pre_tokenizer.get("pretokenizers", ())]
    changed = pre_tokenizer.get("type") == "ByteLevel" and not pre_tokenizer.get("add_prefix_space", True)
    if changed:
        pre_tokenizer["add_prefix_space"] = True
    return changed or any(inner)


def encoded_words(
    sentences: Sequence[Sequence[str]],
    tags: Sequence[Sequence[int]] | None,
    tokenizer: Any,
    max_length: int,
    counts: dict[str, int],
) -> dict[str, list[list[int]]]:
    """The tokenized sentences, without padding, truncated at `max_length`.

    Args:
        sentences: the words of each.
        tags: the id of each word's tag; None where they are not known.
        tokenizer: as `for_words` gives it.
        counts: `truncated`, `longest` and `words_without_tokens` are kept up to date in it.

    Returns:
        Besides the model's inputs `word_ids`, the place of each token's word in its sentence, -1 for special tokens; and with
        tags `labels`, each token's. All lists are as long as their `input_ids`.
    """
    whole = tokenizer([list(words) for words in sentences], is_split_into_words=True, verbose=False)
    counts["longest"] = max(counts["longest"], *(len(ids) for ids in whole["input_ids"]))
    words_of = [_word_ids(whole, row) for row in range(len(sentences))]
    columns = {name: list(values) for name, values in whole.items()}
    for row, sentence in enumerate(sentences):
        there = len({word for word in words_of[row] if word != NO_WORD})
        counts["words_without_tokens"] = counts.get("words_without_tokens", 0) + len(sentence) - there
    long = [row for row, ids in enumerate(whole["input_ids"]) if len(ids) > max_length]
    counts["truncated"] += len(long)
    if long:
        cut = tokenizer(
            [list(sentences[row]) for row in long], is_split_into_words=True, truncation=True, max_length=max_length
        )
        for place, row in enumerate(long):
            words_of[row] = _word_ids(cut, place)
            for name, values in columns.items():
                values[row] = cut[name][place]
    columns[WORD_IDS] = words_of
    if tags is not None:
        columns[LABELS] = [labels_of(words, known) for words, known in zip(words_of, tags, strict=True)]
    return columns


def _word_ids(encoding: Any, row: int) -> list[int]:
    return [NO_WORD if word is None else word for word in encoding.word_ids(row)]


def word_starts(word_ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """The first token of each word, [tokens], boolean.

    >>> word_starts([-1, 0, 0, 1, -1]).tolist()
    [False, True, False, True, False]
    """
    words = np.asarray(word_ids)
    return (words != NO_WORD) & (words != np.concatenate([[NO_WORD], words[:-1]]))


def labels_of(word_ids: Sequence[int], tags: Sequence[int]) -> list[int]:
    """The label of each token, [tokens]: the tag of a word at its first piece, -100 elsewhere.

    >>> labels_of([-1, 0, 0, 1, -1], [3, 0])
    [-100, 3, -100, 0, -100]
    """
    return [tags[word] if starts else NO_LABEL for word, starts in zip(word_ids, word_starts(word_ids), strict=True)]
