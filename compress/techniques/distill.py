"""Train a smaller student to answer as its teacher does, with softened targets beside the labels.

The loss is alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * CE(student, label), for a
regression the squared errors to the teacher's scores and to the labels. The student is made of evenly spaced layers of
the teacher (the last one is always kept), or is another checkpoint or config. MODEL is the teacher; its logits are
computed once and kept on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from compress.artifact import Artifact, hash_file
from compress.errors import CompressError
from compress.technique import Made, Technique, Work, finished
from compress.training import TrainingSettings


class Distill(TrainingSettings):
    """What the student is, and how it learns."""

    layers: int | None = Field(None, ge=1, description="How many of the teacher's layers the student keeps.")
    student: str | None = Field(
        None, description="Another student: a checkpoint's folder, or a config.json to start anew."
    )
    temperature: float = Field(4.0, gt=0, description="Softens both distributions; above 1 it broadens the targets.")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the teacher's targets; the labels get the rest.")
    learning_rate: float = Field(1e-4, gt=0, lt=1, description="The highest learning rate.")

    @model_validator(mode="after")
    def _one_student(self) -> Distill:
        if (self.layers is None) == (self.student is None):
            raise ValueError("say what the student is with either 'layers' (3, say) or 'student' (a folder)")
        return self


def _run(work: Work) -> Made:
    import numpy as np

    from compress import models
    from compress.distillation import losses
    from compress.teacher import teacher_logits
    from compress.training import train
    from compress.training_data import data_for, holdout_score

    settings = work.settings
    its_tokenizer = models.tokenizer(work.source.folder)
    data = data_for(work.task or {}, its_tokenizer, models.config(work.source.folder), settings.max_length)
    student, told = _student(work, data.task, its_tokenizer)
    extras: dict[str, np.ndarray] = {}
    if settings.alpha > 0:
        targets = teacher_logits(
            work.source,
            data.train,
            its_tokenizer,
            max_length=settings.max_length,
            precision=settings.precision,
            identity=data.train_identity,
            cache=work.cache,
        )
        extras["teacher"] = targets.logits
        told |= {"teacher_seconds": targets.seconds, "teacher_reused": targets.reused}
    regression = data.task.kind == "regression"

    def objective(trained: Any, batch: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "teacher")}
        logits = trained(**inputs).logits
        hard = (losses.scores if regression else losses.hard_labels)(logits, batch["labels"])
        if settings.alpha == 0:
            return hard, {"hard": hard}
        if regression:
            soft = losses.scores(logits, batch["teacher"])
        else:
            soft = losses.soft_targets(logits, batch["teacher"], settings.temperature)
        return losses.weighted(soft, hard, settings.alpha), {"soft": soft, "hard": hard}

    trained = train(
        student,
        objective,
        data.train,
        data.holdout,
        settings,
        its_tokenizer=its_tokenizer,
        scratch=work.scratch,
        score=holdout_score(data.task),
        name=work.name,
        extras=extras,
    )
    models.save(student, its_tokenizer, work.folder)
    return Made("torch", "fp32", step_facts={**told, **trained.facts, **data.facts})


def _student(work: Work, task: Any, its_tokenizer: Any) -> tuple[Any, dict[str, Any]]:
    """The student before training, and what it is made of."""
    import torch

    from compress import models
    from compress.architectures.families import family
    from compress.distillation.student import evenly_spaced, keep_layers, layer_count

    settings = work.settings
    torch.manual_seed(settings.seed)
    if settings.layers is not None:
        teacher = models.load(work.source).float()
        total = layer_count(teacher.config)
        kept = evenly_spaced(total, settings.layers, first=family(teacher.config).first_layer_differs)
        return keep_layers(teacher, kept), {"layers_kept": list(kept), "layers_of_teacher": total}
    given = Path(settings.student)
    anew = given.is_file()
    student = models.from_config(given, task) if anew else models.for_task(given, task, seed=settings.seed).float()
    if student.config.vocab_size < len(its_tokenizer):
        raise CompressError(
            f"The student in {given} knows {student.config.vocab_size} tokens, but the teacher's tokenizer has "
            f"{len(its_tokenizer)}. Give a student with the teacher's vocabulary."
        )
    return student, {"student_from": str(given)}


def _reads(settings: Any, task: Mapping[str, Any] | None) -> dict[str, Any]:
    from compress.training_data import identity

    found = identity(task)
    if settings.student is not None:
        given = Path(settings.student)
        weights = [given] if given.is_file() else sorted([*given.glob("*.safetensors"), *given.glob("config.json")])
        found["student"] = {file.name: hash_file(file) for file in weights}
    return found


def _check(settings: Any, source: Artifact, task: Mapping[str, Any] | None) -> None:
    from compress import models
    from compress.distillation.student import evenly_spaced, layer_count
    from compress.tasks import loading

    if settings.student is not None and not Path(settings.student).exists():
        raise CompressError(f"The student {settings.student} does not exist. Give a folder or a config.json.")
    if source.steps and not finished(source.folder, source.fingerprint()):
        return  # a step of the same pipeline will make it; what may lie in its folder is another artifact
    described, _ = loading.resolve(dict(task or {}))
    models.check_labels(source.folder, described)
    if settings.layers is not None:
        evenly_spaced(layer_count(models.config(source.folder)), settings.layers)


TECHNIQUE = Technique(
    name="distill",
    settings=Distill,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("torch", "fp32"),
    reads=_reads,
    needs_task=True,
    check=_check,
    example="compress distill runs/teacher --layers 3 --temperature 4 --alpha 0.5 -o runs/student",
)
