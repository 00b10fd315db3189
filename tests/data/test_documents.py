"""Lines become documents, and the documents are the text again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.data.documents import documents
from compress.data.files import RawRow

WIKI = [
    " \n", " = A title = \n", " \n", " Text . \n", " = = A section = = \n", " \n", " with a = b = c \n", " = x = \n",
    " = 2 = \n", " \n", " = Another = \n", " \n", " More . \n", " \n",
]  # fmt: skip


def read(lines: list[str], how: str) -> list[tuple[str, str]]:
    rows = [RawRow(f"line {number}", {"text": line}) for number, line in enumerate(lines, start=1)]
    return [(row.place, row.cells["text"]) for row in documents(rows, "text", how)]


def test_a_wikitext_article_begins_at_its_title_and_nothing_else_looks_like_one() -> None:
    found = read(WIKI, "wikitext")
    assert [place for place, _ in found] == ["line 2", "line 11"]
    assert found[0][1] == "".join(WIKI[:10])


def test_the_rows_of_the_hubs_wikitext_are_read_as_the_lines_of_its_file() -> None:
    """There, what is an empty line in the file is an empty text."""
    assert len(read([line if line.strip() else "" for line in WIKI], "wikitext")) == 2


def test_paragraphs_end_at_empty_lines_which_stay_with_them() -> None:
    found = read(["\n", "One\n", "one\n", "\n", "  \n", "Two"], "paragraphs")
    assert found == [("line 2", "\nOne\none\n\n  \n"), ("line 6", "Two\n")]


def test_what_parts_separate_texts_belongs_to_none_of_them() -> None:
    rows = [
        RawRow(f"line {number}", {"text": line})
        for number, line in enumerate(["\n", "One\n", " one\n", "\n", "Two\n", " \n"])
    ]
    found = [row.cells["text"] for row in documents(rows, "text", "paragraphs", separate=True)]
    assert found == ["One\n one", "Two"]


def test_rows_are_documents_as_they_stand() -> None:
    assert read(["a", "", "b\n"], "rows") == [("line 1", "a"), ("line 2", ""), ("line 3", "b\n")]


@pytest.mark.parametrize("how", ["paragraphs", "wikitext"])
@given(st.lists(st.sampled_from(["\n", " = T = \n", "a\n", " \n", " b \n", " = = S = = \n"]), max_size=14))
def test_joined_documents_are_the_text_and_each_but_an_empty_texts_has_something_in_it(
    how: str, lines: list[str]
) -> None:
    found = read(lines, how)
    assert "".join(text for _, text in found) == "".join(lines)
    if "".join(lines).strip():
        assert all(text.strip() for _, text in found)


def test_a_row_with_a_defect_is_passed_on() -> None:
    rows = [RawRow("line 1", {"text": "a\n"}), RawRow("line 2", defect="not UTF-8"), RawRow("line 3", {"text": "b\n"})]
    found = list(documents(rows, "text", "paragraphs"))
    assert [row.defect for row in found] == ["not UTF-8", ""]
    assert found[1].cells["text"] == "a\nb\n"
