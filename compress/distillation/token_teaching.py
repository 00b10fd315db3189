"""Teaches a student that writes text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compress.distillation import students, token_lessons
from compress.distillation.baseline import compare
from compress.distillation.distill_settings import Distill
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.on_policy import sampled
from compress.distillation.students import Student
from compress.distillation.token_lessons import TokenLessons
from compress.distillation.token_objective import TokenGoal, learning_tokens
from compress.models import load as models
from compress.tasks.technique import Made, Work
from compress.training.objectives import Hold
from compress.training.train import TrainingSettings, train, wants_bf16


def distil(work: Work[Distill]) -> Made:
    """`compress distill` of an encoder-decoder or a decoder.

    Raises:
        CompressError: see `compress.distillation.token_lessons.prepare` and `compress.training.train.train`.
    """
    settings, description = work.settings, dict(work.task or {})
    student = students.make_writer(work.source, settings)
    lesson = token_lessons.prepare(
        work.source, student, description, settings, work.cache, freeze=settings.freeze_encoder
    )
    facts = teach(student, goal(settings), lesson, settings, work.scratch, work.name)
    if settings.with_baseline:
        alone = token_lessons.plain(student, description, settings, work.cache, freeze=settings.freeze_encoder)
        steps = facts["training_steps"]

        def trained(chosen: Distill, distilled: bool, folder: Path, name: str) -> Student:
            other = students.make_writer(work.source, chosen)
            if distilled:
                teach(other, goal(settings), lesson, chosen, folder, name)
            else:
                teach(other, TokenGoal(), alone, chosen, folder, name, steps=steps)
            return other

        facts["teacher_effect"] = compare(work, student, lesson.data.task, trained)
    models.save(student.model, student.tokenizer, work.folder)
    return Made("torch", "fp32", step_facts={**student.facts, **lesson.facts, **facts, **lesson.data.facts})


def teach(
    student: Student,
    goal: TokenGoal,
    lesson: TokenLessons,
    settings: TrainingSettings,
    scratch: Path,
    name: str,
    *,
    steps: int | None = None,
    hold: Hold | None = None,
) -> dict[str, Any]:
    """Train a student in place; goes on where an earlier run of the same was stopped.

    Args:
        settings: `TrainingSettings`.
        scratch: for checkpoints.
        name: for messages.
        steps: how many, whatever the epochs say.
        hold: see `compress.training.train.train`.

    Returns:
        What is to be told of it: steps, rows, seconds, curves.

    Raises:
        CompressError: see `compress.training.train.train`.
    """
    objective = learning_tokens(
        student.model,
        goal,
        seed=settings.seed,
        live_teacher=lesson.live_teacher,
        from_cache=lesson.from_cache,
        bf16=wants_bf16(settings.precision),
        sample=sampled if goal.on_policy else None,
    )
    still = list(student.model.get_encoder().parameters()) if lesson.freeze else []
    try:
        for parameter in still:  # those of the embeddings too, where encoder and decoder share them
            parameter.requires_grad_(False)
        done = train(
            student.model,
            objective,
            lesson.data.train,
            lesson.data.holdout,
            settings,
            its_tokenizer=student.tokenizer,
            scratch=scratch,
            score=lesson.data.score,
            collate=lesson.data.collate,
            name=name,
            extras=lesson.extras,
            steps=steps,
            hold=hold,
        )
    finally:
        for parameter in still:
            parameter.requires_grad_(True)
    return dict(done.facts)


def goal(settings: DistillationSettings) -> TokenGoal:
    """What the settings say that a student is to minimise."""
    return TokenGoal(
        alpha=settings.alpha,
        temperature=token_lessons.temperature(settings),
        divergence=settings.divergence,
        beta=settings.jsd_beta,
        on_policy=settings.on_policy,
    )
