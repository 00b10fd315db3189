"""Destinations: what would destroy an input, or cannot be written, is refused before any work and in one line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from compress.core import destination
from compress.core.artifact import Artifact, Step
from compress.core.errors import CompressError
from compress.core.work_folder import finish, work_folder


def _artifact(folder: Path) -> Artifact:
    root = Artifact(folder.parent / "base", {"name": "base", "weights": "0"}, None)
    with work_folder(folder, "key") as partial:
        (partial / "model.safetensors").write_bytes(b"weights")
        return finish(root.after(Step("finetune", {}), partial), folder)


@pytest.fixture
def model(tmp_path: Path) -> Artifact:
    return _artifact(tmp_path / "runs" / "model")


def _refused(out: Path, model: Artifact, *read: str) -> str:
    with pytest.raises(CompressError) as caught:
        destination.check(out, {"the model": model}, read)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) <= 500
    return message


def test_the_model_itself_is_refused_also_by_a_link_to_it(model: Artifact, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model.folder)
    for out in (model.folder, model.folder / ".." / "model", tmp_path / "link"):
        assert "is the model itself" in _refused(out, model)


def test_an_input_beside_the_model_is_refused_under_its_name(model: Artifact, tmp_path: Path) -> None:
    teacher = _artifact(tmp_path / "teacher")
    with pytest.raises(CompressError, match="is teacher itself"):
        destination.check(teacher.folder, {"the model": model, "teacher": teacher})


def test_what_the_model_was_made_from_is_refused(model: Artifact, tmp_path: Path) -> None:
    assert "is what the model was made from" in _refused(tmp_path / "runs" / "base", model)


def test_a_folder_inside_the_model_is_refused(model: Artifact) -> None:
    assert "is inside the folder of the model" in _refused(model.folder / "int8", model)


def test_an_artifact_around_the_model_is_refused(tmp_path: Path) -> None:
    around = _artifact(tmp_path / "around")
    inner = _artifact(around.folder / "inner")
    assert "is inside -o" in _refused(around.folder, inner)


def test_an_artifact_that_holds_the_data_is_refused(model: Artifact, tmp_path: Path) -> None:
    out = _artifact(tmp_path / "out").folder
    (out / "data.csv").write_text("text,label\n")
    assert "which is read" in _refused(out, model, str(out / "data.csv"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 5000, "File name too long"),
        ("a\0b", "zero byte"),
        ("x" * 250, "more than 247 bytes"),
        ("a\nb", "control character"),
        ("a.partial", "unfinished work"),
        ("dangling", "does not exist"),
        ("file", "is a file"),
        ("file/inside", "(not a folder|Not a directory)"),
    ],
)
def test_a_path_that_cannot_be_an_artifacts_folder_is_refused(
    model: Artifact, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    assert re.search(reason, _refused(tmp_path / name, model))


@pytest.mark.parametrize("out", [".", "./", "/", ""])
def test_the_current_folder_and_the_root_are_refused(out: str, model: Artifact) -> None:
    assert "exists already" in _refused(Path(out), model)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_refused(model: Artifact, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "may not be written to" in _refused(tmp_path / "locked" / "a", model)


def test_only_what_compress_made_can_be_replaced(model: Artifact, tmp_path: Path) -> None:
    destination.check_replaceable(model.folder)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text('{"name": "a web application", "icons": []}')
    with pytest.raises(CompressError, match="was not made by compress. Choose another folder"):
        destination.check_replaceable(tmp_path / "app")
    (tmp_path / "link").symlink_to(model.folder)
    with pytest.raises(CompressError, match="is a link, which is not replaced"):
        destination.check_replaceable(tmp_path / "link")
    (tmp_path / "data").mkdir()
    for name in ("notes.txt", ".env", "inner/manifest.json", "data"):
        theirs = model.folder / name
        theirs.parent.mkdir(exist_ok=True)
        theirs.symlink_to(tmp_path / "data") if name == "data" else theirs.write_text("mine")
        with pytest.raises(CompressError, match=f"{re.escape(name)} in it was not made by compress"):
            destination.check_replaceable(model.folder)
        theirs.unlink()
    (model.folder / ".DS_Store").write_bytes(b"")
    destination.check_replaceable(model.folder)


def test_nothing_is_written_into_another_models_folder(model: Artifact, tmp_path: Path) -> None:
    other = _artifact(tmp_path / "other")
    assert "would be inside a model's folder" in _refused(other.folder / "new" / "int8", model)
    base = tmp_path / "hub"
    base.mkdir()
    for name in ("config.json", "model.safetensors"):
        (base / name).write_text("{}")
    assert "would be inside a model's folder" in _refused(base / "int8", model)
