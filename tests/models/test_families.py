"""Every family goes through distillation, pruning or both, and one way to fewer bits: encoders by the commands that a user
types, generative models as steps, of which each way is taken by several families."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compress.cli import compress
from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.settings import build
from compress.models.load import resolve_model
from compress.techniques.apply import apply
from tests.families import ENCODERS, GENERATIVE, LIKE_ROBERTA, config, is_seq2seq
from tests.tiny_generators import write_generator, write_pairs


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


TRAINING = {"epochs": 1, "batch_size": 16, "precision": "fp32", "learning_rate": 1e-3, "top_k": 8}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamic int8": ("quantize", {"precision": "int8"}),
    "static int8": ("quantize", {"precision": "int8", "mode": "static", "calibration": "task-256"}),
    "4 bits": ("quantize", {"precision": "int4", "mode": "weights", "allow_disagreement": True}),
    "qat": ("qat", {**TRAINING, "learning_rate": 1e-4, "calibration": "task-256"}),
}


@pytest.mark.slow
@pytest.mark.parametrize(("family", "way"), list(zip(GENERATIVE, itertools.cycle(WAYS), strict=False)))
def test_a_generative_family_is_distilled_pruned_and_brought_to_fewer_bits(
    family: str, way: str, tmp_path: Path
) -> None:
    task = write_pairs(tmp_path / "data", rows=40)
    sizes = config(family, times=4)
    write_generator(tmp_path / "model", family, layers=2, init_std=0.3, initializer_range=0.3, **sizes)

    def step(name: str, technique: str, source: Artifact, **settings: Any) -> Artifact:
        found = find("techniques", technique)
        return apply(found, source, build(found.settings, settings, name), tmp_path / name, task=task)

    shorter = {"decoder_layers": 1} if is_seq2seq(family) else {"layers": 1}
    student = step("student", "distill", resolve_model(str(tmp_path / "model")), **TRAINING, **shorter)
    pruned = step("pruned", "prune", student, method="structured", target_ratio=0.6, calibration="task-256")
    technique, settings = WAYS[way]
    made = step("made", technique, pruned, **settings)
    assert (made.format, made.precision) == ("onnx", "int4" if way == "4 bits" else "int8")
    if way == "qat":  # the graph computes what was trained, in the same integers
        assert made.steps[-1].facts["gap to the trained model"]["largest_gap"] < 1e-3
    answer = json.loads(typed("predict", made.folder, "good film", "--new-tokens", 4, "--json"))
    assert isinstance(answer["text"], str)
