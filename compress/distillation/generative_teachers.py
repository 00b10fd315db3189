"""What generative teachers bring to a transfer set: texts, next-token distributions, and the features of the first one's layers.

Each is cached on disk if there is room, else the teacher runs at each step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.errors import CompressError
from compress.core.progress import say
from compress.data.collate import Extra
from compress.data.tokenized import generative_tokens
from compress.data.tokens import same_tokenizer
from compress.distillation import generative_cache, teacher_cache
from compress.distillation.counted_rows import CountedRows
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.layer_losses import FEATURE
from compress.distillation.loss_config import LossConfig
from compress.distillation.sequence_kd import with_teacher_references
from compress.distillation.students import Student
from compress.distillation.teacher import Teacher
from compress.distillation.top_k_error import truncation_error
from compress.models.forward import STATES
from compress.tasks.task import DescribedTask
from compress.training.data import TrainingData
from compress.training.frozen_encoder import encoder_states
from compress.training.train import wants_bf16

if TYPE_CHECKING:
    from compress.distillation.transfer_set import TransferSet


def check(teachers: Sequence[Teacher], student: Student, stages: Sequence[LossConfig]) -> None:
    """Whether the student can be compared with its teachers token by token, where that is asked for.

    Raises:
        CompressError: a teacher has another tokenizer, another vocabulary, or is a decoder where the student is an
            encoder-decoder, or the reverse.
    """
    last = stages[-1]
    if last.alpha.highest > 0 or last.on_policy:
        for teacher in teachers:
            _check_vocabulary(teacher, student)
    if stages[0].layer_losses and not same_tokenizer(teachers[0].tokenizer, student.tokenizer):
        raise CompressError(
            f"The student has another tokenizer than its teacher {teachers[0].folder}, so their layers cannot be matched token "
            "by token. Leave out hidden_weight, attention_weight, relation_weight and embedding_weight."
        )


def _check_vocabulary(teacher: Teacher, student: Student) -> None:
    config, own = teacher.config, student.model.config
    same = same_tokenizer(teacher.tokenizer, student.tokenizer)
    if not same or config.vocab_size != own.vocab_size:
        raise CompressError(
            f"The student and its teacher {teacher.folder} do not share a vocabulary, so their next tokens cannot be compared. "
            "Let the student learn from what the teacher writes: --alpha 0 --sequence-kd 1, without --on-policy."
        )
    if config.is_encoder_decoder != own.is_encoder_decoder:
        ours, theirs = ("an encoder-decoder" if one.is_encoder_decoder else "a decoder" for one in (own, config))
        raise CompressError(
            f"The student is {ours} and its teacher {teacher.folder} {theirs}, so their next tokens cannot be compared. "
            "Let the student learn from what the teacher writes: --alpha 0 --sequence-kd 1, without --on-policy."
        )


def with_outputs(
    found: TransferSet,
    teachers: Sequence[Teacher],
    student: Student,
    described: DescribedTask,
    settings: DistillationSettings,
    cache: Path,
    *,
    freeze: bool,
) -> TransferSet:
    """A transfer set with the first teacher's texts in place of references, the next-token distributions of all teachers, and
    the features of the first one, each cached or online.

    Args:
        found: the task's own rows, with the stages.
        freeze: whether the student's encoder will be frozen: then its states are cached too.
    """
    facts = dict(found.facts)
    if settings.sequence_kd:
        data, told = _with_texts(found.data, teachers[0], student, described, settings, cache)
        found, facts = replace(found, data=data), {**facts, **told}
    data, first, config = found.data, found.stages[0], found.stages[-1]
    rows = CountedRows(data.train)
    extras: dict[str, Extra] = encoder_outputs(student, data, settings, cache) if freeze else {}
    outputs: list[teacher_cache.Outputs] = []

    asks_all = config.alpha.highest > 0 or config.on_policy > 0
    if asks_all and len(teachers) > 1 and "teachers" not in facts:
        facts["teachers"] = [teacher.folder.name for teacher in teachers]
    asks_first = bool(first.layer_losses)
    if asks_all and config.alpha.highest > 0 and config.on_policy < 1 and _is_kept(rows, settings, config, cache):
        kept, error = _next_tokens(data, rows, teachers, student, settings, config, cache)
        outputs.append(kept)
        extras |= kept.extras
        facts["top_k_error"] = {"k": settings.top_k, **error}
        asks_all = config.on_policy > 0
    # Of the student's own samples, which differ each time, nothing can be cached.
    if asks_first and not first.on_policy:
        wanted = {side: first.features("teacher", side) for side in first.sides}
        needed = teacher_cache.bytes_of_features(rows, wanted, found.teacher_config)
        if teacher_cache.has_room("layer features", needed, settings.teacher_cache_gb, cache):
            features = generative_cache.layer_features(
                teachers[0],
                rows,
                student.tokenizer,
                data.collate,
                wanted,
                precision=settings.precision,
                cache=cache,
            )
            outputs.append(features)
            extras |= {f"{FEATURE}{name}": values for name, values in features.extras.items()}
            asks_first = False
    if outputs:
        facts["teacher_seconds"] = round(sum(one.seconds for one in outputs), 3)
        facts["teacher_seconds_saved"] = round(sum(one.seconds_saved for one in outputs), 3)
    online = teachers if asks_all else teachers[: int(asks_first)]
    return replace(
        found,
        extras=extras,
        online_teachers=tuple(teacher.model for teacher in online),
        facts=facts,
        freezes_encoder=freeze,
    )


def encoder_outputs(
    student: Student, data: TrainingData, settings: DistillationSettings, cache: Path
) -> dict[str, Extra]:
    """The states of the student's encoder; none where there is no room for them: then it runs at each step."""
    bf16 = wants_bf16(settings.precision)
    found = encoder_states(student.model, data.train, student.tokenizer, bf16=bf16, cache=cache)
    return {} if found is None else {STATES: found}


