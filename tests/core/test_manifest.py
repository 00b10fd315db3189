"""Manifests: what is written opens equal after a move, and whatever else stands there is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import MANIFEST, Artifact, Step
from compress.core.errors import CompressError
from compress.core.work_folder import finish, work_folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a base, data and two artifacts that came of them."""
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    task = {"name": "moods", "data": {"train": str(project / "data" / "a.csv")}}
    model = Artifact(project / "base", {"name": "base", "weights": "00ff"}, None)
    for name, step in (("teacher", Step("finetune", {}, compresses=False)), ("student", Step("distill", {}))):
        with work_folder(project / "runs" / name, "key") as partial:
            (partial / "model.safetensors").write_bytes(b"weights")
            model = finish(model.after(step, partial, task=task), project / "runs" / name)
    return project


def _changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    raw = json.loads((folder / MANIFEST).read_text())
    change(raw)
    (folder / MANIFEST).write_text(json.dumps(raw))
    return folder


def _refused(folder: Path) -> str:
    with pytest.raises(CompressError) as caught:
        Artifact.open(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) <= 500
    return message


def test_a_project_can_be_moved(project: Path) -> None:
    before = Artifact.open(project / "runs" / "student")
    moved = Artifact.open(project.rename(project.with_name("moved")) / "runs" / "student")
    assert moved.fingerprint() == before.fingerprint()
    assert moved.root()["folder"] == str(project.with_name("moved") / "runs" / "teacher")
    assert moved.ancestors[0]["folder"] == str(project.with_name("moved") / "base")
    assert moved.task is not None
    assert moved.task["data"] == {"train": str(project.with_name("moved") / "data" / "a.csv")}


def test_a_manifest_holds_no_path_of_the_machine(project: Path) -> None:
    text = (project / "runs" / "student" / MANIFEST).read_text()
    assert str(project.parent) not in text
    assert '"folder": "../teacher"' in text
    assert '"train": "../../data/a.csv"' in text


def test_an_older_manifest_with_absolute_paths_opens(project: Path) -> None:
    def older(raw: dict[str, Any]) -> None:
        raw["task"]["data"] = "/somewhere/data"
        raw["ancestors"][0]["folder"] = "/somewhere/base"
        for step in raw["steps"]:
            step.pop("results")

    opened = Artifact.open(_changed(project / "runs" / "student", older))
    assert opened.task is not None
    assert (opened.task["data"], opened.ancestors[0]["folder"]) == ("/somewhere/data", "/somewhere/base")
    assert [step.results for step in opened.steps] == [1, 1]


def test_of_a_model_with_a_name_on_the_hub_the_name_stands_and_not_the_cache(tmp_path: Path) -> None:
    hub = Artifact(tmp_path / "cache" / "blobs", {"name": "org/m", "weights": "0", "model": "org/m"}, None)
    with work_folder(tmp_path / "a", "key") as partial:
        (partial / "model.safetensors").write_bytes(b"weights")
        made = finish(hub.after(Step("distill", {}), partial), tmp_path / "a")
    assert "cache" not in (tmp_path / "a" / MANIFEST).read_text()
    assert made.root() == {"fingerprint": hub.fingerprint(), "model": "org/m"}


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw.update({name: value})


@pytest.mark.parametrize("value", ["x", 5, [1], {"a": 1}, None, [[1], {"a": 2}], True, {"name": 1}], ids=str)
@pytest.mark.parametrize(
    "name", ["files", "task", "origin", "steps", "ancestors", "parts", "facts", "precision", "format", "fingerprint"]
)
def test_a_field_of_another_type_is_refused_or_fits(project: Path, name: str, value: Any) -> None:
    folder = _changed(project / "runs" / "student", _set(name, value))
    fits = {"task": [None], "facts": [{"a": 1}, {"name": 1}], "fingerprint": ["x"], "precision": ["x"]}
    if value in fits.get(name, []):
        Artifact.open(folder)
    else:
        assert "is not a manifest" in _refused(folder)


@pytest.mark.parametrize(
    ("field", "value"), [("facts", 3), ("settings", []), ("compresses", "no"), ("results", True), ("colour", "red")]
)
def test_a_step_with_a_field_of_another_type_or_an_unknown_one_is_refused(
    project: Path, field: str, value: Any
) -> None:
    folder = _changed(project / "runs" / "student", lambda raw: raw["steps"][0].update({field: value}))
    assert "is not a manifest" in _refused(folder)


def test_a_format_that_no_runtime_opens_is_refused(project: Path) -> None:
    folder = _changed(project / "runs" / "student", lambda raw: raw.update(format="gguf"))
    assert "'format' is not torch, onnx or openvino" in _refused(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format_version": ' + "1" * 5000 + "}", "\udcff"], ids=len)
def test_what_json_cannot_read_is_refused(project: Path, text: str) -> None:
    (project / "runs" / "student" / MANIFEST).write_text(text, errors="surrogateescape")
    assert "is not a manifest" in _refused(project / "runs" / "student")


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../teacher/model.safetensors", "a/../../x", "", ".", "a\0b", "out", "x" * 5000, "\ud83d"]
)
@pytest.mark.parametrize("field", ["files", "parts"])
def test_a_file_outside_the_folder_is_refused(project: Path, field: str, name: str) -> None:
    folder = project / "runs" / "student"
    (folder / "out").symlink_to(project / "runs" / "teacher" / "model.safetensors")
    given = {name: "00"} if field == "files" else {"model": name}
    assert "names a file outside its folder" in _refused(_changed(folder, lambda raw: raw[field].update(given)))


def test_a_manifest_that_lists_no_files_is_refused(project: Path) -> None:
    assert "it lists no files" in _refused(_changed(project / "runs" / "student", _set("files", {})))


def test_a_folder_that_is_reached_by_a_link_has_its_paths_from_where_it_lies(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project / "runs" / "student")
    root = Path(Artifact.open(tmp_path / "link").root()["folder"])
    assert root == (project / "runs" / "teacher").resolve()


@pytest.mark.parametrize("ancestor", [{"fingerprint": "00"}, {"folder": "../teacher"}, {}], ids=str)
def test_an_ancestor_has_a_fingerprint_and_a_place(project: Path, ancestor: dict[str, str]) -> None:
    folder = _changed(project / "runs" / "student", lambda raw: raw["ancestors"].__setitem__(1, ancestor))
    assert "an ancestor has no fingerprint or no folder" in _refused(folder)


def test_what_is_written_through_a_link_has_its_paths_from_where_the_folder_lies(project: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "link").symlink_to(project / "runs")
    Artifact.open(tmp_path / "deep" / "er" / "link" / "student").write_manifest()
    raw = json.loads((project / "runs" / "student" / MANIFEST).read_text())
    assert [one["folder"] for one in raw["ancestors"]] == ["../../base", "../teacher"]
