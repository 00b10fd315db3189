"""A tokenizer is its model's: made of files that are there, and with an embedding for each of its tokens."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from compress.core.errors import CompressError
from compress.models import load as models
from tests.generative import strong_generator
from tests.tiny import WORDS, write_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("saved") / "bert")


@pytest.mark.parametrize("left", [(), ("tokenizer_config.json",)], ids=["nothing left", "its config left"])
def test_a_folder_without_tokenizer_files_is_refused(left: tuple[str, ...], saved: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", *left):
        shutil.copy(saved / name, tmp_path)
    with pytest.raises(CompressError, match="lacks its tokenizer|no readable tokenizer"):
        models.tokenizer(tmp_path)


@pytest.mark.parametrize("family", ["gpt2", "bart", "t5", "llama"])
def test_every_familys_files_are_missed(family: str, tmp_path: Path) -> None:
    strong_generator(family, layers=1).config.save_pretrained(tmp_path)
    with pytest.raises(CompressError, match="lacks its tokenizer|no readable tokenizer"):
        models.tokenizer(tmp_path)


def test_half_of_a_tokenizer_is_none(tmp_path: Path) -> None:
    strong_generator("gpt2", layers=1).config.save_pretrained(tmp_path)
    (tmp_path / "vocab.json").write_text(
        json.dumps({"<|endoftext|>": 0, **{w: i for i, w in enumerate(["a", "b", "ab"], 1)}})
    )
    with pytest.raises(CompressError, match="has no (usable|readable) tokenizer|no merges.txt that"):
        models.tokenizer(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")  # no merge: every word would fall into letters
    with pytest.raises(CompressError, match="no merges.txt that .* reads, or an empty one"):
        models.tokenizer(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    models.tokenizer(tmp_path)


def test_a_vocabulary_alone_is_a_tokenizer(saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved / "config.json", tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    assert models.tokenizer(tmp_path)("a film")["input_ids"] == models.tokenizer(saved)("a film")["input_ids"]


def test_bytes_need_no_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5", "vocab_size": 384, "is_encoder_decoder": true}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    assert models.tokenizer(tmp_path)("a")["input_ids"] == [100, 1]


def with_vocabulary(saved: Path, folder: Path, size: int) -> Path:
    shutil.copytree(saved, folder)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, "vocab_size": size}))
    return folder


def test_a_token_without_an_embedding_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=r"'again' with the id 39, .* embeddings for 39 tokens"):
        models.tokenizer(with_vocabulary(saved, tmp_path / "m", 39))
    its_tokenizer = models.tokenizer(saved)
    its_tokenizer.add_tokens(["newword"])
    shutil.copytree(saved, tmp_path / "added")
    its_tokenizer.save_pretrained(tmp_path / "added")
    with pytest.raises(CompressError, match="'newword' with the id 40"):
        models.tokenizer(tmp_path / "added")


def test_a_larger_table_is_normal_and_one_of_twice_the_size_is_told(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models.tokenizer(with_vocabulary(saved, tmp_path / "padded", 80))
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "compress"):
        models.tokenizer(with_vocabulary(saved, tmp_path / "huge", 81))
    assert "has 40 tokens, and the model embeddings for 81" in caplog.text


def test_special_tokens_alone_are_no_vocabulary(saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved / "config.json", tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    with pytest.raises(CompressError, match=r"special tokens only \(5\)"):
        models.tokenizer(tmp_path)


def test_a_template_with_a_token_that_does_not_exist_is_refused_in_a_line(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "m")
    file = tmp_path / "m" / "tokenizer.json"
    raw = json.loads(file.read_text())
    del raw["post_processor"]["special_tokens"]["[SEP]"]
    file.write_text(json.dumps(raw))
    with pytest.raises(CompressError, match="okenizer") as refused:
        models.tokenizer(tmp_path / "m")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("length", [0.5, -1, 0, True])
def test_a_length_that_is_none_is_refused_in_a_line(length: object, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "m")
    file = tmp_path / "m" / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_max_length": length}))
    with pytest.raises(CompressError, match="model_max_length"):
        models.tokenizer(tmp_path / "m")


def test_a_token_of_the_template_without_an_embedding_is_refused(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "m")
    file = tmp_path / "m" / "tokenizer.json"
    raw = json.loads(file.read_text())
    raw["post_processor"]["special_tokens"]["[SEP]"]["ids"] = [9999]
    file.write_text(json.dumps(raw))
    with pytest.raises(CompressError, match="id 9999"):
        models.tokenizer(tmp_path / "m")


def test_a_config_that_cannot_be_read_is_not_called_a_tokenizer(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "m")
    raw = json.loads((saved / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**raw, "hidden_size": "many"}))
    with pytest.raises(CompressError, match=r"model in .* cannot be loaded: .*hidden_size.*many"):
        models.tokenizer(tmp_path / "m")
