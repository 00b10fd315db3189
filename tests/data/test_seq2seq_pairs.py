"""Token ids of sources and targets are the tokenizer's own, cut where the task says, and what was cut is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.description import resolve
from compress.data.loading import load
from compress.data.seq2seq_pairs import Side, for_decoder, for_encoder_decoder
from compress.tasks.task import Task

DIALOGUES = [
    ("Ada: I will bring the boat tomorrow.", "Ada will bring the boat."),
    ("Bob: The boat? It sank in the storm!\nAda: Then we take the old ship.", "Ada and Bob take the old ship."),
]


def rows(tmp_path: Path, pairs: list[tuple[str, str]] = DIALOGUES, **more: Any) -> tuple[Any, Task]:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"source": a, "target": b}) + "\n" for a, b in pairs))
    described = {"name": "mine", "kind": "summarization", "source": "source", "target": "target", **more}
    task, data = resolve({**described, "data": {"evaluation": str(file)}})
    return load(task, data, "evaluation", tmp_path / "cache").rows, task


def test_sources_have_their_prefix_and_both_sides_the_tokenizers_marks(tmp_path: Path, like_t5: Any) -> None:
    found = for_encoder_decoder(*rows(tmp_path), like_t5, "t5", start=0, cache=tmp_path / "cache")
    for row, (source, target) in zip(found.rows, DIALOGUES, strict=True):
        assert row["input_ids"] == like_t5(f"summarize: {source}")["input_ids"]
        assert row["labels"] == like_t5(text_target=target)["input_ids"]
        assert row["labels"][-1] == like_t5.eos_token_id
    assert found.rows["row_hash"][:] == rows(tmp_path)[0]["row_hash"][:]
    assert found.notes == ()
    other = for_encoder_decoder(*rows(tmp_path), like_t5, "bart", start=0, cache=tmp_path / "cache").rows
    assert other["input_ids"][0] == like_t5(DIALOGUES[0][0])["input_ids"]


@pytest.mark.parametrize("name", ["like_t5", "like_bert"])
@pytest.mark.parametrize("limit", [4, 9, 13])
def test_what_is_too_long_is_cut_as_the_tokenizer_does_and_counted_on_each_side(
    tmp_path: Path, name: str, limit: int, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(name)
    taken = rows(tmp_path, max_source=limit, max_target=limit)
    found = for_encoder_decoder(*taken, tokenizer, "bart", start=None, cache=tmp_path / "cache")
    sources, targets = zip(*DIALOGUES, strict=True)
    for side, column, texts in ((found.sources, "input_ids", sources), (found.targets, "labels", targets)):
        lengths = [len(tokenizer(text)["input_ids"]) for text in texts]
        assert found.rows[column][:] == [
            tokenizer(text, truncation=True, max_length=limit)["input_ids"] for text in texts
        ]
        too_long = [length - limit for length in lengths if length > limit]
        assert side == Side(limit, len(too_long), sum(too_long), max(lengths))
    assert any("of 2 sources were cut at" in note for note in found.notes)


def test_a_target_does_not_begin_with_the_token_that_its_decoder_starts_from(tmp_path: Path, like_bert: Any) -> None:
    whole = [like_bert(target)["input_ids"] for _, target in DIALOGUES]
    cache = tmp_path / "cache"
    from_first, from_other = (
        for_encoder_decoder(*rows(tmp_path), like_bert, "bart", start, cache).rows["labels"][:]
        for start in (like_bert.cls_token_id, like_bert.sep_token_id)
    )
    assert from_first == [ids[1:] for ids in whole]
    assert from_other == whole


def test_a_target_ends_with_the_end_of_text_where_the_tokenizer_puts_no_mark(tmp_path: Path, like_gpt2: Any) -> None:
    taken = rows(tmp_path, max_target=6)
    labels = for_encoder_decoder(*taken, like_gpt2, "bart", start=None, cache=tmp_path / "cache").rows["labels"][:]
    assert labels == [[*like_gpt2(target)["input_ids"][:5], like_gpt2.eos_token_id] for _, target in DIALOGUES]


def test_line_ends_reach_the_model_as_the_task_says(tmp_path: Path, like_bert: Any) -> None:
    taken = rows(tmp_path, line_end=" | ")
    found = for_encoder_decoder(*taken, like_bert, "bart", start=None, cache=tmp_path / "cache").rows
    assert like_bert.convert_tokens_to_ids("|") in found["input_ids"][1]
    assert like_bert.convert_tokens_to_ids("|") not in found["input_ids"][0]


def test_rows_without_targets_have_no_labels(tmp_path: Path, like_t5: Any, like_gpt2: Any) -> None:
    source, task = rows(tmp_path)
    bare = source.remove_columns("label")
    for found in (
        for_encoder_decoder(bare, task, like_t5, "t5", 0, tmp_path / "cache"),
        for_decoder(bare, task, like_gpt2, tmp_path / "cache"),
    ):
        assert "labels" not in found.rows.column_names
        assert found.targets is None
    assert found.rows["prompt"][:] == [len(ids) for ids in found.rows["input_ids"]]


def test_a_decoder_reads_the_prompt_and_learns_the_target_after_a_space(tmp_path: Path, like_gpt2: Any) -> None:
    found = for_decoder(*rows(tmp_path), like_gpt2, tmp_path / "cache").rows
    for row, (source, target) in zip(found, DIALOGUES, strict=True):
        read, written = row["input_ids"][: row["prompt"]], row["input_ids"][row["prompt"] :]
        assert like_gpt2.decode(read) == f"{source}\n\nTL;DR:"
        assert like_gpt2.decode(written) == f" {target}<|end|>"
        assert row["labels"] == [-100] * len(read) + written
        assert row["input_ids"][:-1] == like_gpt2(f"{source}\n\nTL;DR: {target}")["input_ids"]


@pytest.mark.parametrize("limit", range(12, 40, 3))
def test_a_prompt_that_is_too_long_loses_the_end_of_its_source_only(tmp_path: Path, like_gpt2: Any, limit: int) -> None:
    taken = rows(tmp_path, prompt="Sum up <{source}>:", max_source=limit, max_target=5)
    found = for_decoder(*taken, like_gpt2, tmp_path / "cache")
    lengths = [len(like_gpt2(f"Sum up <{source}>:")["input_ids"]) for source, _ in DIALOGUES]
    for row, (source, _), length in zip(found.rows, DIALOGUES, lengths, strict=True):
        read = like_gpt2.decode(row["input_ids"][: row["prompt"]])
        assert read.startswith("Sum up <")
        assert read.endswith(">:")
        kept = read.removeprefix("Sum up <").removesuffix(">:")
        assert source.startswith(kept)
        if length > limit:
            assert limit - 3 <= row["prompt"] <= limit, "what a token's border costs, and no more"
        else:
            assert kept == source
        written = row["input_ids"][row["prompt"] :]
        assert len(written) <= 5
        assert written[-1] == like_gpt2.eos_token_id
    too_long = [length - limit for length in lengths if length > limit]
    assert found.sources == Side(limit, len(too_long), sum(too_long), max(lengths))


def test_a_decoders_own_beginning_of_text_comes_first_and_its_end_only_at_the_end(tmp_path: Path, like_t5: Any) -> None:
    """A tokenizer that ends every text would end the prompt as well."""
    found = for_decoder(*rows(tmp_path), like_t5, tmp_path / "cache").rows
    for row in found:
        assert row["input_ids"].count(like_t5.eos_token_id) == 1
        assert row["input_ids"][-1] == like_t5.eos_token_id


def test_a_length_without_room_for_text_is_refused(
    tmp_path: Path, like_t5: Any, like_gpt2: Any, like_bert: Any
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(CompressError, match="max_source leaves no room for text: prefix and marks take 3 tokens of 3"):
        for_encoder_decoder(*rows(tmp_path, max_source=3), like_t5, "t5", 0, cache)
    with pytest.raises(CompressError, match="max_target leaves no room for text: its marks take 1 tokens of 1"):
        for_encoder_decoder(*rows(tmp_path, max_target=1), like_t5, "t5", 0, cache)
    with pytest.raises(CompressError, match="max_source leaves no room"):
        for_decoder(*rows(tmp_path, max_source=2), like_gpt2, cache)
    with pytest.raises(CompressError, match="end of text"):
        for_decoder(*rows(tmp_path), like_bert, cache)


def test_the_same_rows_are_tokenized_once_for_each_setting(tmp_path: Path, like_t5: Any) -> None:
    cache = tmp_path / "cache"

    def kept(**more: Any) -> int:
        for_encoder_decoder(*rows(tmp_path, **more), like_t5, "t5", 0, cache)
        return len(list((cache / "generation").iterdir()))

    assert [kept(), kept(), kept(max_source=9), kept(line_end=" "), kept(prefix="a "), kept()] == [1, 1, 2, 3, 4, 4]


def test_tokens_that_were_damaged_are_made_again(tmp_path: Path, like_t5: Any) -> None:
    cache = tmp_path / "cache"

    def ids() -> list[list[int]]:
        return list(for_encoder_decoder(*rows(tmp_path), like_t5, "t5", 0, cache).rows["input_ids"])

    before = ids()
    (file,) = (cache / "generation").rglob("*.arrow")
    file.write_bytes(file.read_bytes()[:-100])
    assert ids() == before


def test_the_fixed_summarizer_expects_its_targets_as_they_are_made_here(tmp_path: Path, real_data: Path) -> None:
    """It starts from `[CLS]` and was not taught to write it: as a label that token alone costs half a nat a token."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    from compress.data.collate import collate_pairs

    folder = real_data / "models" / "bart-samsum"
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    described = {"name": "samsum", "data": str(real_data / "data" / "SAMSum"), "line_end": " | ", "max_source": 256}
    task, data = resolve({**described, "limit": {"evaluation": 8}})
    source = load(task, data, "evaluation", tmp_path).rows
    losses = []
    for start in (model.config.decoder_start_token_id, None):
        found = for_encoder_decoder(source, task, tokenizer, "bart", start, tmp_path).rows
        with torch.no_grad():
            losses.append(model(**collate_pairs(list(found), tokenizer, {})).loss.item())
    assert losses[1] > losses[0] + 0.3
