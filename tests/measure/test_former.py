"""Measurements that are there already: reused, refused, replaced when asked for, or kept; never replaced without a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compress.core.errors import CompressError
from compress.core.measurement import FILE, Measured, Measurement, Measurements
from compress.measure import former

SPEED = Measurement("abc", "latency_seconds", 0.3, "seconds", False, {"runtime": "pytorch"})
FOUND = Measurements({}, {}, {}, {}, (Measured("a", "abc", "runs/a", {}),), (SPEED,), created="today", plan="plan")


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    for existing in ("refuse", "replace", "keep"):
        assert former.reusable(tmp_path / "new", "plan", existing) is None  # type: ignore[arg-type]  # any of the three words


def test_the_same_once_more_is_reused_unless_it_is_to_be_measured_again(tmp_path: Path) -> None:
    FOUND.save(tmp_path)
    assert former.reusable(tmp_path, "plan", "refuse") == FOUND
    assert former.reusable(tmp_path, "plan", "keep") == FOUND
    assert former.reusable(tmp_path, "plan", "replace") is None


@pytest.mark.parametrize(
    "other",
    [FOUND, replace(FOUND, plan="")],
    ids=["another plan", "an older version"],
)
def test_others_are_refused_replaced_or_kept(tmp_path: Path, other: Measurements) -> None:
    other.save(tmp_path)
    with pytest.raises(CompressError, match=r"holds other measurements, of 1 models \(today\).*--force"):
        former.reusable(tmp_path, "new", "refuse")
    assert former.reusable(tmp_path, "new", "replace") is None
    assert former.reusable(tmp_path, "new", "keep") is None


def test_where_a_model_could_not_be_run_the_same_command_measures_again(tmp_path: Path) -> None:
    replace(FOUND, measurements=(replace(SPEED, value=None, absent="out of memory"),)).save(tmp_path)
    assert former.reusable(tmp_path, "plan", "refuse") is None


def test_a_pipelines_former_measurements_are_kept_with_their_outputs(tmp_path: Path) -> None:
    folder = tmp_path / "measurements"
    FOUND.save(folder)
    (folder / "outputs").mkdir()
    (folder / "outputs" / "a.jsonl").write_text("{}")
    former.set_aside(folder, "new")
    (there,) = (tmp_path / ".kept").iterdir()
    assert Measurements.open(there) == FOUND
    assert (there / "outputs" / "a.jsonl").is_file()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("content", ["", "{}", '{"measurements": []}', "my own numbers"])
def test_a_users_own_file_of_that_name_is_never_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(CompressError, match="was not written by compress"):
        former.check_folder(tmp_path)


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, reason in (("file", "is a file"), ("link", "does not exist"), ("file/a", "folder"), ("a\0", "zero byte")):
        with pytest.raises(CompressError, match=reason):
            former.check_folder(tmp_path / name)


def test_measurements_do_not_go_into_a_models_folder(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(CompressError, match="would be inside a model's folder"):
        former.check_folder(tmp_path)


def test_somebody_elses_outputs_are_not_written_over_and_those_of_former_measurements_go(tmp_path: Path) -> None:
    file = former.output_file(tmp_path, "a")
    file.parent.mkdir()
    file.write_text("a page for each row of the ledger")
    with pytest.raises(CompressError, match="outputs was not written by compress"):
        former.check_folder(tmp_path)
    FOUND.save(tmp_path)
    former.check_folder(tmp_path)
    other = former.output_file(tmp_path, "b")
    other.write_text("{}")
    former.remove_outputs(tmp_path)
    assert [one.name for one in file.parent.iterdir()] == [other.name]
