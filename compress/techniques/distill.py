"""Train a smaller student on the soft targets of a teacher and on the labels (knowledge distillation).

MODEL is the teacher; its outputs are computed once and cached on disk. The student keeps some of the teacher's layers, is a
narrower copy of it, or is another checkpoint or config. The loss is
alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * CE(student, label), and squared errors for
regression. Hidden states, attention, relations and embeddings can be matched too, also in generative models.

A generative student (T5, BART, Llama, ...) learns the teacher's next-token distributions on the references, on
student-generated outputs (--on-policy), or on the teacher's outputs (--sequence-kd). It keeps some of the decoder's and
encoder's layers, or is narrower.

--teacher-answers FILE takes another model's answers as the teacher: labels, probabilities or texts, one row
per text (JSON lines, CSV, ...).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.core.artifact import Artifact, hashes
from compress.core.errors import CompressError
from compress.core.model_files import deciding, of_tokenizer
from compress.core.paths import named
from compress.core.progress import say, warn
from compress.distillation.distill_settings import READ, Distill
from compress.tasks.task import DescribedTask
from compress.tasks.technique import Made, Technique, Work

if TYPE_CHECKING:
    from compress.tasks.task import Task

NO_SMALLER = "The student keeps all layers and the full width of its teacher, so it is not smaller."


def _run(work: Work[Distill]) -> Made:
    from compress.distillation import label_smoothing, students, transfer_set
    from compress.distillation.baseline import Trainee, compare
    from compress.distillation.confident_texts import confident
    from compress.distillation.expected_gain import expectation
    from compress.distillation.teacher import Teacher
    from compress.distillation.teacher_answers import answers_of
    from compress.distillation.thresholds import fitted
    from compress.distillation.train import train_student
    from compress.models import load as models

    settings, described = work.settings, work.described
    task = described.task
    others = (work.inputs[f"teachers.{number}"] for number in range(len(settings.teachers)))
    teachers = [Teacher(one) for one in (work.source, *others)]
    student = students.make(work.source, settings, task, described)
    extra, answers = transfer_set.extra(described, settings, work.cache), answers_of(described, settings)
    if answers is not None:
        say(answers.sentence())
        extra = answers.with_rows(extra)
    rows = transfer_set.prepare(
        teachers,
        student,
        described,
        settings,
        work.cache,
        weights=settings.teacher_weights,
        extra=extra,
        answers=answers,
        freeze=settings.freeze_encoder,
    )
    if settings.min_confidence is not None:
        rows = confident(rows, extra, student, settings.min_confidence)
    smoothed = None
    if answers is None:
        smoothed = label_smoothing.told(teachers[0], rows.data, student, settings, work.cache)
    for teacher in teachers:  # those that are asked at each step are in `rows`
        teacher.close()
    unlabelled = rows.facts.get("rows_unlabelled", 0)
    if expected := expectation(settings, work.source, described, unlabelled=unlabelled, smoothed=smoothed):
        say(expected)
    facts = train_student(student, rows, settings, work.scratch, work.name)
    if settings.with_baseline:
        alone = transfer_set.without_teacher(student, described, settings, work.cache)

        def trained(chosen: Distill, folder: Path, name: str, steps: int | None) -> Trainee:
            other = students.make(work.source, chosen, task, described)
            read = rows if steps is None else alone
            return Trainee(other, train_student(other, read, chosen, folder, name, steps=steps))

        facts["teacher_effect"] = compare(work, Trainee(student, facts), task, trained)
    models.save(student.model, student.tokenizer, work.folder)
    thresholds = fitted(student.model, rows.data, student.tokenizer)
    told = {**student.facts, **rows.facts, **facts, **rows.data.facts, **thresholds}
    if expected:
        told["expectation"] = expected
    return Made("torch", "fp32", facts=thresholds, step_facts=told)


def _reads(settings: Distill, task: DescribedTask | None) -> dict[str, Any]:
    from compress.data import calibration, unlabelled
    from compress.data.tokenized import identity, split_identity
    from compress.distillation.augmentation import extra_rows

    found = identity(task)
    if settings.student is not None:
        given = named(settings.student)
        found["student"] = hashes([given, *of_tokenizer(given.parent)] if given.is_file() else deciding(given))
    if settings.with_baseline and task is not None:  # both are judged on it
        found["evaluation"] = split_identity(task, "evaluation")
    if task is not None and (settings.unlabelled_data or settings.masked_lm):
        texts = unlabelled.path_of(settings.unlabelled_data, task.task)
        found |= extra_rows.identity(texts, named(settings.masked_lm) if settings.masked_lm else None)
    if task is not None and settings.teacher_answers is not None:
        from compress.distillation import teacher_answers

        found |= teacher_answers.identity(settings, task.task)
    if task is not None and (settings.narrows or settings.layer_choice == "importance"):
        found["calibration"] = calibration.identity(settings.calibration, task)
    return found


def _check(settings: Distill, source: Artifact, described: DescribedTask | None) -> None:
    from compress.data import calibration, loading

    if settings.student is not None and not named(settings.student).exists():
        raise CompressError(f"The student {settings.student} does not exist. Give a folder or a config.json.")
    assert described is not None  # `needs_task`
    task, data = described.task, described.data
    if settings.min_confidence is not None and not task.law.chooses:
        raise CompressError(
            f"min_confidence: only for tasks whose answers are classes, and {task.name} is a {task.kind}. Leave it out."
        )
    (_check_generation if task.is_generative else _check_encoder)(settings, task, described)
    if settings.teacher_answers is not None:
        _check_answers(settings, described)
    if settings.narrows or settings.layer_choice == "importance":
        calibration.check(settings.calibration, described)
    judges = settings.with_baseline and task.of_kind.has_references
    if judges and not loading.load(task, data, "evaluation").is_labelled:
        raise CompressError(
            f"The evaluation split of {task.name} has no labels, so students cannot be compared on it. "
            "Leave with_baseline out."
        )


def _check_model(settings: Distill, source: Artifact, described: DescribedTask | None) -> None:
    from compress.distillation.students import keeps_all
    from compress.models import load as models

    assert described is not None  # `needs_task`
    task = described.task
    config = models.config(source.folder)
    (_check_generative_teacher if task.is_generative else _check_encoder_teacher)(settings, source, task, config)
    if keeps_all(settings, task, config):
        warn(NO_SMALLER)


def _check_encoder(settings: Distill, task: Task, described: DescribedTask | None) -> None:
    from compress.data import unlabelled
    from compress.distillation.augmentation import extra_rows

    of_text = (*settings.given(), *(["freeze_encoder"] if settings.freeze_encoder else []))
    if of_text:
        raise CompressError(f"{of_text[0]} is for generative models, and {task.name} is a {task.kind}. Leave it out.")
    extra_rows.check(
        task,
        unlabelled.path_of(settings.unlabelled_data, task),
        named(settings.masked_lm) if settings.masked_lm else None,
    )


def _check_generation(settings: Distill, task: Task, described: DescribedTask | None) -> None:
    from compress.data.tokenized import check_max_length

    check_max_length(settings, described)
    if settings.unlabelled_data or settings.augment:
        raise CompressError(
            f"unlabelled_data, augment and masked_lm: only for encoders, and {task.name} is for generative models. Leave it out."
        )
    if not task.of_kind.has_references and settings.sequence_kd:
        raise CompressError(f"sequence_kd: {task.name} has no source texts for the teacher. Use on_policy instead.")


def _check_answers(settings: Distill, described: DescribedTask) -> None:
    """Reads the whole file, so that a mistake in it is found before a model is loaded."""
    from compress.distillation.teacher_answers import answers_of, asks_models

    task = described.task
    if task.is_generative and settings.teacher_weights:
        raise CompressError(
            f"teacher_weights: in {task.name} the answers take the place of the references. To learn from MODEL too, set alpha, "
            "without teacher_weights."
        )
    if not task.is_generative and settings.alpha.highest == 0:
        raise CompressError("teacher_answers: with alpha 0 nothing is learned from them. Set alpha, or leave them out.")
    if (settings.unlabelled_data or settings.augment) and not asks_models(settings, task):
        raise CompressError(
            "unlabelled_data and augment: their rows are labelled by a model, and with teacher_answers alone none is asked. Set "
            "teacher_weights (MODEL's and the file's, such as 1,1) to ask MODEL too."
        )
    answers_of(described, settings)


def _check_encoder_teacher(settings: Distill, source: Artifact, task: Task, config: Any) -> None:
    from compress.distillation.teacher_answers import asks_models
    from compress.models import load as models

    if settings.matches or asks_models(settings, task):
        models.check_labels(source.folder, task)  # else it may be a base without a head
    _check_widths(settings, config, generates=False)
    _check_tokenizer(settings, source)


def _check_tokenizer(settings: Distill, source: Artifact) -> None:
    """Raises a CompressError where layers are to be matched with a given student that has another tokenizer."""
    from compress.data.tokens import same_tokenizer
    from compress.distillation.students import own_tokenizer
    from compress.models import load as models

    own = own_tokenizer(settings.student) if settings.matches else None
    if own and not same_tokenizer(models.tokenizer(own), models.tokenizer(source.folder)):
        raise CompressError(
            f"The student in {settings.student} has another tokenizer than its teacher, so their hidden layers "
            "cannot be matched token by token. Leave out hidden_weight, attention_weight, relation_weight and "
            "embedding_weight."
        )


def _check_generative_teacher(settings: Distill, source: Artifact, task: Task, config: Any) -> None:
    from compress.models import load as models

    if not models.generates(source.folder):
        raise CompressError(
            f"{source.folder} is a classifier, and {task.name} is for generative models. Give a generative model."
        )
    if not task.of_kind.has_references and config.is_encoder_decoder:
        raise CompressError(f"{task.name} is language modelling, for a decoder; {source.folder} has an encoder too.")
    if settings.freeze_encoder and (not config.is_encoder_decoder or settings.student is not None):
        raise CompressError(
            "freeze_encoder keeps the teacher's encoder, so it is for students with some of an encoder-decoder's layers."
        )
    if settings.freeze_encoder and settings.narrows:
        raise CompressError(
            "freeze_encoder keeps the teacher's encoder as it is, and hidden_size, intermediate_size and heads make it narrower. "
            "Leave out the one or the other."
        )
    _check_widths(settings, config, generates=True)
    _check_tokenizer(settings, source)


def _check_widths(settings: Distill, config: Any, *, generates: bool) -> None:
    from compress.models.widths import check_narrows, narrower

    if settings.narrows:
        check_narrows(config, generates=generates)
        narrower(
            config,
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            heads=settings.heads,
        )


def _expects(settings: Distill, source: Artifact, described: DescribedTask) -> str | None:
    from compress.distillation.expected_gain import expectation

    return expectation(settings, source, described)


TECHNIQUE = Technique(
    name="distill",
    settings=Distill,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("torch", "fp32"),
    reads=_reads,
    in_task_order=True,
    needs_task=True,
    read_when=READ,
    check=_check,
    check_model=_check_model,
    expects=_expects,
    example="compress distill runs/teacher --layers 3 --temperature 4 --alpha 0.5 -o runs/student",
)
