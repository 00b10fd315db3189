"""Conditions and moments are told in words."""

from __future__ import annotations

import pytest

from compress.report import wording
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


@pytest.mark.parametrize(
    ("iso", "words"),
    [
        ("2026-11-28T15:25:18+00:00", "28 Nov 2026, 15:25 UTC"),
        ("2026-11-28T16:25:18+01:00", "28 Nov 2026, 15:25 UTC"),
        ("2026-11-28T15:25:18", "28 Nov 2026, 15:25"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_moment_reads_as_a_date(iso: str, words: str) -> None:
    assert wording.moment(iso) == words


def test_session_options_are_named_by_whose_they_are() -> None:
    assert wording.session_options("ours") == "compress's"
    assert wording.session_options("default") == "ONNX Runtime's own"
    assert wording.session_options("tuned") == "tuned"
