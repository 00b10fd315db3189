"""The settings of `compress distill`: the student, and its training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from compress.core.headings import ADVANCED, DATA, TEACHER
from compress.core.references import ArtifactPath, ReadPath
from compress.core.unread_settings import ReadWhen
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.settings_read import GENERATION, LOSSES, weight_of
from compress.models.layer_choice import Layers

SHARE = 1 / 3
"""Of the training steps, for the students of a comparison over several seeds."""


class Distill(DistillationSettings):
    """The student, and its training."""

    HEADING = "Student"

    layers: Layers = Field(None, description="Teacher layers the student keeps: how many (3), or which (0,2,5).")
    layer_choice: Literal["even", "first", "last", "importance"] = Field(
        "even",
        description="How that many layers are chosen; importance: the most important ones, measured on the calibration set.",
    )
    hidden_size: int | None = Field(None, ge=1, description="Hidden size of a narrower student.")
    intermediate_size: int | None = Field(None, ge=1, description="Feed-forward size of a narrower student.")
    heads: int | None = Field(None, ge=1, description="Attention heads of a narrower student.")
    calibration: str = Field(
        "task-256",
        description="Calibration set for layer importance and for narrower students: a name or a YAML file.",
        json_schema_extra=DATA,
    )
    student: ReadPath | None = Field(
        None,
        description="Another student: the folder of a checkpoint, or a config.json for random initialization.",
    )
    teachers: tuple[ArtifactPath, ...] = Field(
        (),
        description="Additional teachers (ensemble); their soft targets are averaged. Generative ones must share a vocabulary.",
        json_schema_extra=TEACHER,
    )
    teacher_weights: tuple[float, ...] = Field(
        (),
        description="Weight of each teacher: MODEL, --teachers, --teacher-answers. Default: equal.",
        json_schema_extra=TEACHER,
    )
    teacher_answers: ReadPath | None = Field(
        None,
        exclude_if=lambda value: value is None,  # a fingerprint without it is what it was before there was one
        description="File of labels, probabilities or texts that another model wrote (JSON lines, CSV, ...), as the teacher; "
        "temperature 1 by default. MODEL is a teacher too only with --teacher-weights or --teachers; of generative models with "
        "--alpha.",
        json_schema_extra=TEACHER,
    )
    freeze_encoder: bool = Field(
        False,
        description="Keep the encoder of a seq2seq model frozen; its outputs are cached on disk.",
    )
    unlabelled_data: ReadPath | None = Field(
        None,
        description="Unlabelled texts for the teacher to label: a file or a folder; `generated`: those of a generated task.",
        json_schema_extra=DATA,
    )
    min_confidence: float | None = Field(
        None,
        exclude_if=lambda value: value is None,  # a fingerprint without it is what it was before there was one
        gt=0,
        le=1,
        description="Leave out unlabelled texts if the teacher gives their most likely class less than this. Default: keep all.",
        json_schema_extra=DATA,
    )
    augment: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Augmented copies of each training row, with words replaced.",
        json_schema_extra=DATA,
    )
    masked_lm: ReadPath | None = Field(
        None, description="Folder of the masked language model that replaces words.", json_schema_extra=DATA
    )
    with_baseline: bool = Field(
        False,
        description="Also train a baseline student without the teacher, and evaluate both on the evaluation split.",
        json_schema_extra=ADVANCED,
    )
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="Number of seeds for --with-baseline; the student of the first seed is kept.",
        json_schema_extra=ADVANCED,
    )
    baseline_steps: float | None = Field(
        None,
        exclude_if=lambda value: value is None,  # a fingerprint without it is what it was before there was one
        gt=0,
        le=1,
        description="Share of the training steps for the students of --with-baseline, on both sides. Default: 1 with one seed, "
        "a third with several. The student that is kept always has all.",
        json_schema_extra=ADVANCED,
    )
    baseline_learning_rates: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (),
        exclude_if=lambda value: not value,
        description="Learning rates to try for the baseline; the best on the held-out rows is used. Default: --learning-rate.",
        json_schema_extra=ADVANCED,
    )
    learning_rate: float = Field(1e-4, gt=0, lt=1, description="Peak learning rate.")

    @model_validator(mode="after")
    def _fit_together(self) -> Distill:
        if (self.shortens or self.narrows) == (self.student is not None):
            raise ValueError(
                "define the student with either 'layers' (3, say), 'decoder_layers', 'hidden_size' and the like, or 'student' "
                "(a folder)"
            )
        teachers = 1 + len(self.teachers) + (self.teacher_answers is not None)
        if self.teacher_weights and len(self.teacher_weights) != teachers:
            file = " and teacher_answers" if self.teacher_answers is not None else ""
            raise ValueError(
                f"there are {teachers} teachers with MODEL{file}, but {len(self.teacher_weights)} teacher_weights"
            )
        if self.teacher_answers is not None and self.sequence_kd:
            raise ValueError("teacher_answers and sequence_kd both replace the references: leave one of them out")
        if self.teacher_weights and (min(self.teacher_weights) < 0 or sum(self.teacher_weights) == 0):
            raise ValueError("teacher_weights are 0 or more, and not all of them 0")
        if self.seeds > 1 and not self.with_baseline:
            raise ValueError("several seeds are for the baseline: set with_baseline too")
        if self.masked_lm is not None and not self.augment:
            raise ValueError("masked_lm replaces words in augmented rows: set augment too")
        return self

    @property
    def steps_share(self) -> float:
        """Of its steps, for which the students of a comparison are trained.

        With one seed the student that is kept is one of the two, so that a whole comparison costs one more training. With
        three it would cost five more; a third of the steps costs two.
        """
        if self.baseline_steps is not None:
            return self.baseline_steps
        return 1.0 if self.seeds == 1 else SHARE

    @property
    def trainings(self) -> float:
        """What it trains in all, in trainings of the student that is kept."""
        if not self.with_baseline:
            return 1.0
        further = max(0, len(self.baseline_learning_rates) - 1)
        return (2 * self.seeds + further) * self.steps_share + (self.steps_share < 1)

    @property
    def shortens(self) -> bool:
        """Whether the student has fewer layers than its teacher."""
        return any(one is not None for one in (self.layers, self.decoder_layers, self.encoder_layers))

    @property
    def narrows(self) -> bool:
        """Whether the student has smaller widths than its teacher."""
        return any(one is not None for one in (self.hidden_size, self.intermediate_size, self.heads))


READ = (
    *LOSSES,
    *GENERATION,
    ReadWhen(
        ("teachers", "teacher_weights"),
        lambda one: weight_of("alpha")(one) or one.on_policy > 0,
        "where their outputs are averaged: with alpha or on_policy above 0",
    ),
    ReadWhen(
        ("layer_choice",),
        lambda one: any(isinstance(some, int) for some in (one.layers, one.decoder_layers, one.encoder_layers)),
        "where 'layers' is a number (3), not indices (0,2,5)",
    ),
    ReadWhen(
        ("calibration",),
        lambda one: one.narrows or one.layer_choice == "importance",
        "for narrower students and with layer_choice importance",
    ),
    ReadWhen(
        ("min_confidence",),
        lambda one: bool(one.unlabelled_data or one.teacher_answers) and weight_of("alpha")(one),
        "with unlabelled_data or teacher_answers, and an alpha above 0",
    ),
    ReadWhen(("baseline_steps", "baseline_learning_rates"), lambda one: one.with_baseline, "with with_baseline"),
)
