"""Trains a student in one or more stages, each with the training loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model

from compress.core.artifact import is_main_process
from compress.core.cache import making, opened
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.layer_losses import FEATURE
from compress.distillation.loss_config import LossConfig
from compress.distillation.objective import OUTPUT, objective_of
from compress.distillation.on_policy import sampled
from compress.distillation.students import Student
from compress.distillation.token_distributions import PREFIX
from compress.distillation.transfer_set import TransferSet
from compress.training.objectives import Hold
from compress.training.train import train, wants_bf16

WEIGHTS = "weights.safetensors"


def train_student(
    student: Student,
    rows: TransferSet,
    settings: DistillationSettings,
    scratch: Path,
    name: str,
    *,
    steps: int | None = None,
    hold: Hold | None = None,
) -> dict[str, Any]:
    """Train a student through its stages, in place; goes on where an earlier run of the same was stopped.

    Args:
        rows: with what is minimised on them; the last stage takes `epochs`, those before `intermediate_epochs`.
        scratch: for checkpoints.
        name: for messages.
        steps: how many steps the last stage has, whatever the epochs say.
        hold: see `compress.training.train.train`.

    Returns:
        The results to record: steps, rows, seconds, curves.

    Raises:
        CompressError: see `compress.training.train.train`.
    """
    curves: dict[str, Any] = {}
    told: dict[str, Any] = {}
    total, seconds = 0, 0.0
    for number, config in enumerate(rows.stages, 1):
        is_last = number == len(rows.stages)
        folder = scratch if is_last else scratch / f"stage-{number}"
        finished = None if is_last else opened(folder / "done")
        if finished is not None:
            load_model(student.model, finished.folder / WEIGHTS)
            told = dict(finished.facts)
        else:
            stage = "" if is_last else f"stage {number}"
            epochs = settings.epochs if is_last else settings.intermediate_epochs
            told = _stage(student, config, rows, settings, folder, name, stage, epochs, steps, hold)
            if not is_last and is_main_process():
                with making(folder / "done") as work:
                    save_model(student.model, str(work.folder / WEIGHTS))  # tied weights once
                    work.facts.update(told)
        curves |= told["curves"]
        total, seconds = total + told["training_steps"], seconds + told["training_seconds"]
    return {**told, "curves": curves, "training_steps": total, "training_seconds": round(seconds, 1)}


def _stage(
    student: Student,
    config: LossConfig,
    rows: TransferSet,
    settings: DistillationSettings,
    scratch: Path,
    name: str,
    stage: str,
    epochs: float,
    steps: int | None,
    hold: Hold | None,
) -> dict[str, Any]:
    objective = objective_of(
        student.model,
        config,
        rows.teacher_config,
        seed=settings.seed,
        online_teachers=rows.online_teachers,
        bf16=wants_bf16(settings.precision),
        sample=sampled if config.on_policy else None,
    )
    with objective as minimized, _frozen(student.model, rows.freezes_encoder):
        done = train(
            student.model,
            minimized,
            rows.data.train,
            rows.data.holdout,
            settings.model_copy(update={"epochs": epochs}),
            its_tokenizer=student.tokenizer,
            scratch=scratch,
            score=rows.data.score,
            collate=rows.data.collate,
            kind=rows.data.task.of_kind,
            name=f"{name}, {stage}" if stage else name,
            extras={key: value for key, value in rows.extras.items() if _is_read(key, config)},
            steps=steps,
            stage=stage,
            hold=hold,
        )
    return dict(done.facts)


def _is_read(extra: str, config: LossConfig) -> bool:
    """Whether the objective reads it: a stage may have layer losses alone, or none."""
    if extra.startswith((OUTPUT, PREFIX)):
        return config.predictions and config.alpha.highest > 0
    return bool(config.layer_losses) or not extra.startswith(FEATURE)


@contextmanager
def _frozen(model: Any, freezes_encoder: bool) -> Iterator[None]:
    """Inside it the encoder is frozen, if requested, and with it embeddings shared by encoder and decoder."""
    frozen = list(model.get_encoder().parameters()) if freezes_encoder else []
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
