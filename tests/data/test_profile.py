"""A file of rows says what it is: separator, encoding, columns and what they hold; and the kind of task follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.profile import profile
from compress.tasks.kinds import by_task
from compress.tasks.kinds.guess import described

LONG = "a long text about the town and the harbour that goes on for a while "


def guessed(path: Path, kind: str | None = None, **given: Any) -> dict[str, Any]:
    """The task that a file is for, with a model for a kind of task."""
    of = None if kind is None else by_task(kind)
    found = profile(path, of_words=of is not None and of.reads_words)
    law = None if of is None else of.laws[kind or ""]
    return described(found.columns, layout=found.source.format, kind=of, law=law, given=given)


def write(path: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    """Lines in a file."""
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_though_texts_hold_others(tmp_path: Path, separator: str) -> None:
    rows = [f'"one, two; three | four {number}"{separator}{number % 2}' for number in range(20)]
    found = profile(write(tmp_path / "a.csv", [f"text{separator}label", *rows]))
    assert (found.source.separator or ",") == separator
    assert [(one.name, one.distinct) for one in found.columns] == [("text", 20), ("label", 2)]


def test_text_that_is_not_utf_8_is_read_as_windows_1252(tmp_path: Path) -> None:
    found = profile(write(tmp_path / "a.csv", ["text,label", "caf\u00e9,good", "th\u00e9,bad"], "windows-1252"))
    assert found.source.encoding == "windows-1252"
    assert next(found.texts(["text"])) == ("caf\u00e9",)


def test_classes_pairs_numbers_and_sets_of_labels_are_told_apart(tmp_path: Path) -> None:
    many = range(60)
    classes = write(tmp_path / "c.csv", ["id,review,stars", *(f"{n},{LONG}{n},{n % 5 + 1}" for n in many)])
    assert guessed(classes) == {"text": "review", "label": "stars", "labels": ["1", "2", "3", "4", "5"]}
    pairs = write(tmp_path / "p.csv", ["question,answer,fits", *(f"{LONG}{n},{LONG}{n},{n % 2}" for n in many)])
    assert guessed(pairs)["text"] == ["question", "answer"]
    numbers = write(tmp_path / "n.csv", ["text,score", *(f"{LONG}{n},{n / 7:.3f}" for n in many)])
    assert guessed(numbers) == {"kind": "regression", "text": "text", "label": "score"}
    flags = write(tmp_path / "f.csv", ["text,rude,spam", *(f"{LONG}{n},{n % 2},{n % 3 // 2}" for n in many)])
    assert guessed(flags) == {"kind": "multi_label_classification", "text": "text", "labels": ["rude", "spam"]}


@pytest.mark.parametrize(("separator", "sets"), [("", ["very good", "bad"]), (";", ["very good;late", "bad"])])
def test_labels_of_several_words_stay_whole(tmp_path: Path, separator: str, sets: list[str]) -> None:
    file = write(tmp_path / "m.csv", ["text,label", *(f"{LONG}{n},{sets[n % 2]}" for n in range(60))])
    found = guessed(file, "multi_label_classification")
    assert found["labels"] == sorted(label for one in sets for label in one.split(";"))
    assert found.get("label_separator", "") == separator


def test_words_summaries_translations_and_running_text_follow_from_the_model(tmp_path: Path) -> None:
    many = range(60)
    words = write(tmp_path / "w.conll", ["Ada B-PER", "sails O", "", "Oslo B-LOC"])
    assert guessed(words, "token_classification") == {"kind": "token_classification"}
    short = write(tmp_path / "s.csv", ["article,summary", *(f"{LONG * 4}{n},a town {n}" for n in many)])
    assert guessed(short, "summarization") == {"kind": "summarization", "source": "article", "target": "summary"}
    alike = write(tmp_path / "t.csv", ["en,de", *(f"{LONG}{n},eine {LONG}{n}" for n in many)])
    assert guessed(alike, "summarization")["kind"] == "translation"
    novel = write(tmp_path / "n.txt", ["Once upon a time, there was a town.", "", "It had a harbour."])
    assert guessed(novel, "language_modelling") == {"kind": "language_modelling"}


def test_a_column_that_is_not_there_is_named_with_a_guess(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", ["text,label", *(f"{LONG}{n},{n % 2}" for n in range(9))])
    with pytest.raises(CompressError, match=r"no column 'lable'. Did you mean 'label'\?"):
        guessed(file, label="lable")
