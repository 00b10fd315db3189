"""What is shown shows all of itself: nothing that moves the cursor, reverses a line or hides in it."""

from __future__ import annotations

import json
import logging

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from compress.cli import compress
from compress.core import printable
from compress.core.errors import CompressError, guess

HOSTILE = {
    "clears the screen": ("\x1b[2J", "\\x1b[2J"),
    "sets the title": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "a control sequence of one byte": ("\x9b31m", "\\x9b31m"),
    "reverses": ("\u202etxt.exe", "\\u202etxt.exe"),
    "isolates": ("\u2066a\u2069", "\\u2066a\\u2069"),
    "an Arabic mark": ("\u061c", "\\u061c"),
    "zero width": ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
    "a tag": ("\U000e0041", "\\U000e0041"),
    "a carriage return": ("good\rbad", "good\\rbad"),
    "half a pair": ("\ud83d", "\\ud83d"),
    "deletes": ("\x7f", "\\x7f"),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_terminal_obeys_or_hides_is_written_as_an_escape(text: str, expected: str) -> None:
    assert printable.one_line(text) == printable.lines(text) == expected


@pytest.mark.parametrize(
    "text", ["Zażółć gęślą jaźń", "日本語 한국어", "مرحبا שלום", "naïve – “quoted” … 𝔘 😀", "a\\x1b"]
)
def test_what_is_read_is_left_as_it_is(text: str) -> None:
    assert printable.one_line(text) == text


@given(st.text(st.characters(exclude_categories=[]), max_size=2000))
def test_a_message_is_one_line_of_at_most_500_characters(text: str) -> None:
    said = f"Error: {CompressError(text)}"
    assert len(said) <= 500
    assert said.isprintable() or not any(sign in said for sign, _ in HOSTILE.values())
    assert len(said.splitlines()) == 1
    said.encode()


def test_the_end_of_a_message_says_what_to_do_however_long_what_it_quotes() -> None:
    said = str(CompressError(f"No such task '{'x' * 5000}'. See `compress list tasks`."))
    assert said.startswith("No such task 'xxx")
    assert said.endswith("'. See `compress list tasks`.")
    many = str(CompressError(f"{' '.join(['word'] * 5000)}. Choose another."))
    assert many.endswith("Choose another.")


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"]))))
def test_json_keeps_every_character_and_shows_none_that_is_unseen(value: dict[str, str]) -> None:
    written = printable.json_text(value)
    assert json.loads(written) == value
    assert printable.one_line(written) == written


def test_a_name_is_guessed_whatever_its_case_or_type() -> None:
    assert guess("SST2", ["sst2", "cola"]) == " Did you mean 'sst2'?"
    assert guess(1, ["a", 2]) == ""


def test_what_is_logged_is_escaped() -> None:
    from compress.core.log import _OneLine

    record = logging.LogRecord("compress", logging.INFO, "", 0, "step \x1b[2J\u202e:\nmade", (), None)
    assert _OneLine("%(message)s").format(record) == "step \\x1b[2J\\u202e: made"


def test_results_are_escaped_and_their_json_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = "clears\x1b[2J\u202e\nand more"
    monkeypatch.setattr("compress.core.catalogue.summary", lambda kind, name: summary)
    shown = CliRunner().invoke(compress, ["list", "tasks"]).output
    assert "clears\\x1b[2J\\u202e\\nand more" in shown
    assert "\x1b" not in shown
    written = CliRunner().invoke(compress, ["list", "tasks", "--json"]).output
    assert set(json.loads(written)["tasks"].values()) == {summary}
    assert printable.lines(written) == written
