"""A task is named, or described in a file whose paths are its own; what is typed goes over what the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from compress.core.errors import CompressError
from compress.data.given import described, given

MINE = {
    "name": "mine",
    "text": "text",
    "label": "label",
    "labels": ["a", "b"],
    "data": {"train": "rows/a.csv", "evaluation": "b.csv"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder `sub` that holds the data."""
    (tmp_path / "sub" / "rows").mkdir(parents=True)
    for name in ("rows/a.csv", "b.csv"):
        (tmp_path / "sub" / name).write_text("text,label\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(content: Any, name: str = "sub/mine.yaml") -> str:
    Path(name).write_text(yaml.safe_dump(content))
    return name


@pytest.mark.parametrize("content", [MINE, {"task": MINE}, {"model": "m", "steps": {}, "task": MINE}])
def test_paths_in_a_file_are_relative_to_it(folder: Path, content: dict[str, Any]) -> None:
    found = given(write(content), None, None, None, "train")
    assert found["name"] == "mine"
    assert found["data"] == {"train": str(folder / "sub/rows/a.csv"), "evaluation": str(folder / "sub/b.csv")}
    assert given(write({**MINE, "data": "rows"}), None, None, None, "train")["data"] == str(folder / "sub/rows")


def test_a_file_may_name_a_task_that_ships(folder: Path) -> None:
    assert given(write({"task": "sst2"}), None, None, None, "train") == {"name": "sst2"}
    assert described("sub/mine.yaml", folder) == {"name": "sst2"}


def test_data_that_lies_in_the_current_folder_and_not_beside_the_file_is_told(folder: Path) -> None:
    (folder / "here").mkdir()
    file = write({**MINE, "data": "here"})
    with pytest.raises(
        CompressError, match=r"looked for beside the file that names it, in .*sub, .* it is in the current folder"
    ):
        given(file, None, None, None, "train")
    assert given(file, "here", None, None, "train")["data"] == str(folder / "here")


def test_what_is_typed_is_relative_to_the_current_folder_and_goes_over_the_file(folder: Path) -> None:
    found = given(write(MINE), "sub/rows", 7, None, "train")
    assert (found["data"], found["limit"]) == (str(folder / "sub/rows"), {"train": 7})
    found = given(write({**MINE, "limit": {"train": 3, "test": 2}}), None, 7, None, "train")
    assert found["limit"] == {"train": 7, "test": 2}


def test_a_single_file_is_the_split_that_its_name_or_else_the_command_tells(folder: Path) -> None:
    for name, split, expected in (
        ("sub/b.csv", "train", "train"),
        ("sub/b.csv", "evaluation", "evaluation"),
        ("sub/reviews_dev.csv", "train", "evaluation"),
        ("sub/train-00000-of-00001.csv", "evaluation", "train"),
    ):
        Path(name).touch()
        assert given("sst2", name, None, None, split)["data"] == {expected: str(folder / name)}


def test_options_change_a_models_own_task_and_need_one(folder: Path) -> None:
    own = {"name": "mine", "data": "/d", "prefix": "x"}
    assert given(None, None, None, own, "train") is own
    assert given("mine", None, 5, own, "evaluation") == {**own, "limit": {"evaluation": 5}}
    assert given("sst2", None, None, own, "train") == {"name": "sst2"}
    assert given(None, None, None, None, "train") is None
    with pytest.raises(CompressError, match="--rows needs --task"):
        given(None, None, 5, None, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"task": MINE, "limit": {"train": 5}}, "has 'limit' beside `task:`"),
        ({"task": ["a"]}, "A task is a name, a file or a mapping"),
        ({"task": "other.yaml"}, "names the file 'other.yaml' under `task:`"),
        (["a"], "is not a mapping"),
    ],
)
def test_a_file_that_describes_no_task_is_refused(folder: Path, content: Any, message: str) -> None:
    with pytest.raises(CompressError, match=message):
        given(write(content), None, None, None, "train")


def test_a_path_that_no_system_knows_is_refused(folder: Path) -> None:
    for data in ("a\0b", "x" * 5000):
        with pytest.raises(CompressError):
            given("sst2", data, None, None, "train")


def test_a_python_caller_gives_paths_and_descriptions_as_they_are(tmp_path: Path) -> None:
    rows = tmp_path / "train.csv"
    rows.write_text("review,mood\nfine,good\n")
    moods = {"name": "moods", "text": "review", "label": "mood", "labels": ["bad", "good"], "data": {"train": rows}}
    assert given(moods, None, None, None, "train") == {**moods, "data": {"train": str(rows)}}
    assert given("sst2", tmp_path, None, None, "train") == {"name": "sst2", "data": str(tmp_path)}
    assert given("sst2", rows, None, None, "evaluation")["data"] == {"train": str(rows)}
    file = tmp_path / "moods.yaml"
    file.write_text("name: moods\ndata: train.csv\n")
    assert given(file, None, None, None, "train") == {"name": "moods", "data": {"train": str(rows)}}


def test_an_overlap_is_allowed_in_any_task_there_is() -> None:
    own = {"name": "sst2"}
    assert given(None, None, None, own, "train", allow_overlap=True) == {"name": "sst2", "allow_overlap": True}
    assert given(None, None, None, None, "train", allow_overlap=True) is None


def test_a_models_own_tags_stay_when_its_task_is_named_with_other_rows(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nkind: token_classification\ndata: {train: train.conll}\n")
    (tmp_path / "dev.conll").write_text("Ada B-PER\n")
    own = {"name": "mine", "kind": "token_classification", "data": {}, "labels": ["O", "B-LOC"], "labels_from": "train"}
    file, data = str(tmp_path / "mine.yaml"), str(tmp_path / "dev.conll")
    assert given(file, data, None, own, "evaluation")["labels"] == ["O", "B-LOC"]
    assert "labels" not in given(file, data, None, {**own, "name": "other"}, "evaluation")
