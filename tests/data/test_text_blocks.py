"""Documents become blocks and windows in which no token is lost, and each is scored once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.core.errors import CompressError
from compress.data.description import resolve
from compress.data.loading import load
from compress.data.text_blocks import blocks, scored_windows
from compress.metrics.perplexity import log_likelihoods, perplexity
from compress.tasks.task import Task

STORIES = [
    "Ada took the boat. It sank.",
    "Bob: the ship!",
    "a",
    "Ada and Bob took the old ship in the storm, since " * 9,
]


def rows(tmp_path: Path, stories: list[str] = STORIES, **more: Any) -> tuple[Any, Task]:
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"text": story}) + "\n" for story in stories))
    described = {"name": "mine", "kind": "language_modelling", "data": {"evaluation": str(file)}, **more}
    task, data = resolve(described)
    return load(task, data, "evaluation", tmp_path / "cache").rows, task


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


@pytest.mark.parametrize("separate", [True, False])
def test_blocks_are_the_documents_one_after_another(tmp_path: Path, like_gpt2: Any, separate: bool) -> None:
    found = blocks(*rows(tmp_path, separate=separate), like_gpt2, 16, tmp_path / "cache")
    mark = [like_gpt2.bos_token_id]
    stream = [
        one
        for n, story in enumerate(STORIES)
        for one in [*(mark if separate or n == 0 else []), *ids(like_gpt2, story)]
    ]
    assert [one for row in found.rows["input_ids"] for one in row] == stream[: len(found.rows) * 16]
    assert {len(row) for row in found.rows["input_ids"]} == {16}
    assert (found.documents, found.left_over) == (4, len(stream) % 16)


def test_more_text_than_is_written_at_once_is_blocks_all_the_same(
    tmp_path: Path, like_gpt2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = blocks(*rows(tmp_path), like_gpt2, 4, tmp_path / "one").rows["input_ids"][:]
    windows = scored_windows(*rows(tmp_path), like_gpt2, 8, 3, tmp_path / "one").rows["labels"][:]
    monkeypatch.setattr("compress.data.text_blocks.BATCH", 2)
    assert blocks(*rows(tmp_path), like_gpt2, 4, tmp_path / "two").rows["input_ids"][:] == expected
    assert scored_windows(*rows(tmp_path), like_gpt2, 8, 3, tmp_path / "two").rows["labels"][:] == windows


def test_text_that_fills_no_block_is_refused(tmp_path: Path, like_gpt2: Any) -> None:
    with pytest.raises(CompressError, match="4 documents have .* fill no block of 4096"):
        blocks(*rows(tmp_path), like_gpt2, 4096, tmp_path / "cache")


@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("name", ["like_gpt2", "like_bert"])
def test_every_token_is_a_label_once_but_what_nothing_stands_before(
    tmp_path: Path, name: str, separate: bool, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(name)
    found = scored_windows(*rows(tmp_path, separate=separate), tokenizer, 8, 5, tmp_path / "cache")
    labels = [one for row in found.rows["labels"] for one in row if one != -100]
    documents = [ids(tokenizer, story) for story in STORIES]
    if name == "like_bert":  # it has no beginning of text
        documents = [document[1:] for document in documents] if separate else [documents[0][1:], *documents[1:]]
    assert labels == [one for document in documents for one in document]
    assert found.counted == len(labels)
    assert found.not_counted == (0 if name == "like_gpt2" else 4 if separate else 1)
    for row in found.rows:
        assert len(row["input_ids"]) <= 8
        assert all(label in (-100, token) for label, token in zip(row["labels"], row["input_ids"], strict=True))
    if separate:
        starts = [row["input_ids"][0] == tokenizer.bos_token_id for row in found.rows]
        assert name == "like_bert" or sum(starts) == len(STORIES)
        assert set(found.rows["document"]) == ({0, 1, 2, 3} if name == "like_gpt2" else {0, 1, 3})
    assert found.rows["document"][:] == sorted(found.rows["document"])


def test_windows_that_cannot_be_are_refused(tmp_path: Path, like_gpt2: Any, like_bert: Any) -> None:
    with pytest.raises(CompressError, match=r"stride 8 does not fit a context of 8 tokens: set it to 1..7"):
        scored_windows(*rows(tmp_path), like_gpt2, 8, 8, tmp_path / "cache")
    with pytest.raises(CompressError, match="no two tokens"):
        scored_windows(*rows(tmp_path, ["a", "the"]), like_bert, 8, 4, tmp_path / "cache")


@pytest.mark.parametrize("separate", [True, False])
def test_perplexity_of_a_trained_decoder_is_that_of_the_plain_recipe(
    tmp_path: Path, real_data: Path, separate: bool
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from compress.data.collate import collate_causal

    folder = real_data / "models" / "stories260k"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    stories = [
        "Once upon a time, there was a little girl named Lily. She loved to play. " * 3,
        "One day, a dog ran fast.",
    ]
    context, stride = 32, 12
    found = scored_windows(*rows(tmp_path, stories, separate=separate), tokenizer, context, stride, tmp_path / "cache")
    with torch.no_grad():
        batch = collate_causal(list(found.rows), tokenizer, {})
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.numpy()
    labels = [np.array(row) for row in found.rows["labels"]]
    own = [log_likelihoods(of[: len(right)], right) for of, right in zip(logits, labels, strict=True)]

    # Window by window in torch, its loss weighted by its tokens.
    texts = [ids(tokenizer, story) for story in stories]
    total = tokens = 0.0
    for text in texts if separate else [[*texts[0], *texts[1]]]:
        whole, previous = torch.tensor([[tokenizer.bos_token_id, *text]]), 1
        for begin in range(0, whole.shape[1], stride):
            end = min(begin + context, whole.shape[1])
            target = whole[:, begin:end].clone()
            target[:, : previous - begin] = -100
            with torch.no_grad():
                loss = model(input_ids=whole[:, begin:end], labels=target).loss.item()
            total, tokens, previous = total + loss * (end - previous), tokens + end - previous, end
            if end == whole.shape[1]:
                break
    assert found.counted == tokens == sum(len(text) for text in texts)
    assert perplexity(context, stride).score(own, labels) == pytest.approx(math.exp(total / tokens), rel=1e-5)
    assert 1.5 < math.exp(total / tokens) < 20, "it was trained on such stories; with wrong labels this is hundreds"
