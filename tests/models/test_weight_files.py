"""Weights are safetensors of the folder itself; what belongs beside them travels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.settings import build
from compress.models import load as models
from compress.models.weight_files import weights
from compress.techniques.apply import apply
from compress.techniques.import_ import TECHNIQUE
from tests.tiny import write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "m", num_hidden_layers=1)


OTHERS = ("bpe.codes", "source.spm", "merges.txt", "chat_template.jinja", "additional_chat_templates/tool.jinja")


@pytest.mark.parametrize("name", OTHERS)
def test_a_tokenizers_file_travels_and_is_part_of_what_a_model_is(name: str, folder: Path, tmp_path: Path) -> None:
    before = models.checkpoint_artifact(folder, "x").fingerprint()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("one")
    with_it = models.checkpoint_artifact(folder, "x")
    assert with_it.fingerprint() != before
    made = apply(TECHNIQUE, with_it, build(TECHNIQUE.settings, {}, "import"), tmp_path / "out")
    assert (made.folder / name).read_text() == "one"
    assert name in made.files


def test_what_is_not_the_models_stays_behind(folder: Path, tmp_path: Path) -> None:
    for name in ("README.md", "training_args.bin", "trainer_state.json", "other.safetensors", "own.py"):
        (folder / name).write_text("{}")
    made = apply(
        TECHNIQUE, models.checkpoint_artifact(folder, "x"), build(TECHNIQUE.settings, {}, "import"), tmp_path / "out"
    )
    assert {"model.safetensors", "tokenizer.json"} <= set(made.files)
    assert not {"README.md", "training_args.bin", "trainer_state.json", "other.safetensors", "own.py"} & set(made.files)


@pytest.mark.parametrize(
    "named", ["pytorch_model.bin", "../other/model.safetensors", "/tmp/model.safetensors", "gone.safetensors"]
)
def test_an_index_names_safetensors_of_the_folder_only(named: str, folder: Path) -> None:
    import torch

    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"classifier.bias": named}}))
    for opens in (
        lambda: models.checkpoint_artifact(folder, "x"),
        lambda: models.load(Artifact(folder, {"weights": "x"}, None)),
    ):
        with pytest.raises(CompressError, match="index.json names"):
            opens()
    # Nor beside the file that is read.
    (folder / "model-1.safetensors").rename(folder / "model.safetensors")
    with pytest.raises(CompressError, match="index.json names"):
        models.checkpoint_artifact(folder, "x")


def test_an_index_that_names_what_no_system_could_hold_is_refused_in_a_line(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    (folder / "model.safetensors").unlink(missing_ok=True)
    index.write_text(json.dumps({"weight_map": {"a": "a" * 5000 + ".safetensors"}}))
    with pytest.raises(CompressError, match="which is missing") as caught:
        weights(folder)
    assert len(str(caught.value)) <= 500


def test_shards_and_their_index_are_part_of_what_a_model_is(folder: Path) -> None:
    models.load(models.checkpoint_artifact(folder, "x")).save_pretrained(folder, max_shard_size="50KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    found = weights(folder)
    assert found[0].name == "model.safetensors.index.json"
    assert len(found) > 2
    before = models.checkpoint_artifact(folder, "x").fingerprint()
    models.load(models.checkpoint_artifact(folder, "x"))
    found[0].write_text(found[0].read_text() + "\n")
    assert models.checkpoint_artifact(folder, "x").fingerprint() != before


@pytest.mark.parametrize("named", ["adapter_model.bin", "../model.safetensors", 5])
def test_a_config_names_no_other_weights(named: object, folder: Path) -> None:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**raw, "transformers_weights": named}))
    with pytest.raises(CompressError, match="config.json names"):
        models.checkpoint_artifact(folder, "x")


def test_what_a_folder_has_instead_of_weights_is_told(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder / "pytorch_model.bin")
    with pytest.raises(
        CompressError, match=r"only pickled weights.*BertForSequenceClassification as M.*save_pretrained"
    ):
        models.checkpoint_artifact(folder, "x")
    shutil.move(folder / "pytorch_model.bin", folder / "model.onnx")
    with pytest.raises(CompressError, match="ONNX graphs that compress did not make"):
        models.checkpoint_artifact(folder, "x")
    shutil.move(folder / "model.onnx", folder / "other.safetensors")
    with pytest.raises(CompressError, match=r"neither model.safetensors nor .* only other.safetensors"):
        models.checkpoint_artifact(folder, "x")
    shutil.move(folder / "other.safetensors", folder / "shard-00000-model-00001-of-00001.safetensors")
    with pytest.raises(CompressError, match="shards of a distributed training"):
        models.checkpoint_artifact(folder, "x")
