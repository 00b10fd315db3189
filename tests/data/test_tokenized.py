"""What is found of rows before a model is trained on them."""

from __future__ import annotations

from typing import Any

import pytest

from compress.data.loading import resolve
from compress.data.tokenized import one_label

REGRESSION = {"name": "mine", "kind": "regression", "text": "a", "label": "b", "data": "d"}


@pytest.mark.parametrize(
    ("task", "found", "only"),
    [
        ({"labels": ["no", "yes"], "kind": "classification"}, [1, 1], "yes"),
        ({"labels": ["no", "yes"], "kind": "classification"}, [1, 0], ""),
        ({}, [2.5, 2.5], "2.5"),
        ({}, [2.5, 2.0], ""),
        ({"labels": ["O", "B-X"], "kind": "token_classification"}, [[0, 0], [0]], "O"),
        ({"labels": ["O", "B-X"], "kind": "token_classification"}, [[0, 0], [1]], ""),
        ({"labels": ["late", "money"], "kind": "multi_label_classification"}, [[1.0, 1.0], [1.0, 1.0]], "late, money"),
        ({"labels": ["late", "money"], "kind": "multi_label_classification"}, [[0.0, 0.0], [0.0, 0.0]], "none"),
        ({"labels": ["late", "money"], "kind": "multi_label_classification"}, [[0.0, 1.0], [0.0, 0.0]], ""),
    ],
)
def test_a_label_or_a_score_that_all_rows_have_is_found(task: dict[str, Any], found: list[float], only: str) -> None:
    from datasets import Dataset

    rows = Dataset.from_dict({"text": ["a", "b"], "label": found})
    assert one_label(resolve({**REGRESSION, **task})[0], rows) == only
