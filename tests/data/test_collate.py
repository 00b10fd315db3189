"""Batches: every row once an epoch, rows of like length together, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.data.collate import (
    ByToken,
    answer_starts,
    batches_by_length,
    collate,
    collate_causal,
    collate_of,
    collate_pairs,
    collate_prompts,
    epoch_order,
    references,
    row_lengths,
    starts_of,
    step_lengths,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.lists(st.integers(3, 60), min_size=1, max_size=300), st.integers(1, 16), st.integers(0, 3))
def test_an_epoch_visits_every_row_once_in_an_order_of_its_own(lengths: list[int], batch: int, epoch: int) -> None:
    order = epoch_order(np.array(lengths), batch, seed=1, epoch=epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert (order == epoch_order(np.array(lengths), batch, seed=1, epoch=epoch)).all()


def test_batches_hold_rows_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 120, 3200)
    order = epoch_order(lengths, 32, seed=0, epoch=0)
    spread = [np.ptp(lengths[order[start : start + 32]]) for start in range(0, 3200, 32)]
    assert max(spread) < 10
    assert not (order == epoch_order(lengths, 32, seed=0, epoch=1)).all()


PAIRS = [
    {"input_ids": [5, 6, 7], "labels": [8, 1], "place": 1},
    {"input_ids": [9] * 9, "labels": [4] * 11 + [1], "place": 0},
]


class Marks:
    """All of a tokenizer that these batches ask for."""

    pad_token_id: int | None = 0
    eos_token_id: int | None = 1


def test_both_sides_of_a_pair_are_padded_and_padding_is_no_label() -> None:
    batch = collate_pairs(PAIRS, Marks(), {"seen": np.array([10.0, 20.0])})
    assert batch["input_ids"].tolist() == [[5, 6, 7] + [0] * 13, [9] * 9 + [0] * 7]
    assert batch["attention_mask"].sum(1).tolist() == [3, 9]
    assert batch["labels"].tolist() == [[8, 1] + [-100] * 14, [4] * 11 + [1] + [-100] * 4]
    assert batch["seen"].tolist() == [20.0, 10.0]
    assert "labels" not in collate_pairs([{"input_ids": [5]}], Marks(), {})


def test_a_decoders_labels_lie_under_their_tokens_and_a_block_is_its_own_label() -> None:
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [9] * 9, "labels": [9] * 9}]
    batch = collate_causal(rows, Marks(), {})
    assert batch["labels"].tolist() == [[-100, 6, 7] + [-100] * 13, [9] * 9 + [-100] * 7]
    assert batch["input_ids"].tolist() == [[5, 6, 7] + [0] * 13, [9] * 9 + [0] * 7]
    assert batch["attention_mask"].tolist() == [[1] * 3 + [0] * 13, [1] * 9 + [0] * 7]
    assert collate_causal([{"input_ids": [5, 6]}], Marks(), {})["labels"].tolist() == [[5, 6] + [-100] * 6]


def test_prompts_are_padded_on_the_left_even_without_a_token_for_it() -> None:
    marks = Marks()
    marks.pad_token_id = None
    rows = [{"input_ids": [5, 6, 7, 8], "prompt": 3}, {"input_ids": [9] * 9, "prompt": 8}]
    batch = collate_prompts(rows, marks)
    assert batch["input_ids"].tolist() == [[1] * 5 + [5, 6, 7], [9] * 8]
    assert batch["attention_mask"].tolist() == [[0] * 5 + [1] * 3, [1] * 8]
    marks.eos_token_id = None
    assert collate_prompts(rows, marks)["input_ids"][0].tolist() == [0] * 5 + [5, 6, 7]


def test_padding_changes_neither_the_loss_of_an_encoder_decoder_nor_of_a_decoder() -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"vocab_size": 12, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    t5 = T5ForConditionalGeneration(T5Config(**sizes, decoder_start_token_id=0)).eval()
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=12, n_embd=16, n_layer=1, n_head=2, n_positions=32)).eval()
    blocks = [{"input_ids": row["input_ids"]} for row in PAIRS]
    for model, rows, make, tokens in (
        (t5, PAIRS, collate_pairs, [2, 12]),
        (gpt2, blocks, collate_causal, [2, 8]),  # the first token of a block is not predicted
    ):
        with torch.no_grad():
            alone = [
                model(
                    input_ids=torch.tensor([row["input_ids"]]),
                    labels=torch.tensor([row.get("labels", row["input_ids"])]),
                ).loss.item()
                for row in rows
            ]
            together = model(**make(rows, Marks(), {})).loss.item()
        assert together == pytest.approx(np.average(alone, weights=tokens), rel=1e-5)


def test_batches_by_length_begin_with_the_longest_rows() -> None:
    assert batches_by_length(np.array([2, 5, 9, 5]), 2) == [[2, 1], [3, 0]]


def test_the_first_token_of_a_causal_row_has_nothing_that_foretells_it() -> None:
    """What a teacher says of tokens belongs to the second and those after it."""
    said = np.array([[2.0], [3.0], [7.0]], np.float32)
    extras = {"teacher": ByToken(said, np.array([0, 2, 3]), of_labels=True)}
    rows = [{"input_ids": [5, 6, 7], "place": 0}, {"input_ids": [8, 9], "place": 1}]
    found = collate_causal(rows, Marks(), extras)["teacher"][..., 0]
    assert found[0, :3].tolist() == [0.0, 2.0, 3.0]
    assert found[1, :2].tolist() == [0.0, 7.0]
    assert found.sum() == said.sum()


WORDS_ROWS = [
    {"input_ids": [2, 5, 6, 7, 3], "word_ids": [-1, 0, 0, 1, -1], "labels": [-100, 4, -100, 1, -100], "place": 1},
    {"input_ids": [2, 8, 3], "word_ids": [-1, 0, -1], "labels": [-100, 2, -100], "place": 0},
]


def test_the_lengths_and_answers_of_rows_with_one_label_each() -> None:
    from datasets import Dataset

    rows = Dataset.from_list([{"input_ids": [2, 5, 3], "label": 1}, {"input_ids": [2], "label": 0}])
    assert row_lengths(rows).tolist() == step_lengths(rows).tolist() == [3, 1]
    assert answer_starts(rows).tolist() == [0, 1, 2]
    assert starts_of(rows) is None
    assert references(rows).tolist() == [1, 0]


def test_the_lengths_and_answers_of_tagged_rows_are_by_word() -> None:
    from datasets import Dataset

    rows = Dataset.from_list(WORDS_ROWS)
    assert row_lengths(rows).tolist() == step_lengths(rows).tolist() == [5, 3]
    assert answer_starts(rows).tolist() == [0, 2, 3]
    starts = starts_of(rows)
    assert starts is not None
    assert starts.tolist() == [0, 2, 3]
    assert references(rows).tolist() == [4, 1, 2]
    assert references(rows.select([])).tolist() == []


def test_a_pair_costs_the_tokens_of_its_source_and_of_its_target() -> None:
    from datasets import Dataset

    assert step_lengths(
        Dataset.from_list([{key: row[key] for key in ("input_ids", "labels")} for row in PAIRS])
    ).tolist() == [5, 21]


def test_a_rows_label_is_a_class_a_score_or_one_number_a_label(like_bert: Any) -> None:
    import torch

    rows = [{"input_ids": [2, 5, 3], "place": 1}, {"input_ids": [2], "place": 0}]
    extras = {"weight": np.array([1.0, 2.0]), "states": ByToken(np.arange(4.0)[:, None], np.array([0, 1, 4]))}
    for labels, kind in (([1, 0], torch.long), ([0.5, 2.0], torch.float32), ([[1.0, 0.0], [0.0, 1.0]], torch.float32)):
        batch = collate([{**row, "label": one} for row, one in zip(rows, labels, strict=True)], like_bert, extras)
        assert batch["labels"].dtype == kind
        assert batch["labels"].tolist() == labels
        assert batch["input_ids"][:, :4].tolist() == [[2, 5, 3, 0], [2, 0, 0, 0]]
        assert batch["attention_mask"].sum(1).tolist() == [3, 1]
        assert batch["weight"].tolist() == [2.0, 1.0]
        assert batch["states"][:, :4, 0].tolist() == [[1, 2, 3, 0], [0, 0, 0, 0]]
    assert set(collate([{"input_ids": [2], "label": 1}], like_bert, extras)) == {
        "input_ids",
        "attention_mask",
        "labels",
    }


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_labels_of_words_lie_under_their_first_pieces(
    like_bert: Any, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(like_bert, "padding_side", side)
    said = ByToken(np.array([[7.0], [8.0], [9.0]]), np.array([0, 1, 3]), of_labels=True)
    batch = collate(WORDS_ROWS, like_bert, {"teacher": said})
    here = slice(0, 5) if side == "right" else slice(3, 8)
    there = slice(0, 3) if side == "right" else slice(5, 8)
    assert batch["input_ids"][0, here].tolist() == [2, 5, 6, 7, 3]
    assert batch["labels"][0, here].tolist() == [-100, 4, -100, 1, -100]
    assert batch["labels"][1, there].tolist() == [-100, 2, -100]
    assert (batch["labels"] != -100).sum() == batch["answered"].sum() == 3
    assert batch["answered"][0, here].tolist() == [False, True, False, True, False]
    assert batch["teacher"][0, here, 0].tolist() == [0, 8, 0, 9, 0]
    assert batch["teacher"][1, there, 0].tolist() == [0, 7, 0]
    untagged = [{key: value for key, value in row.items() if key != "labels"} for row in WORDS_ROWS]
    batch = collate(untagged, like_bert, {})
    assert (batch["labels"] == -100).all()
    assert batch["answered"].sum() == 3


def test_what_a_teacher_says_of_a_pair_lies_under_the_targets_tokens() -> None:
    said = ByToken(np.arange(14.0)[:, None], np.array([0, 12, 14]), of_labels=True)
    found = collate_pairs(PAIRS, Marks(), {"teacher": said})["teacher"][..., 0]
    assert found[0, :3].tolist() == [12, 13, 0]
    assert found[1, :12].tolist() == list(range(12))
    assert found.sum() == said.values.sum()


def test_rows_of_a_run_of_fifty_batches_are_sorted_and_the_last_short_batch_comes_last() -> None:
    lengths = np.random.default_rng(0).permutation(2 * 50 * 4 + 3)
    order = epoch_order(lengths, 4, seed=0, epoch=0)
    batches = [lengths[order[start : start + 4]] for start in range(0, len(order), 4)]
    assert [len(one) for one in batches] == [4] * 100 + [3]
    assert all((np.diff(one) < 0).all() for one in batches)  # the longest first
    runs = np.random.default_rng((0, 0)).permutation(len(lengths))
    first = {tuple(one) for one in np.sort(lengths[runs[:200]])[::-1].reshape(50, 4)}
    assert first <= {tuple(one) for one in batches[:-1]}


def test_a_kinds_own_batches_get_the_extras_as_well() -> None:
    import torch

    from compress.tasks.kinds.text_classification import KIND

    assert collate_of(KIND) is collate
    mask = torch.ones(1, 2, dtype=torch.long)
    made = collate_of(replace(KIND, collate=lambda features, its_tokenizer: {"attention_mask": mask}))
    found = made([{"place": 1}], None, {"weight": np.array([1.0, 2.0])})
    assert found["weight"].tolist() == [2.0]
    assert found["attention_mask"] is mask
