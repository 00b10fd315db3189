"""Models are compared on training texts, on evaluation texts where a task has no others, and else on built-in sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data import calibration, comparison_rows
from compress.data.loading import described_task
from compress.models.load import config, tokenizer


@pytest.fixture
def opened(make_model: Callable[..., Path]) -> tuple[Any, Any]:
    folder = make_model("bert", num_hidden_layers=1)
    return tokenizer(folder), config(folder)


def _only(task: dict[str, Any], split: str) -> dict[str, Any]:
    return {**task, "data": {split: task["data"][split]}}


def test_training_texts_come_first(opened: tuple[Any, Any], task: dict[str, Any]) -> None:
    rows, where = comparison_rows.rows(*opened, described_task(task), 40)
    assert len(rows) == 40
    assert where == "moods, train"


def test_evaluation_data_alone_is_compared_on_its_texts(opened: tuple[Any, Any], task: dict[str, Any]) -> None:
    rows, where = comparison_rows.rows(*opened, described_task(_only(task, "evaluation")))
    assert len(rows) == comparison_rows.ROWS
    assert where == "moods, evaluation, its texts alone"
    assert all("label" not in row for row in rows)


def test_without_a_task_the_sentences_are_ours(opened: tuple[Any, Any]) -> None:
    rows, where = comparison_rows.rows(*opened, None)
    assert len(rows) == len(comparison_rows.SENTENCES) >= 24
    assert where.startswith("built-in sentences")


def test_rows_are_no_longer_than_the_model_reads(make_model: Callable[..., Path], task: dict[str, Any]) -> None:
    folder = make_model("roberta", "short", max_position_embeddings=6)
    rows, _ = comparison_rows.rows(tokenizer(folder), config(folder), described_task(task))
    assert max(len(row["input_ids"]) for row in rows) == 5
    batches = calibration.tensors("task-256", described_task(task), tokenizer(folder), config(folder))
    assert max(batch["input_ids"].shape[1] for batch in batches) == 5


def test_calibration_says_that_it_wants_training_rows(opened: tuple[Any, Any], task: dict[str, Any]) -> None:
    with pytest.raises(
        CompressError, match="calibration set 'task-256' reads training rows, and the task moods has none"
    ):
        calibration.rows("task-256", described_task(_only(task, "evaluation")), *opened)