def _with_texts(
    data: TrainingData,
    teacher: Teacher,
    student: Student,
    described: DescribedTask,
    settings: DistillationSettings,
    cache: Path,
) -> tuple[TrainingData, Mapping[str, Any]]:
    """The rows with teacher-generated texts in place of references, and the facts of that."""
    written = with_teacher_references(
        teacher,
        data.texts,
        data.task,
        teacher.tokenizer,
        share=settings.sequence_kd,
        beams=settings.beams,
        cache=cache,
        described=described,
    )
    own = student.tokenizer, student.model.config, settings.max_length
    rows = generative_tokens(written.rows, data.task, *own)[0]
    return replace(data, texts=written.rows, train=rows), written.facts


def _next_tokens(
    data: TrainingData,
    rows: CountedRows,
    teachers: Sequence[Teacher],
    student: Student,
    settings: DistillationSettings,
    config: LossConfig,
    cache: Path,
) -> tuple[teacher_cache.Outputs, Mapping[str, Any]]:
    """The teachers' cached next-token distributions, and the error that caching makes."""
    its_tokenizer = teachers[0].tokenizer
    kept = generative_cache.next_tokens(
        teachers,
        rows,
        its_tokenizer,
        data.collate,
        k=settings.top_k,
        temperature=config.temperature.start,
        precision=settings.precision,
        cache=cache,
        weights=config.teacher_weights,
    )
    live = [teacher.model for teacher in teachers]
    return kept, truncation_error(student.model, live, data.train, its_tokenizer, data.collate, kept.extras, config)


def _is_kept(rows: CountedRows, settings: DistillationSettings, config: LossConfig, cache: Path) -> bool:
    """Whether the teachers' next tokens are cached on disk; else they run at each step."""
    at = config.temperature
    if settings.top_k == 0:
        return False
    if at.start != at.end:
        say(
            f"The temperature changes ({at}), and the cache is for one temperature: the teacher runs at each step instead."
        )
        return False
    needed = generative_cache.bytes_of_tokens(rows, settings.top_k)
    return teacher_cache.has_room("next tokens", needed, settings.teacher_cache_gb, cache)
