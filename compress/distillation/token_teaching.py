"""Teaches a student that writes text, and the same student without its teacher, and compares what they write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import is_main_process
from compress.core.cache import making, opened
from compress.core.technique import Made, Work
from compress.data import generative as generation
from compress.data import loading
from compress.data import prompt_templates as texts
from compress.data.collate import collate_causal
from compress.data.max_lengths import fitted
from compress.data.tokenized import generative_tokens
from compress.distillation import students, token_lessons
from compress.distillation.distill_settings import Distill
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.on_policy import sampled
from compress.distillation.students import Student
from compress.distillation.token_lessons import TokenLessons
from compress.distillation.token_objective import TokenGoal, learning_tokens
from compress.distillation.writing_effect import Written, effect
from compress.metrics.metric import Statistics
from compress.models import load as models
from compress.models.reading_length import positions
from compress.runtimes.generating import scores
from compress.training import validation as holdout
from compress.training.objectives import Hold
from compress.training.train import TrainingSettings, train, wants_bf16

STATISTICS = "statistics.npz"


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
        facts["teacher_effect"] = _compare(work, student, lesson, facts["training_steps"])
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


def _compare(work: Work[Distill], kept: Student, lesson: TokenLessons, steps: int) -> dict[str, Any]:
    """Train the other seeds, and as many students without the teacher; judge what all write for the evaluation split.

    Each student is made, ordered and trained from the same seed for the same number of steps on both sides, and writes for
    the evaluation split once, greedily, at its end.
    """
    settings, description = work.settings, dict(work.task or {})
    alone = token_lessons.plain(kept, description, settings, work.cache, freeze=settings.freeze_encoder)
    runs = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        for taught in (True, False):
            folder = work.scratch / f"seed-{seed}-{'taught' if taught else 'plain'}"
            done = opened(folder / "done")
            if done is None:
                student = kept
                if not (taught and seed == settings.seed):
                    chosen = settings.model_copy(update={"seed": seed})
                    student = students.make_writer(work.source, chosen)
                    name = f"{work.name}, seed {seed}, {'with' if taught else 'without'} the teacher"
                    its_goal, rows = (goal(settings), lesson) if taught else (TokenGoal(), alone)
                    teach(student, its_goal, rows, chosen, folder, name, steps=None if taught else steps)
                statistics = evaluated(student, description, settings.max_length)
                if is_main_process():
                    with making(folder / "done") as kept_here:
                        np.savez(kept_here.folder / STATISTICS, allow_pickle=False, **statistics)
            else:
                with np.load(done.folder / STATISTICS, allow_pickle=False) as kept_ones:
                    statistics = {name: kept_ones[name] for name in kept_ones.files}
            runs.append(Written(taught, seed, statistics))
    return effect(generation.metrics(lesson.data.task), runs)


def evaluated(student: Student, description: Mapping[str, Any], max_length: int) -> dict[str, Statistics]:
    """The statistics of each of the task's metrics on the evaluation split, by name: of what is written greedily, or of the
    text's log-likelihood in windows that overlap by half, which are as long as the blocks that were trained on.
    """
    task, source = loading.resolve(dict(description))
    task = fitted(task, student.model.config)
    rows = loading.load(task, source, "evaluation").rows
    model, its_tokenizer = student.model.eval(), student.tokenizer
    metrics = generation.metrics(task)
    if not task.of_kind.has_references:
        read = holdout.windows(rows, task, its_tokenizer, min(max_length, positions(model.config) or max_length))
        likelihoods, labels = [], []
        for row in read:
            batch = collate_causal([row], its_tokenizer, {})
            feeds = {name: batch[name].numpy() for name in ("input_ids", "attention_mask")}
            found, _ = scores(model, feeds, batch["labels"].numpy())
            likelihoods.append(found[0])
            labels.append(batch["labels"][0].numpy())
        return {metric.name: metric.statistics(likelihoods, labels) for metric in metrics}
    tokenized, _ = generative_tokens(rows, task, its_tokenizer, model.config, max_length)
    written = holdout.greedy(model, tokenized, its_tokenizer, texts.settings(task).max_target)
    return {metric.name: metric.statistics(written, rows["label"]) for metric in metrics}
