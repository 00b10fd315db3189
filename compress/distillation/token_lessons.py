"""What a student that writes text learns from: references or what the teacher writes, and the teacher's next tokens."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.data.collate import Extra
from compress.data.tokenized import generative_tokens
from compress.distillation import teacher_score
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.pseudo_labels import pseudo_labelled
from compress.distillation.schedules import Schedule
from compress.distillation.students import Student
from compress.distillation.teacher_tokens import bytes_needed, coarsening_error, token_answers
from compress.models import load as models
from compress.models.forward import PREFIX, STATES
from compress.training.data import TrainingData, data_for
from compress.training.frozen_encoder import encoder_states
from compress.training.train import wants_bf16


@dataclass(frozen=True)
class TokenLessons:
    """The rows a student is trained on, with what its teacher says of them."""

    data: TrainingData
    extras: Mapping[str, Extra] = field(default_factory=dict)
    """What lies on disk of each row, by the names that the objective reads: the teacher's next tokens, the encoder's states."""
    live_teacher: Any = None
    """The teacher's model, where it is asked at a step."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    freeze: bool = False
    """Whether the student's encoder stands still."""

    @property
    def from_cache(self) -> bool:
        """Whether batches of references bring the teacher's next tokens."""
        return any(name.startswith(PREFIX) for name in self.extras)


def temperature(settings: DistillationSettings) -> Schedule:
    """That of the next tokens' distributions: 1 where nothing is said, since a vocabulary's tail is long."""
    return settings.temperature or Schedule.of(1.0)


def prepare(
    teacher: Artifact,
    student: Student,
    description: Mapping[str, Any],
    settings: DistillationSettings,
    cache: Path,
    *,
    freeze: bool = False,
) -> TokenLessons:
    """Read the rows, and ask the teacher: to write, and for its next tokens.

    Args:
        settings: `LossSettings`, `GenerationSettings` and `TrainingSettings`.
        cache: the folder for content-keyed results.
        freeze: whether the student's encoder will stand still: then its states are part of the lessons.

    Raises:
        CompressError: rows cannot be read, or student and teacher do not share a vocabulary.
    """
    data = data_for(description, student.tokenizer, student.model.config, settings.max_length)
    facts: dict[str, Any] = {"teacher_score": _score(teacher, data, description, settings, cache)}
    if settings.sequence_kd:
        data, of_writing = _written_by(teacher, data, student, description, settings, cache)
        facts |= of_writing
    states = _states(student, data, settings, cache) if freeze else {}
    if settings.alpha.highest == 0 and not settings.on_policy:
        return TokenLessons(data, states, facts=facts, freeze=freeze)
    _check_vocabulary(teacher, student)
    extras: Mapping[str, Extra] = {}
    model = None
    if settings.alpha.highest > 0 and settings.on_policy < 1 and _is_kept(data, settings, cache):
        its_tokenizer = models.tokenizer(teacher.folder)
        found = token_answers(
            teacher,
            data.train,
            its_tokenizer,
            data.collate,
            k=settings.top_k,
            temperature=temperature(settings).start,
            precision=settings.precision,
            cache=cache,
        )
        extras, model = found.extras, models.load(teacher).float()
        error = coarsening_error(
            student.model,
            model,
            data.train,
            its_tokenizer,
            data.collate,
            extras,
            temperature=temperature(settings).start,
            divergence=settings.divergence,
            beta=settings.jsd_beta,
        )
        facts |= {
            "teacher_seconds": found.seconds,
            "teacher_seconds_saved": found.seconds_saved,
            "top_k_error": {"k": settings.top_k, **error},
        }
    if settings.on_policy or not extras:
        model = model or models.load(teacher).float()
        return TokenLessons(data, {**extras, **states}, model.requires_grad_(False).eval(), facts, freeze)
    return TokenLessons(data, {**extras, **states}, facts=facts, freeze=freeze)


def _score(
    teacher: Artifact, data: TrainingData, description: Mapping[str, Any], settings: DistillationSettings, cache: Path
) -> dict[str, Any]:
    """What the teacher scores on the held-out rows, which it reads by its own tokenizer."""
    its_tokenizer, its_config = models.tokenizer(teacher.folder), models.config(teacher.folder)
    return teacher_score.of_generator(
        teacher, data_for(description, its_tokenizer, its_config, settings.max_length), cache
    )


def plain(
    student: Student,
    description: Mapping[str, Any],
    settings: DistillationSettings,
    cache: Path,
    *,
    freeze: bool = False,
) -> TokenLessons:
    """The task's own rows and references, without any teacher."""
    data = data_for(description, student.tokenizer, student.model.config, settings.max_length)
    return TokenLessons(data, _states(student, data, settings, cache) if freeze else {}, freeze=freeze)


def _states(student: Student, data: TrainingData, settings: DistillationSettings, cache: Path) -> dict[str, Extra]:
    """The states of the student's encoder; none where there is no room for them: then it runs at each step."""
    bf16 = wants_bf16(settings.precision)
    found = encoder_states(student.model, data.train, student.tokenizer, bf16=bf16, cache=cache)
    return {} if found is None else {STATES: found}


def _written_by(
    teacher: Artifact,
    data: TrainingData,
    student: Student,
    description: Mapping[str, Any],
    settings: DistillationSettings,
    cache: Path,
) -> tuple[TrainingData, dict[str, Any]]:
    found = pseudo_labelled(
        teacher,
        data.texts,
        data.task,
        models.tokenizer(teacher.folder),
        share=settings.sequence_kd,
        beams=settings.beams,
        cache=cache,
        description=description,
    )
    train, _ = generative_tokens(found.rows, data.task, student.tokenizer, student.model.config, settings.max_length)
    return replace(data, texts=found.rows, train=train), dict(found.facts)


def _check_vocabulary(teacher: Artifact, student: Student) -> None:
    from compress.data.loading import tokenizer_identity

    same = tokenizer_identity(models.tokenizer(teacher.folder)) == tokenizer_identity(student.tokenizer)
    sizes = models.config(teacher.folder).vocab_size, student.model.config.vocab_size
    if not same or sizes[0] != sizes[1]:
        raise CompressError(
            "Student and teacher do not share a vocabulary, so their next tokens cannot be compared. Let the student learn "
            "from what the teacher writes: --alpha 0 --sequence-kd 1, without --on-policy."
        )


def _is_kept(data: TrainingData, settings: DistillationSettings, cache: Path) -> bool:
    """Whether the teacher's next tokens are kept on disk; else it runs at each step."""
    at = temperature(settings)
    if settings.top_k == 0:
        return False
    if at.start != at.end:
        say(f"The temperature changes ({at}), and what is kept belongs to one: the teacher runs at each step instead.")
        return False
    needed = bytes_needed(data.train, settings.top_k)
    cache.mkdir(parents=True, exist_ok=True)
    room = min(settings.teacher_cache_gb * 1e9, 0.8 * shutil.disk_usage(cache).free)
    if needed > room:
        say(
            f"The teacher's next tokens would take {needed / 1e9:.1f} GB, above the {room / 1e9:.1f} GB there are for "
            "them (--teacher-cache-gb): the teacher runs at each step instead."
        )
    return needed <= room
