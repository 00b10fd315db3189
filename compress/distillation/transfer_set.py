"""The transfer set: the task's rows, additional rows or teacher-generated texts, with the teacher's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.errors import CompressError
from compress.data import loading, unlabelled
from compress.data.collate import ByToken, Extra
from compress.data.tokenized import tokens
from compress.data.tokens import same_tokenizer
from compress.distillation import generative_teachers, teacher_cache, teacher_score
from compress.distillation.counted_rows import CountedRows
from compress.distillation.distill_settings import Distill
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.features import FeatureSpec
from compress.distillation.layer_losses import FEATURE
from compress.distillation.loss_config import LossConfig, stages_of
from compress.distillation.objective import OUTPUT
from compress.distillation.students import Student
from compress.distillation.teacher import Teacher
from compress.distillation.teacher_answers import TeacherAnswers, beside
from compress.models import load as models
from compress.tasks.kinds import Kind
from compress.tasks.task import DescribedTask
from compress.training.data import TrainingData, data_for


@dataclass(frozen=True)
class TransferSet:
    """The rows on which a student is trained, with the teachers' outputs."""

    data: TrainingData
    stages: tuple[LossConfig, ...]
    """What is minimised on them, stage by stage."""
    extras: Mapping[str, Extra] = field(default_factory=dict)
    """What lies on disk of each row, by the names that the objective reads: the teachers' logits, the first teacher's features,
    a generative teacher's next tokens, the states of an encoder that is frozen."""
    online_teachers: tuple[Any, ...] = ()
    """Models that are asked at each step instead: the first teacher's for its features, all of them for next tokens."""
    teacher_config: Any = None
    """The first teacher's config."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    freezes_encoder: bool = False
    """Whether the student's encoder is frozen."""


def prepare(
    teachers: Sequence[Teacher],
    student: Student,
    described: DescribedTask,
    settings: DistillationSettings,
    cache: Path,
    *,
    weights: tuple[float, ...] = (),
    extra: Any = None,
    answers: TeacherAnswers | None = None,
    freeze: bool = False,
) -> TransferSet:
    """Reads the rows and the teachers' outputs.

    Args:
        teachers: the first one's features are matched; all of them say what they think of each row. The first generative one
            generates texts, where these are asked for.
        cache: the folder for content-keyed results.
        weights: one a teacher, that of the answers last; none for equal ones.
        extra: further rows, see `extra`.
        answers: those of a file, which is a teacher by itself, or one more.
        freeze: whether the student's encoder will be frozen: then its states are kept too.

    Raises:
        CompressError: rows cannot be read, a model does not read as many tokens, student and teacher do not fit each other, or
            they do not share the vocabulary whose tokens are compared.
    """
    task = described.task
    asked = teachers if answers is None or answers.asks_models else ()
    if not task.is_generative:
        for teacher in teachers if settings.matches else asked:
            models.check_labels(teacher.folder, task)
    settings = settings if answers is None else answers.settings(settings)
    teacher_config = teachers[0].config
    # A generative student learns from the answers as references, so they have no share in its teachers' distributions.
    shares = weights or (1.0,) * (len(asked) + (answers is not None and not task.is_generative))
    stages = stages_of(settings, student.model.config, teacher_config, task.law, shares, frozen_encoder=freeze)
    if task.is_generative:
        generative_teachers.check(teachers, student, stages)
    rows = extra.rows if extra else None
    data = data_for(described, student.tokenizer, student.model.config, settings.max_length, extra=rows)
    facts: dict[str, Any] = dict(extra.facts) if extra else {}
    names = [f"teacher {one.folder.name}" if len(asked) + (answers is not None) > 1 else "teacher" for one in asked]
    scores = [
        _score(name, teacher, data, student.tokenizer, described, settings, cache)
        for name, teacher in zip(names, asked, strict=True)
    ]
    if len(asked) > 1 and not task.is_generative:
        for teacher in asked:  # they are asked one after the other, so there need not be more than one in memory
            teacher.close()
    if answers is not None:
        data = answers.in_references(data, student, settings.max_length)
        scores += [one] if (one := answers.score(allow_poor=settings.allow_poor_teacher)) else []
        facts["teachers"] = [*(teacher.folder.name for teacher in asked), answers.name]
    if scores:
        facts["teacher_score"] = scores[0] if len(scores) == 1 else scores
    found = TransferSet(data, stages, teacher_config=teacher_config, facts=facts)
    if task.is_generative:
        return generative_teachers.with_outputs(found, teachers, student, described, settings, cache, freeze=freeze)
    identity = {"train": data.train_identity, "extra": extra.identity if extra else {}, "length": settings.max_length}
    if answers is None:
        return with_outputs(found, teachers, student, settings, identity, cache)
    return _with_answers(found, teachers, answers, student, settings, identity, cache)


def without_teacher(student: Student, described: DescribedTask, settings: Distill, cache: Path) -> TransferSet:
    """The task's own rows and labels, for a baseline student."""
    data = data_for(described, student.tokenizer, student.model.config, settings.max_length)
    states = generative_teachers.encoder_outputs(student, data, settings, cache) if settings.freeze_encoder else {}
    return TransferSet(data, (LossConfig(law=data.task.law),), states, freezes_encoder=settings.freeze_encoder)


