"""One tiny BERT as a torch artifact, as its ONNX export, and the task it is measured on: made once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from tests.tiny import write_model, write_task


@pytest.fixture(scope="session")
def tiny_torch(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A BERT of 4 layers and width 64, with logits that differ between sentences as a trained model's do."""
    from compress.models.load import checkpoint_artifact

    # One segment: the little tokenizer gives no `token_type_ids`.
    folder = write_model(tmp_path_factory.mktemp("tiny") / "tiny-bert", initializer_range=0.3, type_vocab_size=1)
    return checkpoint_artifact(folder, "tiny-bert")


@pytest.fixture(scope="session")
def tiny_onnx(tiny_torch: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Its fp32 export, a finished artifact."""
    from compress.core import catalogue
    from compress.techniques.apply import apply

    export = catalogue.find("techniques", "export")
    return apply(export, tiny_torch, export.settings(), tmp_path_factory.mktemp("onnx") / "tiny-onnx")


@pytest.fixture(scope="session")
def tiny_task(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """48 evaluation sentences of unequal lengths, two labels, two metrics."""
    return {**write_task(tmp_path_factory.mktemp("task") / "data"), "metric": ["accuracy", "matthews"]}


def same_model(one: Artifact, folder: Path) -> Artifact:
    """A torch artifact that differs from another in nothing but its fingerprint and folder."""
    import shutil

    from compress.core.artifact import Step

    shutil.copytree(one.folder, folder)
    return one.after(Step("distill", {"layers": 4}), folder).save()
