"""The texts of a generative task are read from any format, held out by hash, and what is empty is counted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.description import resolve
from compress.data.loading import Split, load
from tests.tabular import WRITERS, as_csv, as_jsonl

ROWS = [
    {"id": 1, "chat": 'A: "Hi", you\r\nB: yes\n', "gist": "Ünïcode — they met."},
    {"id": 2, "chat": "A: one\nB: two", "gist": "Line one\nline two"},
]


def read(file: Path, split: str = "evaluation", **more: Any) -> Split:
    described = {"name": "mine", "kind": "summarization", "source": "chat", "target": "gist", **more}
    return load(*resolve({**described, "data": {split: str(file)}}), split, cache=file.parent / "cache")


@pytest.mark.parametrize("suffix", WRITERS)
def test_two_columns_of_any_format_are_texts_without_space_around_them(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / f"a.{suffix}", ROWS)
    found = read(tmp_path / f"a.{suffix}")
    assert found.rows["text"][:] == ['A: "Hi", you\r\nB: yes', "A: one\nB: two"]
    assert found.rows["label"][:] == ["Ünïcode — they met.", "Line one\nline two"]
    assert found.rows.column_names == ["text", "label", "row_hash"]
    assert (found.identity["rows"], found.identity["empty_rows"], found.identity["empty"]) == (2, 0, "drop")


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_columns_inside_an_object_are_named_with_a_dot(tmp_path: Path, suffix: str) -> None:
    rows = [{"translation": {"en": f"house {n}", "de": f"Haus {n}"}} for n in range(3)]
    WRITERS[suffix](tmp_path / f"a.{suffix}", rows)
    file = tmp_path / f"a.{suffix}"
    found = read(file, kind="translation", source="translation.en", target="translation.de").rows
    assert found["text"][:] == ["house 0", "house 1", "house 2"]
    assert found["label"][:] == ["Haus 0", "Haus 1", "Haus 2"]
    with pytest.raises(CompressError, match=r"no column 'translation.fr'.* Its columns: translation, translation.en"):
        read(file, kind="translation", source="translation.fr", target="translation.de")


EMPTY = [ROWS[0], {"id": 3, "chat": " \n", "gist": "of nothing"}, {"id": 4, "chat": "A: hm", "gist": ""}]


def test_rows_with_an_empty_text_are_left_out_and_counted_every_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    as_jsonl(tmp_path / "a.jsonl", EMPTY)
    for _ in range(2):  # read from the file, then from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = read(tmp_path / "a.jsonl")
        assert len(found.rows) == 1
        assert found.identity["empty_rows"] == 2
        assert "2 rows have an empty text" in caplog.text


def test_rows_with_an_empty_text_are_kept_or_refused_on_request(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", EMPTY)
    kept = read(tmp_path / "a.jsonl", empty="keep")
    assert kept.rows["text"][1:] == ["", "A: hm"]
    assert kept.rows["label"][1:] == ["of nothing", ""]
    assert kept.identity["empty_rows"] == 2
    with pytest.raises(CompressError, match=r"2 bad rows of 3: line 2 \('chat' is empty\), line 3 \('gist' is empty\)"):
        read(tmp_path / "a.jsonl", empty="error")
    assert len(read(tmp_path / "a.jsonl", empty="error", bad_rows="skip").rows) == 1


def test_what_is_no_text_is_a_bad_row_whatever_becomes_of_empty_ones(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", [ROWS[0], {"chat": 5, "gist": "five"}, {"chat": "five", "gist": ["5"]}])
    with pytest.raises(
        CompressError, match=r"line 2 \('chat' is 5, not a text\), line 3 \('gist' is \['5'\], not a text"
    ):
        read(tmp_path / "a.jsonl")


def test_training_rows_are_held_out_by_the_hash_of_their_sources_so_that_none_is_on_both_sides(tmp_path: Path) -> None:
    rows = [{"chat": f"A: {n % 150}", "gist": f"gist {n}"} for n in range(300)]
    as_jsonl(tmp_path / "a.jsonl", rows)
    train, holdout = (
        load(*resolve({"name": "mine", "kind": "summarization", "source": "chat", "target": "gist",
                       "data": {"train": str(tmp_path / "a.jsonl")}, "holdout": 0.2}), split, tmp_path / "cache")
        for split in ("train", "holdout")
    )  # fmt: skip
    assert len(train.rows) + len(holdout.rows) == 300
    assert 30 < len(holdout.rows) < 90
    assert not set(train.rows["text"]) & set(holdout.rows["text"])


def test_a_limit_draws_the_same_rows_whatever_their_order(tmp_path: Path) -> None:
    rows = [{"chat": f"A: {n}", "gist": f"gist {n}"} for n in range(50)]
    as_jsonl(tmp_path / "a.jsonl", rows)
    as_jsonl(tmp_path / "b.jsonl", rows[::-1])
    drawn = [set(read(tmp_path / name, limit={"evaluation": 7}).rows["text"]) for name in ("a.jsonl", "b.jsonl")]
    assert len(drawn[0]) == 7
    assert drawn[0] == drawn[1]


def test_an_article_longer_than_pythons_limit_of_a_cell_is_read(tmp_path: Path) -> None:
    as_csv(tmp_path / "a.csv", [{"chat": "word " * 60_000, "gist": "long"}])
    assert len(read(tmp_path / "a.csv").rows["text"][0]) == 299_999


def test_a_test_file_without_targets_has_none(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"chat": "A: hm"}])
    assert not read(tmp_path / "a.jsonl", "test").is_labelled


def test_dialogsum_is_read_from_its_own_files_and_its_test_by_the_first_summary(tmp_path: Path) -> None:
    as_jsonl(
        tmp_path / "dialogsum.dev.jsonl", [{"fname": "d", "dialogue": "#Person1#: Hi", "summary": "s", "topic": "t"}]
    )
    test = {"fname": "d", "dialogue": "#Person1#: Hi", "summary1": "s1", "topic1": "t", "summary2": "s2"}
    as_jsonl(tmp_path / "dialogsum.test.jsonl", [test])
    task, data = resolve({"name": "dialogsum", "data": str(tmp_path)})
    assert load(task, data, "evaluation", tmp_path / "cache").rows["label"][:] == ["s"]
    assert load(task, data, "test", tmp_path / "cache").rows["label"][:] == ["s1"]


@pytest.mark.parametrize(
    ("name", "row", "asked"),
    [
        ("samsum", {"dialogue": "A: hi", "summary": "s"}, ("knkarthick/samsum", "default")),
        ("dialogsum", {"dialogue": "A: hi", "summary": "s"}, ("knkarthick/dialogsum", "default")),
        ("cnn_dailymail", {"article": "A.", "highlights": "s"}, ("abisee/cnn_dailymail", "3.0.0")),
        ("xsum", {"document": "A.", "summary": "s"}, ("EdinburghNLP/xsum", "default")),
        ("wikitext2", {"text": " = A = \n"}, ("Salesforce/wikitext", "wikitext-2-raw-v1")),
    ],
)
def test_rows_of_the_hub_are_read_by_the_columns_it_has(
    name: str, row: dict[str, str], asked: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The hub cannot be reached here: its answer, in the columns of its data cards, is made up."""
    import datasets

    calls: list[tuple[str, ...]] = []

    def hub(of: str, config: str, split: str) -> Any:
        calls.append((of, config, split))
        return datasets.Dataset.from_list([row])

    monkeypatch.setattr(datasets, "load_dataset", hub)
    found = load(*resolve(name), "evaluation", tmp_path / "cache")
    assert len(found.rows) == 1
    assert found.is_labelled == (name != "wikitext2")
    assert calls == [(*asked, "validation")]


