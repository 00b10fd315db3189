"""How much of a text a model reads: its positions, its tokenizer's limit, and what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Step
from compress.models.load import tokenizer
from compress.models.reading_length import cut_at, longest_input, positions, trained_length
from tests.tiny import write_model


class _Tokenizer:
    def __init__(self, limit: Any) -> None:
        self.model_max_length = limit


def _config(family: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **changes)


@pytest.mark.parametrize(
    ("family", "changes", "expected"),
    [
        ("bert", {"max_position_embeddings": 80}, 80),
        ("roberta", {"max_position_embeddings": 80, "pad_token_id": 1}, 78),
        ("xlm-roberta", {"max_position_embeddings": 80, "pad_token_id": 0}, 79),
        ("camembert", {"max_position_embeddings": 80, "pad_token_id": 1}, 78),
        ("mpnet", {"max_position_embeddings": 80, "pad_token_id": 0}, 78),
        ("gpt2", {"n_positions": 77}, 77),
        ("bart", {"max_position_embeddings": 90}, 90),
        ("deberta-v2", {"relative_attention": True, "position_biased_input": False}, None),
        ("deberta-v2", {"position_biased_input": True}, 512),
        ("t5", {}, None),
        ("bloom", {}, None),
    ],
)
def test_positions_are_those_that_a_text_can_use(family: str, changes: dict[str, Any], expected: int | None) -> None:
    assert positions(_config(family, **changes)) == expected


@pytest.mark.parametrize("limit", [10**30, 1e30, 0.5, -1, 0, float("nan"), float("inf"), "many", None])
def test_a_tokenizers_limit_that_is_no_number_of_tokens_is_none(limit: Any) -> None:
    assert longest_input(_Tokenizer(limit), _config("bert")) == 512
    assert longest_input(_Tokenizer(limit), _config("t5")) is None


def test_the_smaller_of_both_limits_decides() -> None:
    assert longest_input(_Tokenizer(64), _config("bert")) == 64
    assert longest_input(_Tokenizer(64), _config("t5")) == 64
    assert cut_at(32, _Tokenizer(64), _config("bert")) == 32
    assert cut_at(128, _Tokenizer(64), _config("bert")) == 64


def test_the_trained_length_is_that_of_the_steps_that_trained() -> None:
    finetuned = Step("finetune", {"max_length": 64, "epochs": 3.0})
    pruned = Step("prune", {"max_length": 128, "epochs": 0.0})
    assert trained_length([finetuned, pruned, Step("quantize", {"mode": "dynamic"})]) == 64
    assert trained_length([finetuned, Step("qat", {"max_length": 96, "epochs": 1})]) == 96
    assert trained_length([]) == 128


def test_a_tokenizer_is_opened_with_what_its_model_reads(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "short", max_position_embeddings=40, type_vocab_size=1)
    whole = tokenizer(folder)
    assert whole.model_max_length == 40


def test_a_second_token_type_is_given_only_to_a_model_that_knows_one(tmp_path: Path) -> None:
    """Training and prediction take a pair by this tokenizer: a type beyond the model's table would end them."""
    for types in (1, 2):
        folder = write_model(tmp_path / str(types), num_hidden_layers=1, type_vocab_size=types)
        file = folder / "tokenizer_config.json"
        names = ["input_ids", "token_type_ids", "attention_mask"]
        file.write_text(json.dumps({**json.loads(file.read_text()), "model_input_names": names}))
        assert ("token_type_ids" in tokenizer(folder)("a good film", "the book")) == (types == 2)
