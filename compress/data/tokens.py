"""Tokenizes rows, and counts those that were too long for the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.core.progress import warn
from compress.data.splits import ROWS, arrow_rows, default_cache
from compress.data.word_pieces import encoded_words, for_words
from compress.tasks.kinds.kind import Encode

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 1000
KEPT = ("label", "row_hash")


@dataclass(frozen=True)
class Tokenized:
    """Token ids of a split's rows, in their order.

    `rows` has what the tokenizer gives (`input_ids`, `attention_mask`, `token_type_ids` where the model has them; lists without
    padding), and `label` and `row_hash` as they were; of sentences that come as words `word_ids` and, where they are tagged,
    `labels` by token as well (see `compress.data.word_pieces`). `words_without_tokens` are words that the tokenizer makes nothing
    of: no model answers for them. `truncated` of the rows were longer than `max_length` tokens and were cut
    (a pair at its longer text); `longest` is the length in tokens, before any cut, of the longest row.
    """

    rows: Dataset
    max_length: int
    truncated: int
    longest: int
    words_without_tokens: int = 0


def tokenize(
    rows: Dataset, tokenizer: Any, max_length: int, cache: Path | None = None, *, encode: Encode | None = None
) -> Tokenized:
    """Tokenizes rows with the columns `text` (a text, or a list of words) and, for pairs, `text_pair`; kept in `cache` and read
    in place from there.

    Args:
        encode: that of a kind with rows of its own, see `compress.tasks.kinds.kind.Kind.encode`: what it gives is kept in memory.

    Raises:
        CompressError: `max_length` leaves no room for text, the tokenizer fails, or it cannot tell words.
    """
    from datasets import Dataset, Value

    if encode is not None:
        counts = {"truncated": 0, "longest": 0}
        with _tokenizer_errors():
            columns = encode(rows[:], tokenizer, max_length, counts)
        return Tokenized(Dataset.from_dict(columns), max_length, **counts)
    of_words = not isinstance(rows.features["text"], Value)
    if of_words:
        tokenizer = for_words(tokenizer)
    least = tokenizer.num_special_tokens_to_add(pair="text_pair" in rows.column_names) + 1
    if max_length < least:
        raise CompressError(f"max_length {max_length} leaves no room for text: this tokenizer needs at least {least}.")
    decided_by = f"{rows._fingerprint}|{tokenizer_identity(tokenizer)}|{max_length}{'|words' * of_words}"
    key = hashlib.sha256(decided_by.encode()).hexdigest()[:32]
    kept = entry(
        (cache or default_cache()) / "tokens" / key,
        lambda folder: _write(folder / ROWS, rows, tokenizer, max_length),
    )
    without = kept.facts.get("words_without_tokens", 0)
    if without:
        warn(
            f"The tokenizer makes no tokens of {without:,} words (such as a lone control character), so no model tags them."
        )
    found = arrow_rows(kept.folder / ROWS, key)
    return Tokenized(found, max_length, kept.facts["truncated"], kept.facts["longest"], without)


def same_tokenizer(one: Any, other: Any) -> bool:
    """Whether two tokenizers give the same ids for any text."""
    return tokenizer_identity(one) == tokenizer_identity(other)


def tokenizer_identity(tokenizer: Any) -> str:
    """Everything that determines a tokenizer's ids: its whole state for the fast kind, its class and vocabulary otherwise."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        state = json.loads(backend.to_str())
        # What earlier calls left behind, not part of what this tokenizer is.
        state.pop("truncation", None)
        state.pop("padding", None)
        text = json.dumps(state, sort_keys=True)
    else:
        text = json.dumps([type(tokenizer).__name__, sorted(tokenizer.get_vocab().items()), repr(tokenizer)])
    names = ",".join(tokenizer.model_input_names)
    return hashlib.sha256(f"{names}|{tokenizer.truncation_side}|{text}".encode()).hexdigest()


def _write(path: Path, rows: Dataset, tokenizer: Any, max_length: int) -> Mapping[str, int]:
    from datasets import Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    kept = [name for name in KEPT if name in rows.column_names]
    counts = {"truncated": 0, "longest": 0}
    writer = None
    try:
        for batch in rows.iter(batch_size=BATCH):
            columns = encoded(batch, tokenizer, max_length, counts)
            if writer is None:
                features = {name: List(Value("int32")) for name in columns} | {
                    name: rows.features[name] for name in kept
                }
                writer = ArrowWriter(features=Features(features), path=str(path), writer_batch_size=BATCH)
            writer.write_batch(columns | {name: batch[name] for name in kept})
        if writer is None:
            raise CompressError("There are no rows to tokenize.")
        writer.finalize()
    finally:
        if writer is not None:
            writer.close()
    return counts


def encoded(
    batch: Mapping[str, Any], tokenizer: Any, max_length: int, counts: dict[str, int]
) -> dict[str, list[list[int]]]:
    """The tokenized texts, without padding: first in full, to find those too long; then these again, truncated.

    Args:
        batch: `text`, and `text_pair` for pairs; or as `text` the words of each sentence, and `label` where they are tagged.
        counts: `truncated` and `longest` are kept up to date in it.

    Raises:
        CompressError: the tokenizer fails.
    """
    pairs = batch.get("text_pair")
    with _tokenizer_errors():
        if not isinstance(batch["text"][0], str):
            return encoded_words(batch["text"], batch.get("label"), for_words(tokenizer), max_length, counts)
        return _encoded(batch["text"], pairs, tokenizer, max_length, counts)


@contextmanager
def _tokenizer_errors() -> Iterator[None]:
    """Whatever a tokenizer raises as a CompressError: its Rust part panics with an error that is no `Exception`."""
    try:
        yield
    except CompressError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CompressError(
            f"The tokenizer cannot encode the texts ({reason[:200]}). Put the tokenizer of its training beside it."
        ) from error


def _encoded(
    texts: Sequence[str], pairs: Sequence[str] | None, tokenizer: Any, max_length: int, counts: dict[str, int]
) -> dict[str, list[list[int]]]:
    whole = tokenizer(texts, pairs, truncation=False, padding=False, verbose=False)
    lengths = [len(ids) for ids in whole["input_ids"]]
    counts["longest"] = max(counts["longest"], *lengths)
    long = [index for index, length in enumerate(lengths) if length > max_length]
    counts["truncated"] += len(long)
    columns = {name: list(values) for name, values in whole.items()}
    if long:
        cut = tokenizer(
            [texts[index] for index in long],
            [pairs[index] for index in long] if pairs is not None else None,
            truncation=True,
            max_length=max_length,
            padding=False,
        )
        for name, values in columns.items():
            for place, index in enumerate(long):
                values[index] = cut[name][place]
    return columns
