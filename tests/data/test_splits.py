"""What is in which split depends on the rows' content alone: not on their order, their file's place or the day."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.data.loading import Split, load, resolve

ROWS = [f"the boat number {number} {'sails' if number % 3 else 'sinks'}\t{number % 2}" for number in range(2000)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path, ROWS)
    return tmp_path


def write(folder: Path, rows: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "train.tsv").write_text("sentence\tlabel\n" + "".join(f"{row}\n" for row in rows))


def read(folder: Path, split: str, **settings: Any) -> Split:
    return load(*resolve({"name": "sst2", "data": str(folder), **settings}), split, cache=folder / "cache")


def texts(split: Split) -> set[str]:
    return set(split.rows["text"])


def test_train_and_holdout_share_no_row_and_are_the_whole_file(data: Path) -> None:
    train, holdout = (texts(read(data, split)) for split in ("train", "holdout"))
    assert not train & holdout
    assert train | holdout == {row.split("\t")[0] for row in ROWS}
    # Five standard deviations of a binomial of 2,000 draws at 5 %.
    assert abs(len(holdout) - 100) < 5 * (2000 * 0.05 * 0.95) ** 0.5


def test_the_share_that_is_held_out_can_be_set(data: Path) -> None:
    assert len(read(data, "holdout", holdout=0.5).rows) == pytest.approx(1000, abs=112)


def test_the_order_of_the_file_changes_no_split(data: Path, tmp_path: Path) -> None:
    shuffled = list(ROWS)
    random.Random(1).shuffle(shuffled)
    write(tmp_path / "shuffled", shuffled)
    for split in ("train", "holdout"):
        settings = {"limit": {"train": 300}}
        assert texts(read(data, split, **settings)) == texts(read(tmp_path / "shuffled", split, **settings))


def test_a_text_never_lies_on_both_sides_even_with_two_labels(tmp_path: Path) -> None:
    write(tmp_path, [f"the boat number {number}\t{label}" for number in range(500) for label in (0, 1)])
    train, holdout = (read(tmp_path, split) for split in ("train", "holdout"))
    assert len(train.rows) + len(holdout.rows) == 1000
    assert not texts(train) & texts(holdout)


def test_a_limit_draws_that_many_rows_by_its_seed_in_the_files_order(data: Path) -> None:
    whole = read(data, "train").rows["text"][:]
    first, again, other = (read(data, "train", limit={"train": 300}, seed=seed) for seed in (0, 0, 1))
    assert len(first.rows) == 300
    drawn = texts(first)
    assert first.rows["text"][:] == [text for text in whole if text in drawn]
    assert drawn == texts(again)
    assert len(drawn & texts(other)) < 150
    assert len(read(data, "train", limit={"train": 10**6}).rows) == len(whole)


def test_rows_held_out_follow_the_limit_of_the_training_rows(data: Path) -> None:
    assert len(read(data, "holdout", limit={"train": 300}, holdout=0.1).rows) == 34  # 300 : 34 as 90 : 10
    assert len(read(data, "holdout", limit={"train": 300, "holdout": 80}, holdout=0.1).rows) == 80
    assert len(read(data, "holdout", limit={"train": 10**6}).rows) == len(read(data, "holdout").rows)


def test_a_limit_counts_rows_that_repeat(tmp_path: Path) -> None:
    write(tmp_path, ["the same boat\t1"] * 50)
    # All fifty lie on one side: nearly everything is held out here, so on that one.
    assert len(read(tmp_path, "holdout", holdout=0.9999, limit={"holdout": 20}).rows) == 20


def test_the_identity_follows_the_content_and_not_the_place(data: Path, tmp_path: Path) -> None:
    here = read(data, "train").identity
    write(tmp_path / "elsewhere", ROWS)
    assert read(tmp_path / "elsewhere", "train").identity == here
    write(tmp_path / "elsewhere", [*ROWS, "one more boat\t1"])
    there = read(tmp_path / "elsewhere", "train").identity
    assert there["files"] != here["files"]
    assert there["content"] != here["content"]


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(data: Path) -> None:
    read(data, "train")
    kept = {file: file.stat().st_mtime_ns for file in (data / "cache").rglob("*") if file.is_file()}
    read(data, "train")
    assert {file: file.stat().st_mtime_ns for file in (data / "cache").rglob("*") if file.is_file()} == kept
    write(data, ["a new boat\t1", *ROWS])
    assert "a new boat" in texts(read(data, "train")) | texts(read(data, "holdout"))


def test_rows_of_equal_content_have_an_equal_fingerprint(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "copy", ROWS)
    assert read(data, "train").rows._fingerprint == read(tmp_path / "copy", "train").rows._fingerprint
    assert read(data, "train").rows._fingerprint != read(data, "holdout").rows._fingerprint


def test_a_reading_that_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path, [*ROWS, "a boat\tmaybe"])
    with pytest.raises(CompressError, match="line 2002"):
        read(tmp_path, "train")
    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("name", ["rows.arrow", "entry.json"])
def test_rows_that_were_damaged_in_the_cache_are_read_again(
    name: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = read(data, "train")
    rows = before.rows.to_dict()
    (file,) = (data / "cache" / "rows").rglob(name)
    file.write_bytes(file.read_bytes()[:-20])
    again = read(data, before.name)
    assert again.rows.to_dict() == rows
    assert again.identity == before.identity
    assert "is damaged, so it is made again" in caplog.text


def test_an_unknown_split_is_refused(data: Path) -> None:
    with pytest.raises(CompressError, match=r"no split 'evalution'\. Did you mean 'evaluation'"):
        read(data, "evalution")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Python's own allocations; the Arrow file is mapped and written batch by batch."""
    import tracemalloc

    long = "boat " * 400  # 2 KB a row, so 40 MB in all
    write(tmp_path, [f"{number} {long}\t1" for number in range(20_000)])
    read(tmp_path, "holdout")  # imports out of the way
    tracemalloc.start()
    found = read(tmp_path, "train")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.rows) > 18_000
    assert peak < 20 * 2**20
