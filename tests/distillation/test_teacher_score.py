"""What a teacher scores on the held-out rows is reported before anything is learned from it, and a swapped one is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from compress.core.artifact import Artifact
from compress.core.catalogue import find
from compress.core.errors import CompressError
from compress.data.loading import described_task
from compress.distillation.teacher import Teacher
from compress.distillation.teacher_score import before_training, of_generator
from compress.metrics.metric import Undefined
from compress.models import load as models
from compress.models.load import resolve_model
from compress.tasks.kinds.laws import CATEGORICAL, NUMBER, Law
from compress.techniques.apply import apply
from compress.training.data import data_for
from tests.tiny import write_model, write_task
from tests.tiny_generators import write_generator, write_pairs


def worse_than_guessing(values: Any, labels: Any, law: Law) -> str:
    return law.worse_than_guessing(values, labels)


def logits_of(predicted: Any) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[np.asarray(predicted)]


def test_worse_than_a_guess_is_what_an_exact_test_shows() -> None:
    labels = np.array([0, 1] * 50)
    right, wrong = logits_of(labels), logits_of(1 - labels)
    assert not worse_than_guessing(right, labels, CATEGORICAL)
    assert "accuracy 0.0000, worse than guessing by the labels' frequencies (0.5000)" in worse_than_guessing(
        wrong, labels, CATEGORICAL
    )
    # P(X <= 38 | 100, 1/2) = 0.0105 and P(X <= 37) = 0.0060.
    for good, is_shown in ((38, False), (37, True)):
        mixed = np.concatenate([right[:good], wrong[good:]])
        assert bool(worse_than_guessing(mixed, labels, CATEGORICAL)) == is_shown
    # Six of six wrong have a chance of 1/64, more than 1 %: nothing is shown by so few.
    assert not worse_than_guessing(wrong[:6], labels[:6], CATEGORICAL)
    # 0.9 * 0.9 + 0.1 * 0.1: a model that says the rare class always is below that, one that never does is not.
    rare = np.array([0] * 90 + [1] * 10)
    assert "(0.8200)" in worse_than_guessing(logits_of(np.ones(100, int)), rare, CATEGORICAL)
    assert not worse_than_guessing(logits_of(np.zeros(100, int)), rare, CATEGORICAL)


def test_a_regression_is_worse_than_a_guess_where_its_correlation_is_shown_to_be_negative() -> None:
    random = np.random.default_rng(0)
    right = random.normal(size=60)
    assert worse_than_guessing(-right[:, None] + random.normal(size=(60, 1)), right, NUMBER).startswith("a negative")
    assert not worse_than_guessing(right[:, None], right, NUMBER)
    assert not worse_than_guessing(random.normal(size=(60, 1)), right, NUMBER)
    assert not worse_than_guessing(np.zeros((60, 1)), right, NUMBER)
    assert not worse_than_guessing(np.array([[3.0], [2.0], [1.0]]), np.array([1.0, 2.0, 3.0]), NUMBER)


@pytest.fixture(scope="module")
def teacher_and_task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, dict[str, Any]]:
    """A teacher that has learned the little task, and the task."""
    folder = tmp_path_factory.mktemp("trained")
    task = write_task(folder / "data")
    technique = find("techniques", "finetune")
    settings = technique.settings(epochs=8, batch_size=16, learning_rate=2e-3, max_length=32, precision="fp32")
    base = resolve_model(str(write_model(folder / "base", num_hidden_layers=2)))
    return apply(technique, base, settings, folder / "teacher", task=task), task


@pytest.fixture
def teacher_model(teacher_and_task: tuple[Artifact, dict[str, Any]]) -> Artifact:
    return teacher_and_task[0]


@pytest.fixture
def task(teacher_and_task: tuple[Artifact, dict[str, Any]]) -> dict[str, Any]:
    return teacher_and_task[1]


def with_its_rows_swapped(artifact: Artifact, folder: Path) -> Artifact:
    """The same model, whose outputs mean the opposite of their names."""
    model = models.load(artifact)
    models.save(model, models.tokenizer(artifact.folder), folder)
    weights = load_file(folder / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name][[1, 0]].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return resolve_model(str(folder))


def test_the_teachers_score_is_reported_and_one_whose_labels_are_swapped_is_refused_unless_asked_for(
    teacher_model: Artifact, task: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    technique = find("techniques", "distill")
    asked = {"layers": 1, "epochs": 1, "max_length": 32, "precision": "fp32"}
    settings = technique.settings(**asked)
    student = apply(technique, teacher_model, settings, tmp_path / "student", task=task)
    told = student.steps[-1].facts["teacher_score"]
    assert told["value"] > 0.8
    lines = caplog.text.splitlines()
    (teacher,) = (place for place, line in enumerate(lines) if "teacher: accuracy " in line)
    epoch = next(place for place, line in enumerate(lines) if "student: epoch 1" in line)
    assert f"{told['value']:.4f} on {told['rows']} held-out rows" in lines[teacher]
    assert teacher < epoch

    wrong = with_its_rows_swapped(teacher_model, tmp_path / "swapped")
    with pytest.raises(CompressError, match="worse than guessing.*probably swapped.*--allow-poor-teacher"):
        apply(technique, wrong, settings, tmp_path / "refused", task=task)
    allowed = technique.settings(**asked, allow_poor_teacher=True)
    made = apply(technique, wrong, allowed, tmp_path / "allowed", task=task)
    assert "worse than guessing" in made.steps[-1].facts["teacher_score"]["worse_than_guessing"]
    assert "allow_poor_teacher" not in made.steps[-1].settings  # the result is the same with and without


def test_a_teacher_with_its_labels_in_another_order_teaches_by_their_names(
    teacher_model: Artifact, task: dict[str, Any], tmp_path: Path
) -> None:
    import json

    folder = tmp_path / "other-order"
    with_its_rows_swapped(teacher_model, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": "POS", "1": "NEG"}, "label2id": {"POS": 0, "NEG": 1}}
    (folder / "config.json").write_text(json.dumps(config))
    technique = find("techniques", "distill")
    settings = technique.settings(layers=1, epochs=1, max_length=32, precision="fp32")
    students = [
        apply(technique, one, settings, tmp_path / name, task=task)
        for name, one in (("from-names", resolve_model(str(folder))), ("plain", teacher_model))
    ]
    of_names, plain = (load_file(one.folder / "model.safetensors") for one in students)
    assert all((of_names[name] == value).all() for name, value in plain.items())
    assert json.loads((students[0].folder / "config.json").read_text())["id2label"]["0"] == "negative"


def test_the_score_of_a_head_that_was_trained_before_is_reported_before_it_is_trained_on(
    teacher_model: Artifact, task: dict[str, Any], tmp_path: Path
) -> None:
    technique = find("techniques", "finetune")
    settings = technique.settings(epochs=1, max_length=32, precision="fp32", learning_rate=1e-8)
    again = apply(technique, teacher_model, settings, tmp_path / "again", task=task).steps[-1].facts
    (curve,) = (values for name, values in again["curves"].items() if name == "accuracy on held-out rows")
    assert again["score_before_training"]["value"] == pytest.approx(curve[-1][1], abs=1e-4)


def test_a_teacher_that_predicts_one_class_is_reported(
    make_model: Callable[..., Path], task: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    model = models.classifier(make_model("bert", num_hidden_layers=1))
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, 1.0]))
    its_tokenizer = models.tokenizer(tmp_path / "model")
    before_training(model, data_for(described_task(task), its_tokenizer, model.config, 32), its_tokenizer)
    assert "it gives all 33 examples one class, 'positive'" in caplog.text


def test_a_generators_score_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = write_pairs(tmp_path / "data", rows=60)
    teacher = resolve_model(str(write_generator(tmp_path / "model", "t5")))
    its_tokenizer = models.tokenizer(teacher.folder)
    data = data_for(described_task(task), its_tokenizer, models.config(teacher.folder), 32)
    first = of_generator(Teacher(teacher), data, tmp_path / "cache")
    assert first["metric"] == data.task.metric
    assert 0 <= first["value"] <= 1
    monkeypatch.setattr(models, "load", lambda _: pytest.fail("it was computed again"))
    assert of_generator(Teacher(teacher), data, tmp_path / "cache") == first


def test_a_generators_score_that_does_not_exist_is_reported_as_such(tmp_path: Path) -> None:
    from dataclasses import replace

    task = write_pairs(tmp_path / "data", rows=60)
    teacher = resolve_model(str(write_generator(tmp_path / "model", "t5")))
    data = data_for(described_task(task), models.tokenizer(teacher.folder), models.config(teacher.folder), 32)
    silent = replace(data, score=replace(data.score, of=lambda _: ("rouge_l", Undefined("No words."))))
    assert of_generator(Teacher(teacher), silent, tmp_path / "cache") == {
        "metric": "rouge_l",
        "absent": "No words.",
        "rows": data.score.rows,
    }
