"""A generative teacher that was trained with label smoothing is found by what it gives to tokens that never fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.core.artifact import Artifact
from compress.data.loading import described_task
from compress.distillation import label_smoothing
from compress.distillation.distill_settings import Distill
from compress.distillation.label_smoothing import smoothing, told
from compress.distillation.students import Student
from compress.distillation.teacher import Teacher
from compress.models import load as models
from compress.models.load import resolve_model
from compress.tasks.kinds.answers import Answers
from compress.training.data import TrainingData, data_for
from tests.tiny_generators import write_generator, write_pairs


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, TrainingData]:
    """A tiny encoder-decoder with random weights, and the rows of a task as it reads them."""
    folder = tmp_path_factory.mktemp("teacher")
    found = resolve_model(str(write_generator(folder / "model", "t5")))
    task = described_task(write_pairs(folder / "data", rows=60))
    return found, data_for(task, models.tokenizer(found.folder), models.config(found.folder), 32)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_the_share_of_the_targets_that_was_spread_is_found(
    share: float, teacher: tuple[Artifact, TrainingData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that learned its smoothed targets: most on one token, the share on all alike."""
    artifact, data = teacher
    answers = label_smoothing.answers

    def learned(model: Any, batch: Any) -> Answers:
        given = answers(model, batch)
        sure = torch.nn.functional.one_hot(given.values.argmax(-1), given.values.shape[-1]).float()
        return replace(given, values=((1 - share) * sure + share / given.values.shape[-1] + 1e-12).log())

    monkeypatch.setattr(label_smoothing, "answers", learned)
    its_tokenizer = models.tokenizer(artifact.folder)
    assert smoothing(Teacher(artifact), data, its_tokenizer, tmp_path) == pytest.approx(share, abs=0.02 * share + 1e-6)
    monkeypatch.setattr(models, "load", lambda _: pytest.fail("it was computed again"))
    assert smoothing(Teacher(artifact), data, its_tokenizer, tmp_path) == pytest.approx(share, abs=0.02 * share + 1e-6)


@pytest.mark.parametrize(("is_smooth", "settings"), [(True, {}), (False, {}), (None, {"alpha": 0.0})])
def test_it_is_warned_of_where_its_probabilities_are_learned_from(
    is_smooth: bool | None,
    settings: dict[str, Any],
    teacher: tuple[Artifact, TrainingData],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    artifact, data = teacher
    monkeypatch.setattr(label_smoothing, "smoothing", lambda *_: 0.09 if is_smooth else 0.001)
    student = Student(None, models.tokenizer(artifact.folder))
    assert told(Teacher(artifact), data, student, Distill(layers=1, **settings), tmp_path) is is_smooth
    assert ("the less likely half of its vocabulary 4.5 % of the probability" in caplog.text) == bool(is_smooth)
