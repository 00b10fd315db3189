"""What cannot be opened is not announced as finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compress import models
from compress.artifact import Artifact
from compress.errors import CompressError
from compress.runtimes.trial import check_opens
from tests.tiny import write_model


def test_a_classifier_a_base_and_a_graph_open_and_what_lacks_a_file_does_not(
    tmp_path: Path, tiny_onnx: Artifact
) -> None:
    folder = write_model(tmp_path / "m", num_hidden_layers=1)
    check_opens(models.adopt(folder, "x"))
    models.load(models.adopt(folder, "x")).base_model.save_pretrained(folder)  # without a head
    check_opens(models.adopt(folder, "x"))
    check_opens(tiny_onnx)
    with pytest.raises(CompressError, match="does not open"):
        check_opens(replace(tiny_onnx, parts={"model": "gone.onnx"}))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CompressError, match="does not open.*tokenizer"):
        check_opens(models.adopt(folder, "x"))