def test_a_text_file_is_one_text_whose_paragraphs_are_held_out_whole(tmp_path: Path) -> None:
    text = "".join(f"Paragraph {n}\r\nhas two lines.\n\n" for n in range(80))
    (tmp_path / "train.txt").write_text(text, newline="")
    for data in (str(tmp_path), {"train": str(tmp_path / "train.txt")}):
        task, folder = resolve({"name": "mine", "kind": "language_modelling", "data": data, "holdout": 0.2})
        assert task.generation is not None
        assert (task.generation.documents, task.generation.separate) == ("paragraphs", False)
        train, holdout = (load(task, folder, split, tmp_path / "cache").rows for split in ("train", "holdout"))
        assert len(train) + len(holdout) == 80
        assert len(holdout) > 4
        assert sorted("".join([*train["text"], *holdout["text"]]).split("\n\n")) == sorted(
            text.replace("\r\n", "\n").split("\n\n")
        )


def test_any_name_of_a_text_file_will_do_and_no_header_is_looked_for(tmp_path: Path) -> None:
    for name in ("story.md", "story.raw", "story.txt", "story"):
        (tmp_path / name).write_text("text\tof\ttabs\nand more")
        task = {"name": "mine", "kind": "language_modelling", "data": {"evaluation": str(tmp_path / name)}}
        rows = load(*resolve(task), "evaluation", tmp_path / "cache").rows
        assert rows["text"][:] == ["text\tof\ttabs\nand more\n"]
        assert rows.column_names == ["text", "row_hash"]


