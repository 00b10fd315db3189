"""A task of one's own is read from named columns of any format, and whatever is wrong with it is said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.core.errors import CompressError
from compress.data.loading import Split, load, resolve
from tests.tabular import WRITERS, as_csv, as_json, as_jsonl

ROWS = [
    {"id": 1, "review": 'Quoted "words", and a comma', "stars": "pos"},
    {"id": 2, "review": "Ünïcode — and\ttab", "stars": "neg"},
    {"id": 3, "review": "plain", "stars": "pos"},
]


def described(data: Any, **more: Any) -> dict[str, Any]:
    return {"name": "mine", "data": data, "text": "review", "label": "stars", "labels": ["neg", "pos"], **more}


def read(file: Path, split: str = "evaluation", **more: Any) -> Split:
    return load(*resolve(described({split: str(file)}, **more)), split, cache=file.parent / "cache")


def test_a_second_file_of_a_split_is_not_passed_over_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("dev.csv", "validation.csv"):
        as_csv(tmp_path / name, ROWS)
    with caplog.at_level(logging.WARNING):
        load(*resolve(described(str(tmp_path))), "evaluation", cache=tmp_path / "cache")
    assert "dev.csv is read, and validation.csv beside it is not" in caplog.text


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / f"a.{suffix}", ROWS)
    found = read(tmp_path / f"a.{suffix}")
    assert found.rows["text"][:] == [row["review"] for row in ROWS]
    assert found.rows["label"][:] == [1, 0, 1]
    assert found.rows.column_names == ["text", "label", "row_hash"]


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=5),
    suffix=st.sampled_from(["csv", "jsonl", "json"]),
)
def test_any_text_survives_the_reading(tmp_path: Path, texts: list[str], suffix: str) -> None:
    texts = [f"a{text}b" for text in texts]  # white space around a text is not part of it
    file = tmp_path / f"any.{suffix}"
    WRITERS[suffix](file, [{"review": text, "stars": "pos"} for text in texts])
    assert read(file).rows["text"][:] == texts


def test_a_json_list_longer_than_one_read_is_whole(tmp_path: Path) -> None:
    rows = [{"review": f"number {number} " + "x" * (number * 37 % 500), "stars": "neg"} for number in range(2000)]
    as_json(tmp_path / "long.json", rows)
    assert (tmp_path / "long.json").stat().st_size > 5 * 65536
    assert read(tmp_path / "long.json").rows["text"][:] == [row["review"].strip() for row in rows]


def test_a_folder_is_searched_for_each_splits_usual_names(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "train.jsonl", [{"review": f"row {number}", "stars": "neg"} for number in range(60)])
    as_csv(tmp_path / "validation.csv", ROWS)
    task, data = resolve(described(str(tmp_path)))
    assert len(load(task, data, "evaluation", tmp_path / "cache").rows) == 3
    parts = [load(task, data, split, tmp_path / "cache").rows["text"][:] for split in ("train", "holdout")]
    assert sorted(parts[0] + parts[1]) == sorted(f"row {number}" for number in range(60))


@pytest.mark.parametrize(
    ("labels", "cell", "expected"),
    [
        (["neg", "pos"], "pos", 1),
        (["neg", "pos"], "POS", 1),
        (["neg", "pos"], 1, 1),
        (["neg", "pos"], "1.0", 1),
        (["neg", "pos"], True, 1),
        (["pos", "neg"], True, 0),
        (["yes", "no"], True, 0),
        (["yes", "no"], "False", 1),
        (["no", "yes"], "TRUE", 1),
        (["no", "yes"], 1, 1),
        (["off", "on"], "yes", 1),
        (["spam", "not_spam"], True, 0),
        ([1, 2, 3, 4, 5], "1", 0),  # stars are names here, not ids
        ([1, 2, 3, 4, 5], 5.0, 4),
        (["1", "0"], "1", 0),
    ],
)
def test_a_label_is_a_name_first_and_an_id_only_where_no_name_is_a_number(
    tmp_path: Path, labels: list[Any], cell: Any, expected: int
) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"review": "a boat", "stars": cell}])
    assert read(tmp_path / "a.jsonl", labels=labels).rows["label"][:] == [expected]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (True, r"label True is not among cat, dog"),
        (["cat", "dog"], r"several labels in one row take `multi_label: true`"),
        ("cat, dog", r"not among cat, dog; several in one row take `multi_label: true`"),
    ],
)
def test_where_nothing_tells_which_label_is_meant_the_row_is_bad(tmp_path: Path, cell: Any, message: str) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"review": "a boat", "stars": cell}])
    with pytest.raises(CompressError, match=message):
        read(tmp_path / "a.jsonl", labels=["cat", "dog"])


def test_a_number_that_is_one_label_as_an_id_and_the_other_as_a_truth_value_is_refused(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"review": "a boat", "stars": 1}])
    with pytest.raises(CompressError, match=r"label 1 is 'yes' as a truth value and 'no' as the id.*\['no', 'yes'\]"):
        read(tmp_path / "a.jsonl", labels=["yes", "no"])


@pytest.mark.parametrize(
    ("labels", "cell"), [(["neg", "pos"], "2"), (["neg", "pos"], "0.5"), ([1, 2, 3], "0"), (["neg", "pos"], "nan")]
)
def test_a_label_that_is_none_of_the_labels_is_a_bad_row(tmp_path: Path, labels: list[Any], cell: str) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"review": "a boat", "stars": cell}])
    with pytest.raises(CompressError, match=r"line 1 \(label .* is not among"):
        read(tmp_path / "a.jsonl", labels=labels)


def test_a_regression_of_ones_own_is_read(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"review": "a boat", "stars": 3}, {"review": "a ship", "stars": "4.5"}])
    task = {
        "name": "mine",
        "kind": "regression",
        "data": {"test": str(tmp_path / "a.jsonl")},
        "text": "review",
        "label": "stars",
    }
    assert load(*resolve(task), "test", tmp_path / "cache").rows["label"][:] == [3.0, 4.5]


BAD = 'review,stars\nfine,pos\n"two\nlines",neg,extra\n,pos\nfine too,maybe\n\nfine,neg\n'


def test_bad_rows_are_reported_with_file_and_line_and_all_counted(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(BAD)
    with pytest.raises(CompressError) as error:
        read(tmp_path / "bad.csv")
    assert str(error.value) == (
        f"{tmp_path}/bad.csv has 4 bad rows of 6: line 4 (3 columns where 2 are expected), line 5 ('review' is empty), "
        "line 6 (label 'maybe' is not among neg, pos), line 7 (an empty line). "
        "Correct the file."
    )


def test_bad_rows_are_left_out_on_request_counted_and_reported_every_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.csv").write_text(BAD)
    for _ in range(2):  # read from the file, then from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = read(tmp_path / "bad.csv", bad_rows="skip")
        assert found.rows["label"][:] == [1, 0]
        assert found.identity["left_out"]["bad_rows"] == 4
        assert "left out 4 bad rows: line 4 (3 columns" in caplog.text


def test_only_the_first_few_bad_rows_are_shown(tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_text("review\tstars\n" + "text\tmaybe\n" * 100)
    with pytest.raises(CompressError, match=r"100 bad rows of 100: line 2 .* and 95 more"):
        read(tmp_path / "bad.tsv")


def test_text_that_is_not_utf8_is_a_bad_row_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "latin.tsv").write_bytes("review\tstars\nfine\tpos\ncafé\tpos\n".encode("latin-1"))
    with pytest.raises(CompressError, match=r"line 3 \(not UTF-8 text, byte 4\)"):
        read(tmp_path / "latin.tsv")
    (tmp_path / "latin.csv").write_bytes("review,stars\ncafé,pos\n".encode("latin-1"))
    with pytest.raises(CompressError, match=r"line 2 \(not UTF-8 text, byte 4\)\. .*`encoding: windows-1252`"):
        read(tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "revue,stars\nfine,pos\n", r"a.csv has no column 'review'. Did you mean 'revue'\? Its columns: revue, stars"),
        ("a.csv", "review\nfine\n", "has no column 'stars'"),
        ("a.jsonl", '{"review": "fine"}\n', "has no column 'stars'"),
        ("a.csv", "", "is empty"),
        ("a.csv", "review,stars\n", "The evaluation split of task 'mine' is empty"),
        ("a.jsonl", "\n", "is empty"),
        ("a.json", "[]", "is empty"),
        ("a.json", '"text"', "not a JSON list of objects"),
        ("a.json", '[{"review": "fine", "stars": "pos"}, {"rev', "is broken JSON after row 1"),
        ("a.jsonl", '{"review": "fine", "stars": "pos"}\n{"rev', r"1 bad row of 2: line 2 \(not JSON"),
        ("a.jsonl", '{"review": "fine", "stars": "pos"}\n[1]\n', r"line 2 \(not a JSON object"),
        ("a.jsonl", '{"review": 5, "stars": "pos"}\n', r"line 1 \('review' is 5, not a text"),
        ("a.jsonl", '{"review": "fine", "stars": null}\n', r"line 1 \('stars' is empty"),
        ("a.parquet", "no parquet", "is not a Parquet file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CompressError, match=message):
        read(tmp_path / name)


def test_a_split_whose_rows_are_all_bad_is_empty_even_where_they_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,stars\nfine,maybe\n")
    with pytest.raises(CompressError, match=r"is empty: .*1 bad row of 1: line 2"):
        read(tmp_path / "a.csv", bad_rows="skip")


def test_a_missing_file_names_the_folder_and_what_was_looked_for(tmp_path: Path) -> None:
    for data, split, message in (
        (str(tmp_path), "train", "has no file for the train split of task 'sst2'; looked for train.tsv or train.{"),
        (str(tmp_path / "nowhere"), "train", "nowhere does not exist"),
        ({"train": str(tmp_path / "a.csv")}, "evaluation", "has no file for the evaluation split"),
        ({"train": str(tmp_path / "a.csv")}, "train", "a.csv"),
    ):
        with pytest.raises(CompressError) as error:
            load(*resolve({"name": "sst2", "data": data}), split, tmp_path / "cache")
        assert message in str(error.value)


def test_without_a_network_the_error_says_how_to_give_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    def no_network(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach the hub\nand a second line")

    monkeypatch.setattr(datasets, "load_dataset", no_network)
    with pytest.raises(CompressError) as error:
        load(*resolve("rte"), "train", tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert "Couldn't reach the hub" in str(error.value)
    assert "`task: {name: rte, data: FOLDER}`" in str(error.value)


def test_rows_of_the_hub_are_read_as_those_of_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub cannot be reached here: its answer, in the columns that nyu-mll/glue has, is made up."""
    import datasets

    asked: list[tuple[Any, ...]] = []

    def hub(name: str, config: str, split: str) -> datasets.Dataset:
        asked.append((name, config, split))
        hidden = split.startswith("test")
        rows = [{"premise": "p", "hypothesis": "h", "label": -1 if hidden else 2, "idx": 0}]
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(datasets, "load_dataset", hub)
    found = load(*resolve("mnli_mismatched"), "evaluation", tmp_path / "cache")
    assert found.rows["label"][:] == [2]
    assert not load(*resolve("mnli_mismatched"), "test", tmp_path / "cache").is_labelled
    assert asked == [
        ("nyu-mll/glue", "mnli", "validation_mismatched"),
        ("nyu-mll/glue", "mnli", "test_mismatched"),
    ]


def test_the_same_file_read_by_other_columns_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("one,two,y,z\nfirst,second,0,1\n")

    def read_sst2(**columns: str) -> list[tuple[str, int]]:
        description = {"name": "sst2", "data": {"evaluation": str(tmp_path / "a.csv")}, **columns}
        rows = load(*resolve(description), "evaluation", tmp_path / "cache").rows
        return list(zip(rows["text"], rows["label"], strict=True))

    assert read_sst2(text="one", label="y") == [("first", 0)]
    assert read_sst2(text="two", label="z") == [("second", 1)]
