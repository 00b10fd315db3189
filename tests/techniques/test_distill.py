"""Distillation as a step: the teacher is asked once, and the student is what the settings say."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.artifact import Artifact
from compress.catalogue import find
from compress.models import bring, classifier
from compress.technique import apply
from compress.techniques.distill import Distill
from tests.tiny import write_model

TECHNIQUE = find("techniques", "distill")


@pytest.fixture
def distil(make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path) -> Callable[..., Artifact]:
    teacher = bring(str(make_model("bert", "teacher")))

    def run(name: str, **settings: Any) -> Artifact:
        chosen = Distill(
            **{"layers": 2, "epochs": 1, "batch_size": 32, "precision": "fp32", "max_length": 64, **settings}
        )
        return apply(TECHNIQUE, teacher, chosen, tmp_path / name, task=task)

    return run


def test_the_teacher_is_asked_once_for_all_seeds_and_settings(
    distil: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = distil("first")
    monkeypatch.setattr("compress.teacher._compute", lambda *_, **__: pytest.fail("the teacher was asked again"))
    second = distil("second", seed=1, temperature=2.0)
    facts = first.steps[-1].facts
    assert facts["teacher_seconds_saved"] == 0 < facts["teacher_seconds"]
    assert second.steps[-1].facts["teacher_seconds_saved"] == facts["teacher_seconds"]


def test_cached_logits_are_the_teachers_in_the_rows_order(
    distil: Callable[..., Artifact], tmp_path: Path, task: dict[str, Any]
) -> None:
    from compress.models import tokenizer
    from compress.training_data import data_for

    distil("student")
    (file,) = (tmp_path / ".compress-cache" / "teacher").glob("*/logits.npy")
    logits = np.load(file)
    teacher = classifier(tmp_path / "teacher")
    rows = data_for(task, tokenizer(tmp_path / "teacher"), teacher.config, 64).train
    with torch.no_grad():
        expected = np.stack([teacher(input_ids=torch.tensor([row["input_ids"]])).logits[0].numpy() for row in rows])
    np.testing.assert_allclose(logits, expected, rtol=2**-11, atol=1e-6)  # half precision's rounding
    assert np.ptp(expected[:, 0]) > 1e-4  # rows in another order would be seen


def test_the_teacher_is_bit_identical_afterwards(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    before = (tmp_path / "teacher" / "model.safetensors").read_bytes()
    distil("student")
    assert (tmp_path / "teacher" / "model.safetensors").read_bytes() == before


def test_alpha_zero_needs_no_teacher(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    facts = distil("student", alpha=0.0).steps[-1].facts
    assert "teacher_seconds" not in facts
    assert not (tmp_path / ".compress-cache" / "teacher").exists()


def test_a_student_may_be_another_checkpoint_or_a_config(distil: Callable[..., Artifact], tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", "distilbert", seed=5)
    from_checkpoint = distil("checkpoint", layers=None, student=str(other))
    from_config = distil("config", layers=None, student=str(other / "config.json"))
    for artifact in (from_checkpoint, from_config):
        assert json.loads((artifact.folder / "config.json").read_text())["model_type"] == "distilbert"
    assert from_checkpoint.fingerprint() != from_config.fingerprint()


def test_a_regression_is_distilled_by_its_scores(make_model: Callable[..., Path], tmp_path: Path) -> None:
    data = tmp_path / "scores"
    data.mkdir()
    for split in ("train", "evaluation"):
        with (data / f"{split}.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["one", "two", "score"])
            out.writerows([["a good film " * (i % 3 + 1), f"the plot {'again ' * (i % 5)}", i % 5] for i in range(80)])
    task = {
        "name": "alike",
        "kind": "regression",
        "text": ["one", "two"],
        "label": "score",
        "range": [0, 4],
        "data": str(data),
        "holdout": 0.2,
    }
    teacher = make_model("bert", labels=1, id2label={0: "score"}, label2id={"score": 0})
    settings = Distill(layers=2, epochs=2, batch_size=16, precision="fp32", max_length=64)
    facts = apply(TECHNIQUE, bring(str(teacher)), settings, tmp_path / "student", task=task).steps[-1].facts
    assert any(name.startswith("pearson") for name in facts["curves"])
    assert classifier(tmp_path / "student").config.num_labels == 1
