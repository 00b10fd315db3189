"""The files that decide what is opened: whatever a tokenizer of transformers reads is among them."""

from __future__ import annotations

import ast
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from compress.core import model_files
from compress.core.errors import CompressError
from compress.models.load import checkpoint_artifact, resolve_model
from tests.tiny import write_model


def _vocabulary_files() -> Iterator[str]:
    """The names in each `VOCAB_FILES_NAMES` of the installed transformers, read without importing its hundreds of modules."""
    found = importlib.util.find_spec("transformers")
    assert found is not None
    assert found.origin is not None
    for module in (Path(found.origin).parent / "models").glob("*/tokenization_*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
            if isinstance(node, ast.Assign) and names == ["VOCAB_FILES_NAMES"] and isinstance(node.value, ast.Dict):
                yield from (value.value for value in node.value.values if isinstance(value, ast.Constant))


def test_every_file_that_a_tokenizer_of_transformers_reads_is_known(tmp_path: Path) -> None:
    names = {
        *_vocabulary_files(),
        "special_tokens_map.json",
        "added_tokens.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert len(names) > 20
    for name in names:
        (tmp_path / name).touch()
    assert {file.name for file in model_files.of_tokenizer(tmp_path)} == names


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "model")


@pytest.mark.parametrize(
    "name",
    ["merges.txt", "spm.model", "spiece.model", "sentencepiece.bpe.model", "bpe.codes", "generation_config.json"],
)
def test_another_tokenizer_is_another_model(base: Path, name: str) -> None:
    before = checkpoint_artifact(base, "base").fingerprint()
    try:
        (base / name).write_text("{}")
        changed = checkpoint_artifact(base, "base").fingerprint()
        (base / name).write_text("{ }")
        assert len({before, changed, checkpoint_artifact(base, "base").fingerprint()}) == 3
    finally:
        (base / name).unlink()
    assert checkpoint_artifact(base, "base").fingerprint() == before


def test_what_decides_nothing_is_not_in_the_fingerprint(base: Path) -> None:
    before = checkpoint_artifact(base, "base").fingerprint()
    for name in ("README.md", "notes.txt", "train.py"):
        (base / name).write_text("x")
    assert checkpoint_artifact(base, "base").fingerprint() == before


def test_code_of_its_own_is_in_it_where_the_config_names_some(base: Path) -> None:
    (base / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["mine.Tokenizer", null]}}')
    (base / "mine.py").write_text("x = 1")
    before = checkpoint_artifact(base, "base").fingerprint()
    (base / "mine.py").write_text("x = 2")
    assert checkpoint_artifact(base, "base").fingerprint() != before


@pytest.mark.parametrize("config", [True, False])
def test_an_onnx_folder_of_another_program_is_named_as_such(tmp_path: Path, config: bool) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    if config:
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CompressError, match="holds ONNX graphs that compress did not make"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize("name", ["", " ", "x" * 5000, "a\0b"], ids=["empty", "blank", "long", "zero byte"])
def test_what_is_no_models_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(CompressError) as caught:
        resolve_model(name)
    assert len(str(caught.value)) < 300


def test_the_current_folder_is_told_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CompressError, match="is not an artifact"):
        resolve_model(".")


def test_a_model_of_the_hub_is_found_again_in_the_same_revision(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, revision: str | None = None, **_: object) -> str:
        asked.append((name, revision))
        snapshot = tmp_path / "models--org--m" / "snapshots" / (revision or "0a1b")
        shutil.copytree(base, snapshot, dirs_exist_ok=True)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    brought = resolve_model("org/m")
    again = resolve_model(brought.root()["model"])
    assert asked == [("org/m", None), ("org/m", "0a1b")]
    assert again == brought
    assert brought.origin["name"] == "org/m"
