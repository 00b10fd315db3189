"""Text files of one's own are read as other programs write them, and what cannot be told is refused with the key to set."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.decoding import LONGEST_LINE
from compress.data.loading import load, resolve

ROWS = [('he said "fine" loudly', "pos"), ("plain", "neg"), ("two\nlines", "pos"), ("a\ttab", "neg")]
PLAIN = "text,label\na café,pos\na ship,neg\n"
"""Rows, and a table without quotes."""


def read(file: Path, content: str | bytes, **more: Any) -> list[tuple[str, int]]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    described = {"name": "mine", "text": "text", "label": "label", "labels": ["neg", "pos"], **more}
    task, data = resolve({**described, "data": {"evaluation": str(file)}})
    rows = load(task, data, "evaluation", file.parent / "cache").rows
    return list(zip(rows["text"], rows["label"], strict=True))


def refused(file: Path, content: str | bytes, **more: Any) -> str:
    with pytest.raises(CompressError) as error:
        read(file, content, **more)
    assert "\n" not in str(error.value)
    assert len(str(error.value).replace(str(file), file.name)) <= 500
    return str(error.value)


def written_by_pandas(**how: Any) -> str:
    import pandas

    return str(pandas.DataFrame(ROWS, columns=["text", "label"]).to_csv(index=False, **how))


EXPECTED = [(text, int(label == "pos")) for text, label in ROWS]


@pytest.mark.parametrize("quoting", [0, 1])
def test_a_tsv_whose_quotes_enclose_cells_is_read_so(tmp_path: Path, quoting: int) -> None:
    assert read(tmp_path / "a.tsv", written_by_pandas(sep="\t", quoting=quoting)) == EXPECTED


@pytest.mark.parametrize("text", ['"We sail , " he said .', '""double" quotes" it says', '5" screen', '"', "''"])
def test_a_quote_that_encloses_no_cell_is_text(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "a.tsv", f"text\tlabel\n{text}\tpos\n") == [(text, 1)]


def test_a_sentence_in_quotes_is_text_and_the_doubt_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = 'text\tlabel\nfine\tpos\n"We sail."\tpos\n'
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path / "a.tsv", content)[1] == ('"We sail."', 1)
    assert "a.tsv line 3: the quotes around a cell are read as text" in caplog.text
    assert read(tmp_path / "a.tsv", content, quoting="csv")[1] == ("We sail.", 1)
    caplog.clear()
    assert read(tmp_path / "a.tsv", content, quoting="none")[1] == ('"We sail."', 1)
    assert not caplog.text


def test_quotes_of_both_kinds_are_refused_until_somebody_says_which(tmp_path: Path) -> None:
    content = 'text\tlabel\n"We ""sail""."\tpos\n5" screen\tneg\n'
    message = refused(tmp_path / "a.tsv", content)
    assert "in line 2 quotes enclose a cell" in message
    assert "in line 3 one is text" in message
    assert read(tmp_path / "a.tsv", content, quoting="none") == [('"We ""sail""."', 1), ('5" screen', 0)]


def test_quotes_in_a_shipped_tasks_files_stay_text_and_are_warned_of_where_they_look_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "dev.tsv").write_text('sentence\tlabel\n"a ""fine"" boat"\t1\n')
    with caplog.at_level(logging.WARNING):
        rows = load(*resolve({"name": "sst2", "data": str(tmp_path)}), "evaluation", tmp_path / "cache").rows
    assert rows["text"][:] == ['"a ""fine"" boat"']
    assert "set `quoting: csv`" in caplog.text
    task, data = resolve({"name": "sst2", "data": str(tmp_path), "quoting": "csv"})
    assert load(task, data, "evaluation", tmp_path / "cache").rows["text"][:] == ['a "fine" boat']


def test_a_quote_that_is_never_closed_does_not_swallow_the_rows_after_it(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", 'label,text\npos,"a boat\nneg,a ship\npos,a raft\n')
    assert "line 2 (its quote is never closed; read on to line 4)" in message


def test_another_separator_is_told_and_can_be_set(tmp_path: Path) -> None:
    content = written_by_pandas(sep=";")
    assert """separated by ';': set `separator: ";"`""" in refused(tmp_path / "a.csv", content)
    assert read(tmp_path / "a.csv", content, separator=";") == EXPECTED
    assert read(tmp_path / "a.tsv", "text|label\na boat|pos\n", separator="|") == [("a boat", 1)]
    assert "Write one character" in refused(tmp_path / "a.csv", content, separator=";;")


def test_a_column_with_white_space_around_its_name_is_told_as_that(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", "text, label\na boat, pos\n")
    assert "Its column ' label' has white space around its name" in message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    rows = [{"text": "a café", "label": "pos"}, {"text": "a ship", "label": "neg"}]
    content = {
        "a.csv": PLAIN,
        "a.tsv": PLAIN.replace(",", "\t"),
        "a.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "a.json": json.dumps(rows, ensure_ascii=False, indent=1),
    }[name]
    assert read(tmp_path / name, content.encode(encoding)) == [("a café", 1), ("a ship", 0)]


def test_an_encoding_without_a_mark_is_told_by_line_and_byte_and_can_be_set(tmp_path: Path) -> None:
    message = refused(tmp_path / "a.csv", PLAIN.encode("windows-1252"))
    assert "line 2 (not UTF-8 text, byte 6)" in message
    assert "`encoding: windows-1252`" in message
    assert read(tmp_path / "a.csv", PLAIN.encode("windows-1252"), encoding="windows-1252")[0] == ("a café", 1)
    assert "Set `encoding: utf-16-le`" in refused(tmp_path / "a.csv", PLAIN.encode("utf-16-le"))
    assert read(tmp_path / "a.csv", PLAIN.encode("utf-16-le"), encoding="utf-16-le")[0] == ("a café", 1)
    assert "is not UTF-16 text" in refused(tmp_path / "a.csv", PLAIN.encode("utf-16")[:-1])
    assert "Name an encoding that Python knows" in refused(tmp_path / "a.csv", PLAIN, encoding="hex")


def test_two_columns_of_one_name_are_refused_where_they_are_read(tmp_path: Path) -> None:
    assert "has 2 columns called 'text'" in refused(tmp_path / "a.csv", "text,label,text\na,pos,b\n")
    assert read(tmp_path / "a.csv", "text,label,,\na,pos,,\n") == [("a", 1)]
    assert "'text' is in one object twice" in refused(tmp_path / "a.jsonl", '{"text": "a", "text": "b", "label": 1}\n')


DEEP = {"review": {"body": {"text": "fine", "parts": ["a", "b"]}}, "a.b": {"c": "d"}, "label": 1}


@pytest.mark.parametrize(
    ("column", "text"), [("review.body.text", "fine"), ("review.body.parts.1", "b"), ("a.b.c", "d")]
)
def test_a_column_is_named_at_any_depth(tmp_path: Path, column: str, text: str) -> None:
    import pyarrow
    from pyarrow import parquet

    assert read(tmp_path / "a.jsonl", json.dumps(DEEP), text=column) == [(text, 1)]
    assert read(tmp_path / "a.json", json.dumps([DEEP]), text=column) == [(text, 1)]
    parquet.write_table(pyarrow.Table.from_pylist([DEEP]), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes(), text=column) == [(text, 1)]


def test_a_field_that_the_first_row_lacks_is_a_column_all_the_same(tmp_path: Path) -> None:
    content = '{"text": "a"}\n' + '{"text": "b", "label": "pos"}\n' * 30
    assert "line 1 ('label' is empty)" in refused(tmp_path / "a.jsonl", content)
    assert len(read(tmp_path / "a.jsonl", content, bad_rows="skip")) == 30


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "{'text': 'a'}\n{'text': 'b'}\n", "line 1 is not JSON: Expecting property name enclosed in double quotes"),
        ("a.jsonl", '{"text": "a \\ud83d", "label": 1}\n', r"line 1 ('text' has half a character, '\ud83d')"),
        ("a.jsonl", '{"text": "a", "label": ' + "1" * 5000 + "}\n", "a number of too many digits"),
        ("a.jsonl", '{"text": ' + "[" * 100_000 + "\n", "nested too deeply"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '[{"text": "a", "label": 1}]\n[{"text": "b", "label": 1}]', "continues after the end of its JSON list"),
        ("a.json", '[{"text": "a", "label": NaN}]', "label nan is not among neg, pos"),
        ("a.jsonl", '{"text": ["a", "b"], "label": 1}\n', "not a text; name one of its items"),
        ("a.jsonl", '{"text": "a", "label": {"is": 1}}\n', "'label' is {'is': 1}: several labels in one row"),
        ("a.csv", b"\xff\xfe", "is empty"),
        ("a.csv", b"te\xe9xt,label\na,pos\n", "line 1 is not UTF-8 text, byte 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    assert message in refused(tmp_path / name, content)


def test_half_a_character_is_left_out_on_request(tmp_path: Path) -> None:
    content = '{"text": "a \\ud83d", "label": 1}\n{"text": "b \\ud83d\\ude00", "label": 1}\n'
    assert read(tmp_path / "a.jsonl", content, bad_rows="skip") == [("b 😀", 1)]


def test_labels_that_count_from_1_are_told_instead_of_left_out(tmp_path: Path) -> None:
    content = "text,label\n" + "a boat,1\n" * 3 + "a ship,2\n" * 4
    message = refused(tmp_path / "a.csv", content)
    assert "4 bad rows of 7" in message
    assert "`labels: {1: neg, 2: pos}`" in message
    assert "skip" not in message
    assert read(tmp_path / "a.csv", content, labels={1: "neg", 2: "pos"}) == [("a boat", 0)] * 3 + [("a ship", 1)] * 4


def test_values_of_the_data_may_share_a_label(tmp_path: Path) -> None:
    stars = {1: "neg", 2: "neg", 3: "pos"}
    content = "text,label\n" + "".join(f"row {value},{value}\n" for value in ("1", "2.0", "3"))
    assert [label for _, label in read(tmp_path / "a.csv", content, labels=stars)] == [0, 0, 1]
    assert "label '4' is not among" in refused(tmp_path / "a.csv", content + "row 4,4\n", labels=stars)
    truths = {True: "good", False: "bad"}
    assert read(tmp_path / "a.jsonl", '{"text": "a", "label": false}\n', labels=truths) == [("a", 1)]


def test_only_a_few_bad_rows_are_offered_to_be_left_out(tmp_path: Path) -> None:
    rows = "a boat,pos\n" * 95
    assert "bad_rows: skip" in refused(tmp_path / "a.csv", "text,label\n" + rows + ",pos\n" * 5)
    assert "skip" not in refused(tmp_path / "a.csv", "text,label\n" + rows + ",pos\n" * 6)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.data import decoding

    assert LONGEST_LINE > 50_000_000
    monkeypatch.setattr(decoding, "LONGEST_LINE", 1 << 20)
    assert "line 1 is longer than 1 MB" in refused(tmp_path / "a.tsv", "x" * (1 << 21))


def test_a_broken_list_is_refused_without_reading_on(tmp_path: Path) -> None:
    import tracemalloc

    content = '[{"text" "a", "label": 1},' + '{"text": "b", "label": 1},' * 400_000
    tracemalloc.start()
    (tmp_path / "a.json").write_text(content)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    described = {"name": "mine", "text": "text", "label": "label", "labels": ["neg", "pos"]}
    with pytest.raises(CompressError, match="broken JSON after row 0: Expecting ':' delimiter"):
        load(*resolve({**described, "data": {"train": str(tmp_path / "a.json")}}), "train", tmp_path / "cache")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < len(content) / 4


def test_a_kilobyte_of_parquet_that_holds_gigabytes_is_refused_without_holding_them(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    one = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1000, pyarrow.int32()), ["x" * 5_000_000])
    parquet.write_table(pyarrow.table({"text": one, "label": [1] * 1000}), tmp_path / "a.parquet", compression="zstd")
    content = (tmp_path / "a.parquet").read_bytes()
    assert len(content) < 2000
    pyarrow.default_memory_pool().release_unused()
    assert "repeated text" in refused(tmp_path / "a.parquet", content)
    assert pyarrow.default_memory_pool().max_memory() < 2**28


@pytest.mark.parametrize("column", ["text", "label"])
def test_a_parquet_file_whose_rows_point_beyond_its_dictionary_is_refused(column: str, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    file = tmp_path / "a.parquet"
    table = pyarrow.table({"text": ["good film", "bad film"] * 16, "label": [0, 1] * 16})
    parquet.write_table(table, file, compression="none", use_dictionary=[column], write_statistics=False)
    content, indices = file.read_bytes(), b"\x01\x09" + b"\xaa" * 4  # 32 numbers of one bit: 0 and 1 in turns
    assert content.count(indices) == 1
    beyond = b"\x08\x40\xff\x00\x00\x00"  # 8 bits each: 32 times 255
    assert "is not a Parquet file that can be read" in refused(file, content.replace(indices, beyond))


@pytest.mark.parametrize("column", [[b"abc"], [5], [None], [["a"]]])
def test_parquet_cells_that_are_no_texts_are_bad_rows(tmp_path: Path, column: list[Any]) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": column, "label": [1]}), tmp_path / "a.parquet")
    assert "1 bad row of 1: row 1 ('text' is" in refused(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes())


def test_only_the_files_that_are_named_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dev.csv").write_text(PLAIN)
    (tmp_path / "mine.csv").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    described = {"name": "mine", "text": "text", "label": "label", "labels": ["neg", "pos"]}
    with pytest.raises(CompressError, match=r"no file for the evaluation split: its `data` names only train"):
        load(*resolve({**described, "data": {"train": "mine.csv"}}), "evaluation", tmp_path / "cache")


def test_a_single_file_is_the_split_that_its_name_tells(tmp_path: Path) -> None:
    described = {"name": "mine", "text": "text", "label": "label", "labels": ["neg", "pos"]}
    (tmp_path / "reviews-dev.csv").write_text(PLAIN)
    task, data = resolve({**described, "data": str(tmp_path / "reviews-dev.csv")})
    assert len(load(task, data, "evaluation", tmp_path / "cache").rows) == 2
    for name in ("reviews.csv", "train_test.csv"):
        (tmp_path / name).write_text(PLAIN)
        with pytest.raises(CompressError, match=r"does not say which split .* Write `data: {train: FILE}`"):
            resolve({**described, "data": str(tmp_path / name)})


def test_a_path_that_no_system_can_hold_is_a_missing_file(tmp_path: Path) -> None:
    described = {"name": "mine", "text": "text", "label": "label", "labels": ["neg", "pos"]}
    for data in ("x" * 5000, "a\0b", str(tmp_path / ("y" * 300))):
        with pytest.raises(CompressError, match="does not exist"):
            load(*resolve({**described, "data": data}), "train", tmp_path / "cache")
        with pytest.raises(CompressError, match="does not exist"):
            load(*resolve({**described, "data": {"train": f"{data}.csv"}}), "train", tmp_path / "cache")
