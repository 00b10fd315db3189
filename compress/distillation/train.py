"""Teaches a student: its stages of training, one after another, each by the one training loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from compress.core.artifact import is_main_process
from compress.core.cache import making, opened
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.objective import LOGITS, Goal, learning
from compress.distillation.students import Student
from compress.distillation.transfer_set import Lessons
from compress.training.objectives import Hold
from compress.training.train import train, wants_bf16

WEIGHTS = "weights.safetensors"


def teach(
    student: Student,
    stages: Sequence[Goal],
    lesson: Lessons,
    settings: DistillationSettings,
    teacher_config: Any,
    scratch: Path,
    name: str,
    *,
    steps: int | None = None,
    hold: Hold | None = None,
) -> dict[str, Any]:
    """Train a student through its stages, in place; goes on where an earlier run of the same was stopped.

    Args:
        stages: what it minimises; the last one is trained for `epochs`, those before for `intermediate_epochs`.
        settings: `LossSettings` and `TrainingSettings`.
        teacher_config: of the teacher whose features are matched.
        scratch: for checkpoints.
        name: for messages.
        steps: how many steps the last stage has, whatever the epochs say.
        hold: see `compress.training.train.train`.

    Returns:
        What is to be told of it: steps, rows, seconds, curves.

    Raises:
        CompressError: see `compress.training.train.train`.
    """
    curves: dict[str, Any] = {}
    told: dict[str, Any] = {}
    total, seconds = 0, 0.0
    for number, goal in enumerate(stages, 1):
        is_last = number == len(stages)
        folder = scratch if is_last else scratch / f"stage-{number}"
        finished = None if is_last else opened(folder / "done")
        if finished is not None:
            student.model.load_state_dict(load_file(finished.folder / WEIGHTS))
            told = dict(finished.facts)
        else:
            stage = "" if is_last else f"stage {number}"
            epochs = settings.epochs if is_last else settings.intermediate_epochs
            told = _stage(student, goal, lesson, settings, teacher_config, folder, name, stage, epochs, steps, hold)
            if not is_last and is_main_process():
                with making(folder / "done") as work:
                    weights = {key: value.contiguous() for key, value in student.model.state_dict().items()}
                    save_file(weights, work.folder / WEIGHTS)
                    work.facts.update(told)
        curves |= told["curves"]
        total, seconds = total + told["training_steps"], seconds + told["training_seconds"]
    return {**told, "curves": curves, "training_steps": total, "training_seconds": round(seconds, 1)}


def _stage(
    student: Student,
    goal: Goal,
    lesson: Lessons,
    settings: DistillationSettings,
    teacher_config: Any,
    scratch: Path,
    name: str,
    stage: str,
    epochs: float,
    steps: int | None,
    hold: Hold | None,
) -> dict[str, Any]:
    asks = goal.predictions and goal.alpha.highest > 0
    with learning(
        student.model,
        goal,
        teacher_config,
        seed=settings.seed,
        live_teacher=lesson.live_teacher if goal.matches else None,
        bf16=wants_bf16(settings.precision),
    ) as objective:
        done = train(
            student.model,
            objective,
            lesson.data.train,
            lesson.data.holdout,
            settings.model_copy(update={"epochs": epochs}),
            its_tokenizer=student.tokenizer,
            scratch=scratch,
            score=lesson.data.score,
            collate=lesson.data.collate,
            name=f"{name}, {stage}" if stage else name,
            extras={
                key: value for key, value in lesson.answers.items() if (asks if key == LOGITS else bool(goal.matches))
            },
            steps=steps,
            stage=stage,
            hold=hold,
        )
    return dict(done.facts)
