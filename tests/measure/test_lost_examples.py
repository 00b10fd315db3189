"""The examples that only a compressed model gets wrong: counted, and the most confident mistakes kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from datasets import Dataset

from compress.data.loading import find
from compress.measure import lost_examples as lost
from compress.tasks.kinds.laws import BINARY

TASK: Any = find("sst2")


def split_of(texts: list[Any]) -> Any:
    return SimpleNamespace(rows=Dataset.from_dict({"text": texts}))


def test_they_are_right_with_the_uncompressed_model_and_wrong_with_this_one() -> None:
    right = np.array([0.0, 1, 1, 0, 1])
    answers = {"root": np.array([0.0, 1, 0, 0, 1]), "small": np.array([1.0, 0, 1, 0, 1])}
    found = lost.lost_examples(
        TASK, split_of(list("abcde")), right, answers, "root", {"small": (0.6, 0.9, 0.8, 0.9, 0.9)}
    )
    assert (found["small"]["lost"], found["small"]["gained"]) == (2, 1)
    assert [one["text"] for one in found["small"]["rows"]] == ["b", "a"]  # the more confident mistake first
    assert found["small"]["rows"][0] == {
        "row": 2,
        "text": "b",
        "label": "positive",
        "uncompressed": "positive",
        "answer": "negative",
        "confidence": 0.9,
    }
    assert "root" not in found


def test_at_most_twenty_are_kept_and_long_texts_are_cut(tmp_path: Path) -> None:
    right, wrong = np.zeros(50), np.ones(50)
    found = lost.lost_examples(TASK, split_of(["x" * 1000] * 50), right, {"root": right, "small": wrong}, "root", {})
    assert found["small"]["lost"] == 50
    assert len(found["small"]["rows"]) == 20
    assert found["small"]["rows"][0]["text"] == "x" * 300 + "…"
    assert found["small"]["rows"][0]["confidence"] is None
    lost.save(found, tmp_path)
    assert json.loads((tmp_path / lost.FILE).read_text()) == found


def test_an_example_with_several_labels_is_right_as_a_whole() -> None:
    task: Any = SimpleNamespace(label_names=("a", "b"), law=BINARY)
    right = np.array([[1.0, 0], [1, 1]])
    answers = {"root": right, "small": np.array([[1.0, 1], [1, 1]])}
    (row,) = lost.lost_examples(task, split_of(["s", "t"]), right, answers, "root", {})["small"]["rows"]
    assert (row["label"], row["answer"]) == ("a", "a, b")


def test_a_word_without_a_tag_is_not_wrong() -> None:
    task: Any = find("entities")
    right = [np.array([0, -100]), np.array([0, 1])]
    answers = {"root": right, "small": [np.array([0, 2]), np.array([0, 2])]}
    found = lost.lost_examples(task, split_of([["u", "v"], ["w", "z"]]), right, answers, "root", {})
    assert [one["text"] for one in found["small"]["rows"]] == ["w z"]


def test_numbers_are_neither_right_nor_wrong() -> None:
    assert lost.lost_examples(find("stsb"), split_of(["a"]), np.ones(1), {"root": np.ones(1)}, "root", {}) == {}
