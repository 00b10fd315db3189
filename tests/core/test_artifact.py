"""Artifacts: what is saved opens equal, what is corrupt is refused, what is unfinished never looks finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.core.artifact import MANIFEST, RESULTS, SCRATCH, Artifact, Step, finished
from compress.core.errors import CompressError
from compress.core.work_folder import finish, work_folder


def _finished(folder: Path, **changes: object) -> Artifact:
    origin = {"name": "base", "weights": "00ff", "model_type": "bert"}
    step = Step("finetune", {"epochs": 1.0}, data={"rows": 3}, facts={"curves": {"loss": [[1, 0.5]]}}, compresses=False)
    root = Artifact(folder.parent / "base", origin, None)
    with work_folder(folder, "key") as partial:
        (partial / "model.safetensors").write_bytes(b"weights")
        (partial / SCRATCH / "checkpoint").write_text("big")
        return finish(root.after(step, partial, task={"name": "sst2"}, **changes), folder)


def test_what_was_saved_opens_equal(tmp_path: Path) -> None:
    saved = _finished(tmp_path / "a", parts={"model": "model.onnx"}, facts={"widths": [1, 2]})
    opened = Artifact.open(tmp_path / "a")
    assert opened == saved
    assert opened.fingerprint() == json.loads((tmp_path / "a" / MANIFEST).read_text())["fingerprint"]


def test_scratch_files_and_the_work_folder_are_gone_when_an_artifact_is_finished(tmp_path: Path) -> None:
    _finished(tmp_path / "a")
    assert sorted(file.name for file in (tmp_path / "a").rglob("*")) == [MANIFEST, "model.safetensors"]
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("damage", [b"weight", b"Weights", b""])
def test_a_truncated_or_changed_file_is_refused(tmp_path: Path, damage: bytes) -> None:
    _finished(tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").write_bytes(damage)
    with pytest.raises(CompressError, match="corrupt"):
        Artifact.open(tmp_path / "a")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    _finished(tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").unlink()
    with pytest.raises(CompressError, match=r"model\.safetensors is missing"):
        Artifact.open(tmp_path / "a")


def test_work_that_was_interrupted_is_kept_and_does_not_look_finished(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), work_folder(tmp_path / "a", "key") as partial:
        (partial / SCRATCH / "checkpoint").write_text("half")
        raise RuntimeError
    assert not Artifact.is_one(tmp_path / "a")
    with pytest.raises(CompressError, match="unfinished"):
        Artifact.open(tmp_path / "a")
    with work_folder(tmp_path / "a", "key") as partial:
        assert (partial / SCRATCH / "checkpoint").read_text() == "half"


def test_work_for_other_settings_starts_over(tmp_path: Path) -> None:
    with work_folder(tmp_path / "a", "key") as partial:
        (partial / "half").write_text("old")
    with work_folder(tmp_path / "a", "another key") as partial:
        assert not (partial / "half").exists()


def test_two_processes_cannot_write_one_artifact(tmp_path: Path) -> None:
    with (
        work_folder(tmp_path / "a", "key"),
        pytest.raises(CompressError, match="another process"),
        work_folder(tmp_path / "a", "key"),
    ):
        pass


def test_an_artifact_is_replaced_whole(tmp_path: Path) -> None:
    _finished(tmp_path / "a", precision="fp32")
    _finished(tmp_path / "a", precision="bf16")
    assert Artifact.open(tmp_path / "a").precision == "bf16"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_the_fingerprint_depends_on_settings_inputs_and_data_and_not_on_what_came_out() -> None:
    root = Artifact(Path("r"), {"name": "base", "weights": "00ff"}, None)
    prints = [
        root.after(step, Path("x")).fingerprint()
        for step in (
            Step("a", {"s": 1}),
            Step("a", {"s": 2}),
            Step("b", {"s": 1}),
            Step("a", {"s": 1}, inputs={"teacher": "t"}),
            Step("a", {"s": 1}, data={"rows": 2}),
        )
    ]
    assert len(set(prints)) == 5
    assert (
        root.after(Step("a", {"s": 1}, facts={"seconds": 9}, versions={"torch": "1"}), Path("y")).fingerprint()
        == prints[0]
    )


def test_the_root_is_the_last_model_before_the_first_step_that_compresses() -> None:
    base = Artifact(Path("base"), {"name": "base", "weights": "0"}, None)
    teacher = base.after(Step("finetune", {}, compresses=False), Path("teacher"))
    student = teacher.after(Step("distill", {}), Path("student"))
    int8 = student.after(Step("quantize", {}), Path("int8"))
    for artifact in (teacher, student, int8):
        assert artifact.root()["fingerprint"] == teacher.fingerprint()
        assert Path(artifact.root()["folder"]).name == "teacher"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 99}', '{"format_version": 1}'])
def test_a_manifest_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(CompressError) as caught:
        Artifact.open(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_config.json", "other.safetensors", "spiece.model"])
def test_a_file_that_was_added_and_might_be_opened_is_noticed(tmp_path: Path, name: str) -> None:
    _finished(tmp_path / "a")
    (tmp_path / "a" / name).write_text("{}")
    with pytest.raises(CompressError, match=f"{name} is not in manifest.json"):
        Artifact.open(tmp_path / "a")


def test_a_readme_may_be_added(tmp_path: Path) -> None:
    saved = _finished(tmp_path / "a")
    (tmp_path / "a" / "README.md").write_text("mine")
    assert Artifact.open(tmp_path / "a") == saved
    (tmp_path / "a" / ".env").write_text("mine")
    assert saved.unlisted() == [".env", "README.md"]


def test_what_an_older_version_made_keeps_its_fingerprint_and_is_not_taken_for_what_this_one_would_make() -> None:
    root = Artifact(Path("r"), {"name": "base", "weights": "00ff"}, None)
    older, newer = (root.after(Step("distill", {}, results=results), Path("x")) for results in (1, RESULTS))
    assert older.fingerprint() == "23e4f50d043b9bc1"  # as the first version computed it
    assert newer.fingerprint() != older.fingerprint()


def test_a_manifest_or_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _finished(tmp_path / "a")

    def denied(self: Path, *_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("compress.core.artifact.hash_file", denied)
        with pytest.raises(CompressError, match=r"model\.safetensors cannot be read \(Permission denied\)"):
            Artifact.open(tmp_path / "a")
    monkeypatch.setattr(Path, "read_bytes", denied)
    assert Artifact.is_one(tmp_path / "a")
    with pytest.raises(CompressError, match=r"manifest\.json cannot be read \(Permission denied\)"):
        Artifact.open(tmp_path / "a")


def test_why_a_folder_is_no_artifact_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "graph" / "onnx").mkdir(parents=True)
    (tmp_path / "graph" / "onnx" / "model.onnx").write_bytes(b"")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "model.onnx").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("nothing", "does not exist"),
        ("file", "is a file"),
        ("graph", "holds ONNX graphs that compress did not make"),
        ("flat", "holds ONNX graphs that compress did not make"),
        ("empty", "has no manifest.json"),
    ):
        with pytest.raises(CompressError, match=reason):
            Artifact.open(tmp_path / name)


def test_what_is_finished_has_the_fingerprint_that_was_asked_for(tmp_path: Path) -> None:
    saved = _finished(tmp_path / "a")
    assert finished(tmp_path / "a", saved.fingerprint())
    assert not finished(tmp_path / "a", "another")
    assert not finished(tmp_path / "b", saved.fingerprint())
    (tmp_path / "a" / "model.safetensors").write_bytes(b"w")  # hashes are compared where it is opened
    assert finished(tmp_path / "a", saved.fingerprint())
    (tmp_path / "a" / MANIFEST).write_text("{")
    assert not finished(tmp_path / "a", saved.fingerprint())


def test_a_fact_that_is_no_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        _finished(tmp_path / "a", facts={"loss": float("nan")})
    assert not (tmp_path / "a").exists()


def test_hidden_files_are_not_recorded(tmp_path: Path) -> None:
    saved = _finished(tmp_path / "a")
    (tmp_path / "a" / ".cache").write_text("")
    (tmp_path / "a" / "notes.txt").write_text("")
    assert set(saved.save().files) == {"model.safetensors", "notes.txt"}
