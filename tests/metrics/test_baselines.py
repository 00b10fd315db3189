"""What stands beside a summarizer: the first three sentences or turns, and how many of its outputs differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.core.errors import CompressError
from compress.metrics.distinct import distinct
from compress.metrics.lead import lead, lines, sentences
from compress.metrics.metric import Undefined, find


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four.", ["One.", "Two!", "Three?", "Four."]),
        ("It cost 3.50 euros. Mr. Smith paid. So did J. R. Tolkien.",
         ["It cost 3.50 euros.", "Mr. Smith paid.", "So did J. R. Tolkien."]),
        ('He said "Go." Then he left (at last.) She stayed...', ['He said "Go."', "Then he left (at last.)", "She stayed..."]),
        ("A title\nA sentence without its end\n\nAnother.", ["A title", "A sentence without its end", "Another."]),
        ("by e.g. Ann, i.e. her", ["by e.g. Ann, i.e. her"]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_end_at_their_marks_but_not_at_abbreviations(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet="aB. !?\n\r'\")", max_size=80))
def test_no_letter_is_lost_between_sentences(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_lead_is_the_first_three_whatever_ends_them() -> None:
    dialogue = "\r\nAda: Hi! You?\r\n\r\nBob: Fine. And you?\nAda: Good.\nBob: Bye.\n"
    assert lead(dialogue, by="lines") == "Ada: Hi! You?\nBob: Fine. And you?\nAda: Good."
    assert lead("One. Two. Three. Four.") == "One.\nTwo.\nThree."
    assert lead("Only one.") == "Only one."
    assert lead("") == ""
    assert lines("\u2028a\n b ") == ["a", "b"], "white space around a line is not part of it"


def test_a_model_that_always_says_the_same_is_seen() -> None:
    found = distinct(["It is fine."] * 8 + ["It is fine. ", ""])
    assert found.share == 0.2
    assert (found.most_common, found.most_common_share, found.empty_share) == ("It is fine.", 0.9, 0.1)
    assert distinct(["a", "b", "c"]).share == 1.0
    with pytest.raises(Undefined):
        distinct([])


def test_an_unknown_metric_is_answered_with_a_guess() -> None:
    with pytest.raises(CompressError, match=r"Unknown metric 'rouge_1'.*Did you mean 'rouge1'"):
        find("rouge_1")
