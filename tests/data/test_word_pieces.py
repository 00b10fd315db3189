"""Which token is whose word's: the first piece of a word has its tag, and nothing else has one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compress.core.errors import CompressError
from compress.data.collate import ByToken, collate
from compress.data.loading import tokenize
from compress.data.model_rows import batches
from compress.data.word_pieces import for_words

SENTENCES = [["Ada", "sails", "homewards", "."], ["wind"]]
TAGS = [[1, 0, 2, 0], [0]]


@pytest.fixture(scope="module")
def pieces() -> Any:
    """Words of BERT's kind: lower case, control characters left out, `##` before later pieces."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ada", "sail", "##s", "home", "##ward", ".", "wind"]
    inner = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64)


def rows(sentences: list[list[str]], tags: list[list[int]] | None = None) -> Any:
    from datasets import Dataset

    cells = {"text": sentences, "row_hash": [str(number) for number in range(len(sentences))]}
    return Dataset.from_dict(cells | ({"label": tags} if tags else {}))


def test_a_word_has_its_tag_at_its_first_piece_alone(tmp_path: Path, pieces: Any) -> None:
    found = tokenize(rows(SENTENCES, TAGS), pieces, 20, tmp_path).rows
    assert pieces.convert_ids_to_tokens(found[0]["input_ids"]) == [
        "[CLS]",
        "ada",
        "sail",
        "##s",
        "home",
        "##ward",
        "##s",
        ".",
        "[SEP]",
    ]
    assert found[0]["word_ids"] == [-1, 0, 1, 1, 2, 2, 2, 3, -1]
    assert found[0]["labels"] == [-100, 1, 0, -100, 2, -100, -100, 0, -100]
    assert found["label"][:] == TAGS


def test_a_sentence_that_is_too_long_is_cut_and_counted(tmp_path: Path, pieces: Any) -> None:
    found = tokenize(rows(SENTENCES, TAGS), pieces, 6, tmp_path)
    assert (found.truncated, found.longest) == (1, 9)
    assert found.rows[0]["labels"] == [-100, 1, 0, -100, 2, -100]
    assert found.rows[0]["word_ids"] == [-1, 0, 1, 1, 2, -1]


def test_words_without_tokens_are_counted_and_reported(
    tmp_path: Path, pieces: Any, caplog: pytest.LogCaptureFixture
) -> None:
    found = tokenize(rows([["Ada", "\x00", "", "sails"]], [[1, 2, 2, 0]]), pieces, 20, tmp_path)
    assert found.words_without_tokens == 2
    assert found.rows[0]["word_ids"] == [-1, 0, 3, 3, -1]
    assert found.rows[0]["labels"] == [-100, 1, 0, -100, -100]
    assert "no tokens of 2 words" in caplog.text


def test_sentences_without_tags_have_words_and_no_labels(tmp_path: Path, pieces: Any) -> None:
    found = tokenize(rows(SENTENCES), pieces, 20, tmp_path).rows
    assert "labels" not in found.column_names
    assert found[1]["word_ids"] == [-1, 0, -1]


def test_a_tokenizer_of_bytes_reads_each_word_as_in_running_text(like_gpt2: Any) -> None:
    ready = for_words(like_gpt2)
    encoding = ready([["the", "boat"]], is_split_into_words=True)
    assert encoding["input_ids"][0] == like_gpt2(" the boat")["input_ids"]
    assert encoding.word_ids(0) == sorted(encoding.word_ids(0))
    assert like_gpt2.backend_tokenizer.pre_tokenizer.add_prefix_space is False, "the model's own stays as it was"
    assert for_words(ready) is ready


def test_a_tokenizer_without_a_fast_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="does not say which piece belongs to which word"):
        for_words(SimpleNamespace(is_fast=False))


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_pads_labels_beside_their_tokens(tmp_path: Path, pieces: Any, side: str) -> None:
    found = tokenize(rows(SENTENCES, TAGS), pieces, 20, tmp_path).rows
    pieces.padding_side = side
    try:
        features = [{**found[place], "place": place} for place in range(2)]
        by_word = ByToken(np.arange(5, dtype=np.float32), np.array([0, 4, 5]), of_labels=True)
        batch = collate(features, pieces, {"answers": by_word})
    finally:
        pieces.padding_side = "right"
    assert batch["labels"].shape == batch["input_ids"].shape
    for row, tokens in enumerate(found["input_ids"][:]):
        real = batch["attention_mask"][row].bool()
        assert batch["input_ids"][row][real].tolist() == tokens
        assert batch["labels"][row][real].tolist() == found[row]["labels"]
        assert (batch["labels"][row][~real] == -100).all()
    assert batch["answers"][batch["labels"] != -100].tolist() == [0, 1, 2, 3, 4]


def test_a_batch_of_label_sets_is_a_matrix_of_floats(pieces: Any) -> None:
    features = [{"input_ids": [2, 4, 3], "attention_mask": [1] * 3, "label": ones} for ones in ([1.0, 0.0], [0.0, 0.0])]
    labels = collate(features, pieces, {})["labels"]
    assert (labels.tolist(), str(labels.dtype)) == ([[1.0, 0.0], [0.0, 0.0]], "torch.float32")


def test_calibration_batches_pad_labels_of_tokens_and_leave_label_sets() -> None:
    ids = [np.arange(3), np.arange(5)]
    words = [{"input_ids": one, "labels": np.full(len(one), 7)} for one in ids]
    assert next(batches(words, 2, 0))["labels"].tolist() == [[7, 7, 7, -100, -100], [7] * 5]
    sets = [{"input_ids": one, "labels": np.ones(2, np.float32)} for one in ids]
    assert next(batches(sets, 2, 0))["labels"].shape == (2, 2)
