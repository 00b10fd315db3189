"""The first opening: a step whose model cannot be opened has failed, and is not announced as finished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.settings import Settings
from compress.models.load import resolve_model
from compress.tasks.technique import Made, Technique, Work
from compress.techniques.apply import apply
from tests.tiny import write_model


class Nothing(Settings):
    """No settings."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return resolve_model(str(write_model(tmp_path_factory.mktemp("source") / "model")))


def _copying(damage: Callable[[Path], Any]) -> Technique:
    """Copies its source and then does something to the copy."""

    def run(work: Work) -> Made:
        shutil.copytree(work.source.folder, work.folder, dirs_exist_ok=True)
        damage(work.folder)
        return Made("torch", "fp32")

    return Technique(
        "copy",
        Nothing,
        run,
        frozenset({"torch"}),
        lambda settings: ("torch", "fp32"),
        "compress copy",
        compresses=False,
    )


def _without_head(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))


@pytest.mark.parametrize("harmless", [lambda folder: None, _without_head], ids=["classifier", "base"])
def test_what_opens_is_finished(source: Artifact, tmp_path: Path, harmless: Callable[[Path], Any]) -> None:
    made = apply(_copying(harmless), source, Nothing(), tmp_path / "out")
    assert Artifact.open(tmp_path / "out") == made


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(b"weights"),
        lambda folder: (folder / "config.json").write_text("{}"),
    ],
    ids=["no weights", "no safetensors", "no config"],
)
def test_what_does_not_open_is_not(source: Artifact, tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    with pytest.raises(CompressError, match="out was made, but cannot be opened, so it is not finished"):
        apply(_copying(damage), source, Nothing(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not Artifact.is_one(tmp_path / "out.partial")


def test_graphs_that_do_not_open_are_not_finished(source: Artifact, tmp_path: Path) -> None:
    def run(work: Work) -> Made:
        shutil.copytree(work.source.folder, work.folder, dirs_exist_ok=True)
        (work.folder / "model.onnx").write_bytes(b"no graph")
        return Made("onnx", "fp32", {"model": "model.onnx"})

    writes = Technique("write", Nothing, run, frozenset({"torch"}), lambda settings: ("onnx", "fp32"), "compress write")
    with pytest.raises(CompressError, match="out was made, but cannot be opened"):
        apply(writes, source, Nothing(), tmp_path / "out")
