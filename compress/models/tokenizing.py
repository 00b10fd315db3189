"""Opens a folder's tokenizer, and refuses one that does not fit the model.

Where a folder has no tokenizer, transformers 5 makes one of five special tokens, to which every word is unknown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.core.progress import warn
from compress.models.pretrained import config, first_line, quiet, raw_config, trusts_remote_code
from compress.models.reading_length import fitted

TRIAL = "A text, 1 to try: a b c ☃"
"""Words, digits, signs and what no vocabulary has."""
VOCABULARIES = ("vocab_file", "merges_file", "spm_file", "source_spm", "target_spm", "vocab", "src_vocab_file")
"""What transformers calls the files that a class of tokenizer cannot do without. Byte-level ones (ByT5) have none."""
CONVERTED = ("tekken.json", "tokenizer.model*", "tiktoken.model")
"""What transformers reads in their place."""


def tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder.

    Raises:
        CompressError: there is none, it knows no words, or it gives tokens for which the model has no embedding.
    """
    from transformers import AutoTokenizer

    with quiet(), panics_in_words(folder):
        try:
            found = AutoTokenizer.from_pretrained(folder, trust_remote_code=trusts_remote_code())
            ids = _tried(found)
        except Exception as error:
            if "trust_remote_code" not in str(error) and (folder / "config.json").is_file():
                config(folder)  # the tokenizer's class hangs on it, so it may be what is wrong
            raise CompressError(f"{folder} has no readable tokenizer ({first_line(error)}).") from error
    missing = _missing_files(folder, found)
    if missing:
        raise CompressError(
            f"{folder} lacks its tokenizer: there is no tokenizer.json, and no {missing} that {type(found).__name__} reads, "
            "or an empty one. Save the tokenizer beside the model (`tokenizer.save_pretrained`), or copy its files there."
        )
    _check_length(folder, found)
    _check_ids(folder, found, ids)
    _pad_as_the_classifier_(found, folder)
    return fitted(found, config(folder)) if (folder / "config.json").is_file() else found


def _pad_as_the_classifier_(its_tokenizer: Any, folder: Path) -> None:
    """If a tokenizer has no padding token (GPT-2's), uses the one in a classifier's config, which marks the end of a text."""
    raw = raw_config(folder) if (folder / "config.json").is_file() else {}
    padding = raw.get("pad_token_id")
    if (
        its_tokenizer.pad_token_id is None
        and "SequenceClassification" in str(raw.get("architectures"))
        and isinstance(padding, int)
        and 0 <= padding < len(its_tokenizer)
    ):
        its_tokenizer.pad_token = its_tokenizer.convert_ids_to_tokens(padding)


def _tried(its_tokenizer: Any) -> list[int]:
    """The ids that it gives, none where a text alone has none; a tokenizer.json may name tokens that it does not have, which
    shows only now."""
    alone: list[int] = its_tokenizer(TRIAL)["input_ids"]
    with suppress(Exception):  # not every tokenizer takes pairs
        return [*alone, *its_tokenizer(TRIAL, TRIAL)["input_ids"]] if alone else []
    return alone


def _missing_files(folder: Path, its_tokenizer: Any) -> str:
    """The files of its class that a tokenizer was made without; without them transformers makes one of special tokens alone."""
    if any(folder.glob("tokenizer.json")) or any(folder.glob("tokenizer.*.json")):
        return ""
    named = {what: name for what, name in type(its_tokenizer).vocab_files_names.items() if what in VOCABULARIES}
    if any(file for pattern in CONVERTED for file in folder.glob(pattern)):
        named = {what: name for what, name in named.items() if what not in ("vocab_file", "spm_file", "merges_file")}
    return " and no ".join(name for name in named.values() if not _holds_something(folder / name))


def _holds_something(file: Path) -> bool:
    """Whether a file has more than a first comment (`#version: 0.2` of merges): without merges, words are split into letters."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        start = stream.read(200).strip()
    return bool(start) and (not start.startswith(b"#version") or b"\n" in start)


def _check_length(folder: Path, its_tokenizer: Any) -> None:
    longest = its_tokenizer.model_max_length
    if isinstance(longest, bool) or not isinstance(longest, int) or longest < 1:
        raise CompressError(
            f"The tokenizer in {folder} has a limit of {str(longest)[:50]} tokens (model_max_length in its config). "
            "Write the number of tokens that the model reads, for example 512."
        )


def _check_ids(folder: Path, its_tokenizer: Any, tried: list[int]) -> None:
    """tried: the ids of a text."""
    ids = {*its_tokenizer.get_vocab().values(), *tried}
    if len(ids) <= len(set(its_tokenizer.all_special_ids)):
        raise CompressError(
            f"The tokenizer in {folder} has special tokens only ({len(ids)}), so every word would be unknown. "
            "Copy the files of the tokenizer that the model was trained with."
        )
    if not tried:
        raise CompressError(f"The tokenizer in {folder} gives no tokens for a text: copy or download its files again.")
    rows = _embeddings(folder)
    if rows is None:
        return
    if max(ids) >= rows:
        token = its_tokenizer.convert_ids_to_tokens(max(ids))
        raise CompressError(
            f"The tokenizer in {folder} has the token {token!r} with the id {max(ids)}, but the model has embeddings for "
            f"{rows} tokens only. Resize the model (`resize_token_embeddings`) and save it, or use its own tokenizer."
        )
    if 2 * len(ids) < rows:
        warn(
            f"{folder.name}: its tokenizer has {len(ids):,} tokens, and the model embeddings for {rows:,}. "
            "Check that the two match."
        )


def _embeddings(folder: Path) -> int | None:
    """The number of embeddings of the model in a folder, by its config; None if unknown."""
    if not (folder / "config.json").is_file():
        return None
    rows = raw_config(folder).get("vocab_size")
    if rows is None:
        with suppress(CompressError):  # code of its own that is not run: the model's opening says so
            rows = getattr(config(folder).get_text_config(), "vocab_size", None)
    return rows if isinstance(rows, int) else None


@contextmanager
def panics_in_words(folder: Path) -> Iterator[None]:
    """A panic of the tokenizers library, which is not an Exception and prints its frames itself, becomes one line."""
    kept = os.dup(2)
    try:
        sys.stderr.flush()
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise CompressError(
            f"{folder} has no usable tokenizer ({first_line(error)}). Copy or download its files again."
        ) from error
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
