"""Token ids are the tokenizer's own, and what was cut is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.loading import load, resolve, tokenize

WORDS = ["the", "boat", "sails", "and", "a", "ship", "sinks", "in", "storm", "of", "two"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


def rows(tmp_path: Path, *lines: str, task: str = "sst2", header: str = "sentence\tlabel") -> Any:
    (tmp_path / "dev.tsv").write_text("\n".join([header, *lines]) + "\n")
    return load(*resolve({"name": task, "data": str(tmp_path)}), "evaluation", tmp_path / "cache").rows


def test_ids_are_the_tokenizers_and_labels_and_row_hashes_stay(tmp_path: Path, tokenizer: Any) -> None:
    source = rows(tmp_path, "the boat sails\t1", "a ship sinks in a storm\t0")
    found = tokenize(source, tokenizer, 32, tmp_path / "cache")
    assert found.rows["input_ids"][:] == [tokenizer(text)["input_ids"] for text in source["text"]]
    assert found.rows["label"][:] == [1, 0]
    assert found.rows["row_hash"][:] == source["row_hash"][:]
    assert (found.truncated, found.longest) == (0, 8)


def test_rows_that_are_too_long_are_cut_and_counted(tmp_path: Path, tokenizer: Any) -> None:
    source = rows(tmp_path, "the boat\t1", "the boat sails and a ship sinks\t0", "a ship sinks in a storm\t0")
    found = tokenize(source, tokenizer, 5, tmp_path / "cache")
    assert found.rows["input_ids"][:] == [
        tokenizer(text, truncation=True, max_length=5)["input_ids"] for text in source["text"]
    ]
    assert (found.truncated, found.longest) == (2, 9)


def test_a_pair_is_cut_at_its_longer_text(tmp_path: Path, tokenizer: Any) -> None:
    header = "index\tsentence1\tsentence2\tlabel"
    source = rows(tmp_path, "0\tthe boat\tthe ship sinks in a storm\t0", task="wnli", header=header)
    (ids,) = tokenize(source, tokenizer, 8, tmp_path / "cache").rows["input_ids"]
    assert tokenizer.decode(ids) == "[CLS] the boat [SEP] the ship sinks [SEP]"


def test_the_same_rows_and_tokenizer_are_tokenized_once_whatever_the_tokenizer_did_between(
    tmp_path: Path, tokenizer: Any
) -> None:
    source = rows(tmp_path, "the boat sails\t1")
    tokenize(source, tokenizer, 5, tmp_path / "cache")
    kept = sorted((tmp_path / "cache" / "tokens").iterdir())
    tokenizer("the boat sails", truncation=True, max_length=3, padding="max_length")
    tokenize(source, tokenizer, 5, tmp_path / "cache")
    assert sorted((tmp_path / "cache" / "tokens").iterdir()) == kept
    tokenize(source, tokenizer, 4, tmp_path / "cache")
    tokenize(source.select([0]), tokenizer, 5, tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "tokens").iterdir())) > len(kept)


def test_chosen_rows_are_not_mistaken_for_others(tmp_path: Path, tokenizer: Any) -> None:
    source = rows(tmp_path, "the boat sails\t1", "a ship sinks\t0")
    texts = [
        tokenizer.decode(tokenize(source.select([place]), tokenizer, 9, tmp_path / "cache").rows["input_ids"][0])
        for place in (0, 1)
    ]
    assert texts == ["[CLS] the boat sails [SEP]", "[CLS] a ship sinks [SEP]"]


def test_a_length_without_room_for_text_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    with pytest.raises(CompressError, match="max_length 2 leaves no room"):
        tokenize(rows(tmp_path, "the boat sails\t1"), tokenizer, 2, tmp_path / "cache")
