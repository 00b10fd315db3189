"""What `compress predict` reads from files and standard input: one answer a line, and errors that name the line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from compress.cli.prediction_input import Layout, Line, format_of, read, sentences
from compress.core.errors import CompressError


def _lines(content: str | bytes, format: Any = "text", is_pair: bool | None = False, columns: Any = ()) -> list[Line]:
    raw = content if isinstance(content, bytes) else content.encode()
    return [line for group in read(io.BytesIO(raw), Layout("it", format, is_pair, columns)) for line in group]


def test_line_ends_of_windows_and_a_byte_order_mark_are_no_part_of_a_text() -> None:
    assert _lines(b"\xef\xbb\xbfgood\r\nbad\r\n") == [Line(1, "good"), Line(2, "bad")]


def test_a_conll_file_gives_its_sentences_without_their_tags(tmp_path: Path) -> None:
    file = tmp_path / "dev.conll"
    file.write_text("-DOCSTART- O\n\nAnna B-PER\nsings O\n\nBerlin B-LOC\n")
    assert format_of(file) == "conll"
    assert list(sentences(file, Layout("it", "conll", False, ("tokens",)))) == [
        [Line(3, "Anna sings"), Line(6, "Berlin")]
    ]
    file.write_text("1 Anna B-PER\n2 sings O\n")
    assert list(sentences(file, Layout("it", "conll", False, ("2",)))) == [[Line(1, "Anna sings")]]
    file.write_text("Anna B-PER\nsings\n")
    with pytest.raises(CompressError, match="it line 2: 1 column where 2 are expected"):
        list(sentences(file, Layout("it", "conll", False)))


def test_a_json_line_may_hold_the_words_of_a_sentence() -> None:
    assert _lines('{"tokens": ["Anna", "sings"]}', "jsonl", columns=("tokens",)) == [Line(1, "Anna sings")]


def test_a_last_line_needs_no_end() -> None:
    assert _lines("good\nbad") == [Line(1, "good"), Line(2, "bad")]


def test_blank_lines_keep_their_place() -> None:
    assert _lines("good\n\n \t\nbad\n") == [Line(1, "good"), Line(2, None), Line(3, None), Line(4, "bad")]


def test_a_tab_parts_a_pair_and_belongs_to_a_single_text() -> None:
    assert _lines("a\tb\n", is_pair=True) == [Line(1, ("a", "b"))]
    assert _lines("a\tb\n", is_pair=False) == [Line(1, "a\tb")]


@pytest.mark.parametrize("format", ["tsv", "csv"])
def test_a_first_line_of_names_says_where_the_texts_are(format: str) -> None:
    tab = "\t" if format == "tsv" else ","
    named = f"id{tab}answer{tab}question\n1{tab}b{tab}a\n"
    assert _lines(named, format, True, ("question", "answer")) == [Line(2, ("a", "b"))]
    assert _lines(f"text{tab}label\na{tab}1\n", format, False) == [Line(2, "a")]


def test_a_table_without_names_has_as_many_columns_as_the_model_reads_texts() -> None:
    assert _lines("a\tb\nc\td\n", "tsv", True) == [Line(1, ("a", "b")), Line(2, ("c", "d"))]
    with pytest.raises(CompressError, match=r"it line 2 has one text, but the model reads two texts"):
        _lines("a\tb\nc\n", "tsv", True)
    with pytest.raises(CompressError, match=r"it line 1 has two texts, but the model reads one text"):
        _lines("a\tb\n", "tsv", False)


def test_csv_keeps_commas_and_line_ends_within_quotes() -> None:
    assert _lines('"a, and\nmore",b\nc,d\n', "csv", True) == [Line(2, ("a, and\nmore", "b")), Line(3, ("c", "d"))]


def test_json_lines_are_objects_with_the_same_names() -> None:
    assert _lines('{"text": "a", "text_pair": "b", "label": 1}\n', "jsonl", True) == [Line(1, ("a", "b"))]
    assert _lines('{"review": "a"}\n\n', "jsonl", False, ("review",)) == [Line(1, "a"), Line(2, None)]


def test_a_text_within_objects_and_lists_is_found_as_in_a_tasks_files() -> None:
    row = '{"review": {"parts": [{"body": "a"}]}}\n'
    assert _lines(row, "jsonl", False, ("review.parts.0.body",)) == [Line(1, "a")]


def test_a_task_says_what_parts_cells_and_what_encodes_them() -> None:
    layout = Layout("it", "csv", False, ("review",), ";", "windows-1252")
    (group,) = read(io.BytesIO("mood;review\nbad;d\xe9j\xe0, vu\n".encode("windows-1252")), layout)
    assert group == [Line(2, "d\xe9j\xe0, vu")]


@pytest.mark.parametrize("name", ["a.json", "a.parquet", "a.csv.gz", "a.ZIP"])
def test_files_without_lines_of_text_are_refused(name: str) -> None:
    with pytest.raises(CompressError, match=r"are not supported.*\.jsonl"):
        format_of(Path(name))


@pytest.mark.parametrize(
    ("content", "format", "says"),
    [
        ("good\n".encode("utf-16"), "text", "Line 1 of it is UTF-16"),
        ("good\n".encode("utf-16-le"), "text", "Line 1 of it has null bytes"),
        ("a\n".encode("utf-32-be"), "csv", "Line 1 of it has null bytes"),
        ("text;label\ngood;1\n", "csv", "it has columns separated by ';'"),
        ("text,label\ngood,1\n", "tsv", "it has columns separated by ','"),
        (b"good\nb\xe9d\n", "text", "Line 2 of it is not UTF-8: byte 0xe9 at position 2"),
        ('{"text": "a"}\n{"text": \n', "jsonl", "it line 2 is not JSON"),
        ('{"text": 5}\n', "jsonl", "it line 1: `text` is not text"),
        ('{"txt": "a"}\n', "jsonl", "it line 1 has no text"),
        ("[" * 20_000 + "\n", "jsonl", "it line 1 is not JSON"),
        ('{"text": "\\ud83d"}\n', "jsonl", "it line 1: A text is not Unicode"),
        ('{"text": ' + "1" * 5000 + "}\n", "jsonl", "it line 1"),
        ('a,"b\n', "csv", "it line 1 is not CSV"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(content: Any, format: str, says: str) -> None:
    with pytest.raises(CompressError, match=says) as raised:
        _lines(content, format)
    assert len(str(raised.value)) <= 500


def test_what_stands_before_a_bad_line_is_answered_first() -> None:
    groups = read(io.BytesIO(b"good\nfine\n\xff\n"), Layout("it", "text", False))
    assert next(groups) == [Line(1, "good"), Line(2, "fine")]
    with pytest.raises(CompressError, match="Line 3 of it"):
        next(groups)


def test_an_answer_does_not_wait_for_the_next_line() -> None:
    class Pipe:
        """Gives a line at each reading, as a pipe does whose writer is slow."""

        def __init__(self) -> None:
            self.waiting = [b"good\n", b"bad\n", b""]

        def read1(self, size: int) -> bytes:
            return self.waiting.pop(0)

    pipe: Any = Pipe()
    assert next(read(pipe, Layout("it", "text", False))) == [Line(1, "good")]
    assert pipe.waiting == [b"bad\n", b""]
