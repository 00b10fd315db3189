"""Every family of encoders goes through import, distil, int8 and predict, by the commands that a user types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from compress.cli import compress
from compress.core.artifact import Artifact
from tests.families import ENCODERS, LIKE_ROBERTA


def typed(*arguments: object) -> str:
    """What a command prints; it must end well."""
    result = CliRunner().invoke(compress, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("family", [*ENCODERS, *LIKE_ROBERTA])
def test_a_family_goes_through_import_distil_int8_and_predict(
    family: str, make_model: Callable[..., Path], task_file: Path, tmp_path: Path
) -> None:
    teacher, student, int8 = tmp_path / "teacher", tmp_path / "student", tmp_path / "int8"
    typed("import", make_model(family), "--task", task_file, "-o", teacher)
    typed("distill", teacher, "--layers", 2, "--epochs", 1, "--batch-size", 64, "--max-length", 64, "-o", student)
    typed("quantize", student, "--precision", "int8", "-o", int8)
    answers = [
        [json.loads(line) for line in typed("predict", one, "a good film", "an awful book", "--json").splitlines()]
        for one in (student, int8)
    ]
    for torch_answer, onnx_answer in zip(*answers, strict=True):
        assert onnx_answer["probabilities"] == pytest.approx(torch_answer["probabilities"], abs=0.05)
    steps = Artifact.open(int8).steps
    assert [step.technique for step in steps] == ["import", "distill", "quantize"]
    assert len(steps[1].facts["layers_kept"]) == 2
    assert steps[2].facts["layers_quantized"] > 4