def test_the_rows_of_a_table_are_documents_of_their_own(tmp_path: Path) -> None:
    as_jsonl(tmp_path / "a.jsonl", [{"story": " Once.\n\nThen. "}, {"story": ""}, {"story": "The end."}])
    task = {"name": "mine", "kind": "language_modelling", "data": {"evaluation": str(tmp_path / "a.jsonl")}}
    resolved, data = resolve({**task, "source": "story"})
    assert resolved.generation is not None
    assert resolved.generation.separate
    found = load(resolved, data, "evaluation", tmp_path / "cache")
    assert found.rows["text"][:] == [" Once.\n\nThen. ", "The end."], "the text as it stands is what is predicted"
    assert found.identity["empty_rows"] == 1


def test_samsum_is_read_whole_but_for_its_one_empty_dialogue(tmp_path: Path, real_data: Path) -> None:
    task, data = resolve({"name": "samsum", "data": str(real_data / "data" / "SAMSum")})
    splits = {split: load(task, data, split, tmp_path) for split in ("train", "holdout", "evaluation", "test")}
    counts = {split: len(found.rows) for split, found in splits.items()}
    assert counts["train"] + counts["holdout"] == 14_732 - 1
    assert counts["holdout"] == pytest.approx(0.05 * 14_732, rel=0.15)
    assert (counts["evaluation"], counts["test"]) == (818, 819)
    assert [found.identity["empty_rows"] for found in splits.values()] == [1, 1, 0, 0]
    assert not set(splits["train"].rows["row_hash"]) & set(splits["holdout"].rows["row_hash"])


def test_wikitext_2_is_the_articles_it_is_known_to_have_and_its_files_text(tmp_path: Path, real_data: Path) -> None:
    folder = real_data / "data" / "wikitext-2"
    task, data = resolve({"name": "wikitext2", "data": str(folder)})
    rows = {split: load(task, data, split, tmp_path).rows for split in ("train", "holdout", "evaluation", "test")}
    assert len(rows["train"]) + len(rows["holdout"]) == 600
    assert len(rows["holdout"]) > 10
    for split, file in (("evaluation", "wiki.valid.raw"), ("test", "wiki.test.raw")):
        assert len(rows[split]) == 60
        assert "".join(rows[split]["text"]) == (folder / file).read_text(encoding="utf-8")