def extra(described: DescribedTask, settings: Distill, cache: Path) -> Any:
    """The unlabelled and augmented rows (an `extra_rows.Extra`), None where the settings ask for none."""
    from compress.distillation.augmentation.extra_rows import extra_rows

    if settings.unlabelled_data is None and not settings.augment:
        return None
    task, data = described.task, described.data
    split = loading.load(task, data, "train")
    return extra_rows(
        task,
        split.rows,
        text=unlabelled.path_of(settings.unlabelled_data, task),
        augment=settings.augment,
        masked_lm=Path(settings.masked_lm) if settings.masked_lm else None,
        seed=settings.seed,
        cache=cache,
        forbidden=list(loading.kept_apart(task, data)),
    )


def _score(
    who: str,
    teacher: Teacher,
    data: TrainingData,
    student_tokenizer: Any,
    described: DescribedTask,
    settings: DistillationSettings,
    cache: Path,
) -> dict[str, Any]:
    """A teacher's score on the held-out rows, with its own tokenizer."""
    its_tokenizer, config = teacher.tokenizer, teacher.config
    if data.task.is_generative:
        return teacher_score.of_generator(
            teacher, data_for(described, its_tokenizer, config, settings.max_length), cache, who=who
        )
    rows = data.holdout
    if not same_tokenizer(its_tokenizer, student_tokenizer):
        rows = tokens(data.holdout_texts, its_tokenizer, config, settings.max_length).rows
    return teacher_score.of_classifier(teacher, data, rows, its_tokenizer, settings, cache, who=who)


def with_outputs(
    found: TransferSet,
    teachers: Sequence[Teacher],
    student: Student,
    settings: DistillationSettings,
    identity: Mapping[str, Any],
    cache: Path,
) -> TransferSet:
    """A transfer set with the teachers' outputs, and the first one's features, cached on disk or computed online."""
    wanted, data = found.stages[0].features("teacher"), found.data
    if settings.alpha.highest == 0 and not wanted.names():
        return found
    own = CountedRows(data.train)
    needed = teacher_cache.bytes_of_features(own, {"": wanted}, found.teacher_config)
    kept = teacher_cache.has_room("hidden states", needed, settings.teacher_cache_gb, cache)
    seconds, saved = 0.0, 0.0
    given: list[Mapping[str, Extra]] = []
    features: Mapping[str, Any] = {}
    for number, teacher in enumerate(teachers):
        its_tokenizer, rows = teacher.tokenizer, own
        if not same_tokenizer(its_tokenizer, student.tokenizer):  # it cuts the same texts otherwise
            kind = data.task.of_kind
            _check_same_tokens(kind, teacher)
            rows = CountedRows(tokens(data.texts, its_tokenizer, teacher.config, settings.max_length, kind).rows)
        outputs = teacher_cache.outputs(
            teacher,
            rows,
            its_tokenizer,
            features=wanted if number == 0 and kept else FeatureSpec(),
            precision=settings.precision,
            identity=identity,
            cache=cache,
        )
        if number:  # the first one may be asked at each step
            teacher.close()
        given.append(outputs.given)
        seconds, saved = seconds + outputs.seconds, saved + outputs.seconds_saved
        features = features or outputs.extras
    facts: dict[str, Any] = {"teacher_seconds": round(seconds, 3), "teacher_seconds_saved": round(saved, 3)}
    if len(teachers) > 1:
        facts["teachers"] = [teacher.folder.name for teacher in teachers]
    together = {f"{OUTPUT}{name}": _together([one[name] for one in given]) for name in given[0]}
    return replace(
        found,
        extras={**together, **{f"{FEATURE}{name}": values for name, values in features.items()}},
        online_teachers=() if kept or not wanted.names() else (teachers[0].model,),
        facts={**found.facts, **facts},
    )


def _with_answers(
    found: TransferSet,
    teachers: Sequence[Teacher],
    answers: TeacherAnswers,
    student: Student,
    settings: DistillationSettings,
    identity: Mapping[str, Any],
    cache: Path,
) -> TransferSet:
    """A transfer set with the answers of a file, alone or beside the teachers' outputs; and the first teacher's features."""
    names = found.facts["teachers"]
    if answers.asks_models or found.stages[0].features("teacher").names():
        found = with_outputs(found, teachers, student, settings, identity, cache)
    extras = {name: values for name, values in found.extras.items() if not name.startswith(OUTPUT)}
    for name, own in answers.outputs(found.data).items():
        of_models = found.extras.get(f"{OUTPUT}{name}") if answers.asks_models else None
        extras[f"{OUTPUT}{name}"] = beside(of_models, own)
    return replace(found, extras=extras, facts={**found.facts, "teachers": names})


def _together(outputs: Sequence[Extra]) -> Extra:
    """One output of all teachers, [..., teachers, ...] behind the first axis. A single one's stays where it is, on disk."""
    first = outputs[0]
    arrays = [one.values if isinstance(one, ByToken) else one for one in outputs]
    stacked = arrays[0][:, None] if len(arrays) == 1 else np.stack(arrays, axis=1)
    return replace(first, values=stacked) if isinstance(first, ByToken) else stacked


def _check_same_tokens(kind: Kind, teacher: Teacher) -> None:
    """Whether outputs can be compared with those of a teacher that has another tokenizer."""
    by_token = [one.name for one in kind.outputs if one.of == "token"]
    if by_token:
        raise CompressError(
            f"{teacher.folder} has another tokenizer than the student, so their {by_token[0]}, one per token, cannot be "
            "compared. Give a student with the teacher's tokenizer."
        )
