"""What a student learns from: the task's rows, extra ones, and what the teachers say of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.progress import say
from compress.data.collate import ByToken, Extra, starts_of
from compress.data.tokenized import tokens
from compress.distillation import teacher_score
from compress.distillation.distill_settings import Distill
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.features import Wanted
from compress.distillation.objective import FEATURE, LOGITS
from compress.distillation.students import Student
from compress.distillation.teacher_cache import answers, bytes_needed, opened_teacher
from compress.models import load as models
from compress.models.widths import widths
from compress.training.data import TrainingData, data_for


@dataclass(frozen=True)
class Lessons:
    """The rows a student is trained on, with the teachers' answers beside them."""

    data: TrainingData
    answers: Mapping[str, Extra] = field(default_factory=dict)
    """By the names that the objective reads: the teachers' logits, and the first teacher's features."""
    live_teacher: Any = None
    """The first teacher's model, where its features are computed at each step instead."""
    facts: Mapping[str, Any] = field(default_factory=dict)


def prepare(
    teachers: Sequence[Artifact],
    student: Student,
    description: Mapping[str, Any],
    settings: DistillationSettings,
    wanted: Wanted,
    cache: Path,
    *,
    extra: Any = None,
) -> Lessons:
    """Read the rows, and ask the teachers.

    Args:
        teachers: the first one's features are matched; all of them say what they think of each row.
        settings: `LossSettings` and `TrainingSettings`.
        wanted: the features of the first teacher.
        cache: the folder for content-keyed results.
        extra: further rows, see `extra`.

    Raises:
        CompressError: rows cannot be read, or a model does not read as many tokens.
    """
    rows = extra.rows if extra else None
    data = data_for(description, student.tokenizer, student.model.config, settings.max_length, extra=rows)
    facts: dict[str, Any] = dict(extra.facts) if extra else {}
    names = [f"teacher {one.folder.name}" if len(teachers) > 1 else "teacher" for one in teachers]
    scores = [
        _score(name, teacher, data, student.tokenizer, settings, cache)
        for name, teacher in zip(names, teachers, strict=True)
    ]
    facts["teacher_score"] = scores[0] if len(scores) == 1 else scores
    if settings.alpha.highest == 0 and not wanted.names():
        return Lessons(data, facts=facts)
    identity = {"train": data.train_identity, "extra": extra.identity if extra else {}, "length": settings.max_length}
    kept = _fits(data, wanted, teachers[0], settings.teacher_cache_gb, cache)
    logits, seconds, saved = [], 0.0, 0.0
    features: Mapping[str, Any] = {}
    for number, teacher in enumerate(teachers):
        its_tokenizer = models.tokenizer(teacher.folder)
        config = models.config(teacher.folder)
        found = answers(
            teacher,
            _rows(data, its_tokenizer, student.tokenizer, config, settings.max_length),
            its_tokenizer,
            wanted=wanted if number == 0 and kept else Wanted(),
            precision=settings.precision,
            identity=identity,
            cache=cache,
        )
        logits.append(found.logits)
        seconds, saved = seconds + found.seconds, saved + found.seconds_saved
        features = features or found.features
    facts |= {"teacher_seconds": round(seconds, 3), "teacher_seconds_saved": round(saved, 3)}
    if len(teachers) > 1:
        facts["teachers"] = [teacher.folder.name for teacher in teachers]
    return Lessons(
        data,
        answers={
            # A single teacher's stay where they are, on disk.
            LOGITS: _by_answer(logits[0][:, None] if len(logits) == 1 else np.stack(logits, axis=1), data.train),
            **{f"{FEATURE}{name}": values for name, values in features.items()},
        },
        live_teacher=None if kept or not wanted.names() else opened_teacher(teachers[0]),
        facts=facts,
    )


def _by_answer(logits: np.ndarray, rows: Any) -> Extra:
    """The teachers' scores, [answers, teachers, labels], as a batch looks them up: by row, or by a row's answers."""
    starts = starts_of(rows)
    return logits if starts is None else ByToken(logits, starts, of_labels=True)


def _score(
    who: str, teacher: Artifact, data: TrainingData, student_tokenizer: Any, settings: DistillationSettings, cache: Path
) -> dict[str, Any]:
    """What a teacher scores on the held-out rows."""
    from compress.data.loading import tokenizer_identity

    its_tokenizer, rows = models.tokenizer(teacher.folder), data.holdout
    if tokenizer_identity(its_tokenizer) != tokenizer_identity(student_tokenizer):
        rows = tokens(data.holdout_texts, its_tokenizer, models.config(teacher.folder), settings.max_length).rows
    return teacher_score.of_classifier(teacher, data, rows, its_tokenizer, settings, cache, who=who)


def plain(student: Student, description: Mapping[str, Any], settings: DistillationSettings) -> Lessons:
    """The task's own rows and labels, without any teacher."""
    return Lessons(data_for(description, student.tokenizer, student.model.config, settings.max_length))


def extra(description: Mapping[str, Any], settings: Distill, cache: Path) -> Any:
    """The unlabelled and augmented rows (an `extra_rows.Extra`), None where the settings ask for none."""
    from compress.data import loading
    from compress.distillation.augmentation.extra_rows import extra_rows

    if settings.unlabelled_data is None and not settings.augment:
        return None
    task, data = loading.resolve(dict(description))
    split = loading.load(task, data, "train")
    return extra_rows(
        task,
        split.rows,
        text=Path(settings.unlabelled_data) if settings.unlabelled_data else None,
        augment=settings.augment,
        masked_lm=Path(settings.masked_lm) if settings.masked_lm else None,
        seed=settings.seed,
        cache=cache,
        forbidden=list(_other_splits(task, data)),
    )


def _other_splits(task: Any, data: Any) -> Iterator[Any]:
    """The rows that a student must not have seen; a task need not have a test split."""
    from compress.data import loading

    yield from (loading.load(task, data, name).rows for name in ("holdout", "evaluation"))
    with suppress(CompressError):
        yield loading.load(task, data, "test").rows


def _rows(data: TrainingData, its_tokenizer: Any, student_tokenizer: Any, config: Any, max_length: int) -> Any:
    """The training rows as a teacher reads them: another tokenizer cuts the same texts otherwise."""
    from compress.data.loading import tokenizer_identity

    if tokenizer_identity(its_tokenizer) == tokenizer_identity(student_tokenizer):
        return data.train
    return tokens(data.texts, its_tokenizer, config, max_length).rows


def _fits(data: TrainingData, wanted: Wanted, teacher: Artifact, limit_gb: float, cache: Path) -> bool:
    """Whether the teacher's features are kept on disk; where they would take too much, it runs at each step."""
    if not wanted.names():
        return True
    needed = bytes_needed(data.train, wanted, widths(models.config(teacher.folder)).hidden)
    cache.mkdir(parents=True, exist_ok=True)
    room = min(limit_gb * 1e9, 0.8 * shutil.disk_usage(cache).free)
    if needed > room:
        say(
            f"The teacher's hidden states would take {needed / 1e9:.1f} GB, above the {room / 1e9:.1f} GB there are for "
            "them (--teacher-cache-gb): the teacher runs at each step instead."
        )
    return needed <= room
