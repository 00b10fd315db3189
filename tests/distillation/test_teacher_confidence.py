"""A generative teacher that is far less sure than it is right is found on held-out rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress.core.artifact import Artifact
from compress.data.loading import described_task
from compress.distillation import teacher_confidence
from compress.distillation.distill_settings import Distill
from compress.distillation.students import Student
from compress.distillation.teacher_confidence import Confidence, confidence, told
from compress.models import load as models
from compress.models.load import resolve_model
from compress.tasks.kinds.answers import Answers
from compress.training.data import TrainingData, data_for
from tests.tiny_generators import write_generator, write_pairs


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, TrainingData]:
    """A tiny decoder-encoder with random weights, and the rows of a task as it reads them."""
    folder = tmp_path_factory.mktemp("teacher")
    found = resolve_model(str(write_generator(folder / "model", "t5")))
    task = described_task(write_pairs(folder / "data", rows=60))
    return found, data_for(task, models.tokenizer(found.folder), models.config(found.folder), 32)


def test_less_sure_than_right_is_low_and_surer_is_not() -> None:
    assert Confidence(0.3, 0.5, 64).is_low
    assert not Confidence(0.45, 0.5, 64).is_low
    assert not Confidence(0.01, 0.0, 64).is_low


def test_flatter_scores_are_less_sure_and_no_less_right(
    teacher: tuple[Artifact, TrainingData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, data = teacher
    its_tokenizer, answers = models.tokenizer(artifact.folder), teacher_confidence.answers
    found = {}
    for factor in (0.001, 1000.0):

        def scaled(model: Any, batch: Any, factor: float = factor) -> Answers:
            given = answers(model, batch)
            return replace(given, values=factor * given.values)

        monkeypatch.setattr(teacher_confidence, "answers", scaled)
        found[factor] = confidence(artifact, data, its_tokenizer, tmp_path / str(factor))
    assert found[0.001].probability == pytest.approx(1 / models.config(artifact.folder).vocab_size, rel=0.05)
    assert found[1000.0].probability > 0.95
    assert found[0.001].right == found[1000.0].right
    monkeypatch.setattr(models, "load", lambda _: pytest.fail("it was computed again"))
    assert confidence(artifact, data, its_tokenizer, tmp_path / "0.001") == found[0.001]


@pytest.mark.parametrize(("is_low", "settings"), [(True, {}), (False, {}), (None, {"alpha": 0.0})])
def test_a_teacher_that_is_too_unsure_is_warned_of_where_its_probabilities_are_learned_from(
    is_low: bool | None,
    settings: dict[str, Any],
    teacher: tuple[Artifact, TrainingData],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    artifact, data = teacher
    seen = Confidence(0.3 if is_low else 0.5, 0.5, 64)
    monkeypatch.setattr(teacher_confidence, "confidence", lambda *_: seen)
    student = Student(None, models.tokenizer(artifact.folder))
    assert told(artifact, data, student, Distill(layers=1, **settings), tmp_path) is is_low
    assert ("its most likely token has 30 % of the probability" in caplog.text) == bool(is_low)
