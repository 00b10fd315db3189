"""Sentences of CoNLL files: a word a line, whatever stands around and beside the words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data import conll
from compress.tasks.task import Source


def rows(folder: Path, text: str, **source: Any) -> list[Any]:
    (folder / "a.conll").write_text(text, encoding="utf-8", newline="")
    return list(conll.conll_rows(folder / "a.conll", Source("a.conll", **source)))


def words(folder: Path, text: str, **source: Any) -> list[tuple[list[str], list[str]]]:
    return [(row.cell("tokens"), row.cell("tags")) for row in rows(folder, text, **source)]


@pytest.mark.parametrize("gap", [" ", "   ", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_first_column_is_the_word_and_the_last_its_tag(tmp_path: Path, gap: str, end: str) -> None:
    lines = ["-DOCSTART- -X- O", "", "Ada NNP B-PER", "sails VBZ O", "", "", "No DT O", "."]
    text = end.join(line.replace(" ", gap) for line in lines[:-1]) + end
    assert words(tmp_path, text) == [(["Ada", "sails"], ["B-PER", "O"]), (["No"], ["O"])]


def test_every_column_has_its_number_and_the_name_that_the_file_gives_it(tmp_path: Path) -> None:
    found = rows(tmp_path, "# global.columns = FORM UPOS NER\nAda PROPN B-PER\n")[0]
    assert found.cell("2") == found.cell("UPOS") == ["PROPN"]
    assert found.cell("3") == found.cell("NER") == found.cell("tags") == ["B-PER"]


def test_a_comment_is_no_word_and_a_word_with_a_hash_is_no_comment(tmp_path: Path) -> None:
    text = "# id = 7\n#nowplaying O\n# O\nAda B-PER\n# two words\n\n#\tO\n"
    assert words(tmp_path, text) == [(["#nowplaying", "#", "Ada"], ["O", "O", "B-PER"]), (["#"], ["O"])]


def test_a_no_break_space_is_part_of_a_word(tmp_path: Path) -> None:
    assert words(tmp_path, "10\u00a0000 O\n") == [(["10\u00a0000"], ["O"])]


def test_a_sentence_says_the_line_of_each_word(tmp_path: Path) -> None:
    found = rows(tmp_path, "\n# text\nAda B-PER\nsails O\n\nNo O\n")
    assert [(row.place, list(row.lines)) for row in found] == [("line 3", [3, 4]), ("line 6", [6])]


def test_a_line_with_too_few_columns_is_a_defect_of_its_sentence_alone(tmp_path: Path) -> None:
    found = rows(tmp_path, "Ada B-PER\nsails\n\nNo O\n")
    assert [(row.place, row.defect) for row in found] == [("line 2", "1 column where 2 are expected"), ("line 4", "")]


def test_a_file_without_tags_has_words(tmp_path: Path) -> None:
    assert words(tmp_path, "Ada\nsails\n\nNo\n") == [(["Ada", "sails"], None), (["No"], None)]


def test_a_file_without_empty_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conll, "LONGEST", 3)
    with pytest.raises(CompressError, match="a.conll has no empty line after line 1 for 3 words"):
        rows(tmp_path, "a O\nb O\nc O\nd O\n")
