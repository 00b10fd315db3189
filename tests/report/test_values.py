"""Conditions of measurements in words."""

from __future__ import annotations

import pytest

from compress.report.values import Condition


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Condition(1, "real"), "one text at a time"),
        (Condition(8, "real"), "8 texts at a time"),
        (Condition(1, "128"), "one text of 128 tokens"),
        (Condition(32, "64"), "32 texts of 64 tokens"),
        (Condition(1, "128", new_tokens=32), "one prompt of 128 tokens, 32 new tokens"),
        (Condition(8, "128", new_tokens=32), "8 prompts of 128 tokens, 32 new tokens each"),
    ],
)
def test_a_condition_reads_as_words(condition: Condition, words: str) -> None:
    assert condition.words == words
