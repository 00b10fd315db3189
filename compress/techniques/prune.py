"""Prune attention heads, neurons and layers, which makes a model smaller and faster, or single weights.

`structured` and `kwon` remove attention heads and feed-forward neurons within a budget of MACs, parameters or measured
latency; `kwon` corrects the remaining weights by least squares, without training. `layers` drops whole layers, `width`
hidden dimensions. In generative models (T5, BART, Llama, ...), encoder, decoder and cross-attention share one budget;
`kwon`, `width` and latency budgets are for encoders. `magnitude`, `movement`, `wanda` and `sparsegpt` set single weights to
zero (unstructured sparsity). With --epochs the pruned model is trained to recover, with the unpruned model as its teacher.
The options of teacher, loss, generation and training are for this recovery training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.headings import ADVANCED, DATA, TEACHER, TRAINING, under
from compress.core.progress import say
from compress.core.technique import ArtifactPath, Made, Technique, Work, finished
from compress.core.unread_settings import ReadWhen, refuse_unread
from compress.distillation.generation_settings import GenerationSettings
from compress.distillation.loss_settings import LossSettings
from compress.distillation.settings_read import ANOTHER_TEACHER, GENERATION, LOSSES
from compress.models.layer_choice import Layers
from compress.tasks.predictions import THRESHOLDS
from compress.training.train import TrainingSettings

if TYPE_CHECKING:
    from compress.training.objectives import Hold

SHAPES = ("structured", "kwon", "layers", "width")
"""Methods that make matrices smaller; the others leave zeros in them."""
NEEDS_ROWS = ("structured", "kwon", "width", "wanda", "sparsegpt")


STRUCTURED = under("Structured pruning")
LAYERS = under("Layer and width pruning")
UNSTRUCTURED = under("Unstructured pruning")


class Prune(LossSettings, GenerationSettings, TrainingSettings):
    """What goes, how it is chosen, and how the model recovers."""

    HEADING = "Pruning"

    method: Literal["structured", "kwon", "layers", "width", "magnitude", "movement", "wanda", "sparsegpt"] = Field(
        "structured", description="Pruning method; see above."
    )
    target_ratio: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the model's MACs, parameters or latency (--budget) to keep.",
        json_schema_extra=STRUCTURED,
    )
    budget: Literal["macs", "parameters", "latency"] = Field(
        "macs",
        description="What the ratio counts. latency is measured on this machine with ONNX Runtime.",
        json_schema_extra=STRUCTURED,
    )
    latency_budget_ms: float | None = Field(
        None,
        gt=0,
        description="Target latency in milliseconds, in place of --target-ratio (with --budget latency).",
        json_schema_extra=STRUCTURED,
    )
    length: int = Field(
        128,
        ge=1,
        le=100_000,
        description="Sequence length in tokens at which MACs and latency are counted.",
        json_schema_extra=ADVANCED,
    )
    new_tokens: int = Field(
        32,
        ge=1,
        le=100_000,
        description="Number of generated tokens at which the MACs of an encoder-decoder are counted.",
        json_schema_extra=ADVANCED,
    )
    batch: int = Field(
        1, ge=1, le=1024, description="Batch size at which latency is measured.", json_schema_extra=ADVANCED
    )
    importance: Literal["fisher", "taylor", "magnitude"] = Field(
        "fisher",
        description="Importance score of heads and neurons (method structured).",
        json_schema_extra=STRUCTURED,
    )
    allocation: Literal["global", "uniform"] = Field(
        "global",
        description="Prune the least important units of all layers, or equally many units of each layer (method structured).",
        json_schema_extra=STRUCTURED,
    )
    units: tuple[Literal["heads", "neurons"], ...] = Field(
        ("heads", "neurons"), description="Units to prune.", json_schema_extra=STRUCTURED
    )
    layers: Layers = Field(
        None, description="Layers to keep: how many (3), or which (0,2,5).", json_schema_extra=LAYERS
    )
    decoder_layers: Layers = Field(
        None,
        description="Decoder layers to keep (generative models): how many (2), or which (0,2).",
        json_schema_extra=LAYERS,
    )
    encoder_layers: Layers = Field(
        None,
        description="Encoder layers to keep (encoder-decoders): how many (2), or which (0,2).",
        json_schema_extra=LAYERS,
    )
    layer_choice: Literal["even", "first", "last", "importance"] = Field(
        "importance", description="How that many layers are chosen.", json_schema_extra=LAYERS
    )
    hidden_size: int | None = Field(None, ge=1, description="Hidden size to keep.", json_schema_extra=LAYERS)
    sparsity: float = Field(
        0.5, gt=0, lt=1, description="Share of the weights to set to zero.", json_schema_extra=UNSTRUCTURED
    )
    pattern: str | None = Field(
        None,
        pattern=r"^\d+:\d+$",
        description="N:M semi-structured sparsity: N of every M weights stay, such as 2:4.",
        json_schema_extra=UNSTRUCTURED,
    )
    scope: Literal["global", "local"] = Field(
        "global",
        description="Prune the smallest weights of all matrices, or of each matrix (methods magnitude, movement).",
        json_schema_extra=UNSTRUCTURED,
    )
    gradual: bool = Field(
        True,
        description="Increase the sparsity during training in place of pruning once before it (method magnitude).",
        json_schema_extra=UNSTRUCTURED,
    )
    penalty: float | None = Field(
        None,
        ge=0,
        description="Weight of the penalty on the scores, which learns the sparsity (soft movement pruning).",
        json_schema_extra=UNSTRUCTURED,
    )
    exclude: tuple[str, ...] = Field(
        (), description="Patterns of module names that are not pruned.", json_schema_extra=UNSTRUCTURED
    )
    calibration: str = Field(
        "task-2048",
        description="Calibration set for importance scores: a name or a YAML file.",
        json_schema_extra=DATA,
    )
    teacher: ArtifactPath | None = Field(
        None, description="Teacher of the recovery training. Default: MODEL itself.", json_schema_extra=TEACHER
    )
    epochs: float = Field(0.0, ge=0, le=1000, description="Number of epochs of recovery training; 0: none.")
    lora_rank: int = Field(
        0,
        ge=0,
        le=1024,
        description="Rank of LoRA adapters for the recovery training, merged afterwards; 0: train all weights.",
        json_schema_extra=TRAINING,
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Prune:
        if (self.method == "layers") != any(
            one is not None for one in (self.layers, self.decoder_layers, self.encoder_layers)
        ):
            raise ValueError("'layers' says which layers to keep: it goes with the method 'layers' and no other")
        if (self.method == "width") != (self.hidden_size is not None):
            raise ValueError("'hidden_size' is the size to keep: it goes with the method 'width' and no other")
        if self.method == "movement" and not self.epochs:
            raise ValueError("movement pruning needs training: set 'epochs' to 1 or more")
        if self.method == "movement" and (self.pattern or self.lora_rank):
            raise ValueError("movement pruning does not support 'pattern' or 'lora_rank'")
        if self.penalty is not None and self.method != "movement":
            raise ValueError("'penalty' belongs to the method 'movement'")
        if self.latency_budget_ms is not None and self.budget != "latency":
            raise ValueError("'latency_budget_ms' needs 'budget: latency'")
        if self.lora_rank and (not self.epochs or self.is_gradual):
            raise ValueError("LoRA is for the recovery training: set 'epochs', and 'gradual' to false")
        return self

    @property
    def is_gradual(self) -> bool:
        """Whether zeros come during the training."""
        return self.method == "magnitude" and self.gradual and self.epochs > 0 and self.pattern is None

    @property
    def amount(self) -> float | tuple[int, int]:
        """How many single weights go: the share, or (n, m)."""
        if self.pattern is None:
            return self.sparsity
        n, m = self.pattern.split(":")
        return int(n), int(m)


def _removes_units(settings: Any) -> bool:
    return settings.method in ("structured", "kwon")


def _recovers(settings: Any) -> bool:
    return bool(settings.epochs > 0)


READ = (
    ReadWhen(("budget", "units", "length", "new_tokens"), _removes_units, "with method structured or kwon"),
    ReadWhen(
        ("target_ratio",),
        lambda one: _removes_units(one) and one.latency_budget_ms is None,
        "with method structured or kwon, without 'latency_budget_ms'",
    ),
    ReadWhen(
        ("batch",),
        lambda one: _removes_units(one) and one.budget == "latency",
        "with budget latency",
    ),
    ReadWhen(("importance", "allocation"), lambda one: one.method == "structured", "with method structured"),
    ReadWhen(
        ("layer_choice",),
        lambda one: any(isinstance(some, int) for some in (one.layers, one.decoder_layers, one.encoder_layers)),
        "with method layers, where 'layers' is a number (3), not indices (0,2,5)",
    ),
    ReadWhen(("pattern", "exclude"), lambda one: one.method not in SHAPES, "by unstructured methods (magnitude, say)"),
    ReadWhen(
        ("sparsity",),
        lambda one: one.method not in SHAPES and one.pattern is None and one.penalty is None,
        "by unstructured methods (magnitude, say), without 'pattern' and 'penalty'",
    ),
    ReadWhen(
        ("scope",),
        lambda one: one.method in ("magnitude", "movement") and one.pattern is None and one.penalty is None,
        "with method magnitude or movement, without 'pattern' and 'penalty'",
    ),
    ReadWhen(
        ("gradual",),
        lambda one: one.method == "magnitude" and (not one.gradual or (_recovers(one) and one.pattern is None)),
        "with method magnitude, epochs above 0 and no 'pattern'",
    ),
    ReadWhen(
        ("calibration",),
        lambda one: _reads_rows(one),
        "by methods that measure importance on rows: kwon, width, wanda, sparsegpt, structured (not by magnitude), layer_choice "
        "importance",
    ),
    ReadWhen(
        (
            "teacher",
            *(
                name
                for name in (
                    *LossSettings.model_fields,
                    *GenerationSettings.model_fields,
                    *TrainingSettings.model_fields,
                )
                if name not in ("epochs", "seed", "decoder_layers", "encoder_layers")
            ),
        ),
        _recovers,
        "with epochs above 0",
    ),
    ANOTHER_TEACHER,
    *LOSSES,
    *GENERATION,
)


def _run(work: Work) -> Made:
    from compress.data import loading
    from compress.models import load as models

    settings, description = work.settings, dict(work.task or {})
    say(f"{work.name}: {prospect(settings)}")
    model = models.load(work.source).float()
    its_tokenizer = models.tokenizer(work.source.folder)
    pruned, hold, told = _pruned(work, model, its_tokenizer, description)
    if settings.epochs:
        task, _ = loading.resolve(description)
        told |= _recovered(work, pruned, its_tokenizer, hold, task, description)
    told |= _zeros(settings, pruned)
    models.save(pruned, its_tokenizer, work.folder)
    return Made("torch", "fp32", facts={name: told[name] for name in (THRESHOLDS,) if name in told}, step_facts=told)


def prospect(settings: Prune) -> str:
    """What the chosen kind of pruning can bring on this machine, and what it cannot, in a sentence."""
    if settings.method in SHAPES:
        return "structured pruning makes the model smaller and faster in every runtime."
    if settings.pattern == "2:4":
        return (
            "2:4 sparsity is faster on sparse tensor cores only (NVIDIA Ampere and later, with TensorRT). ONNX Runtime and torch "
            "compute with zeros as with other weights; only the compressed file is smaller."
        )
    return (
        "unstructured sparsity makes no runtime here faster: ONNX Runtime and torch compute with zeros as with other weights. "
        "Only the compressed file is smaller. For speed, use --method structured."
    )


def _pruned(
    work: Work, model: Any, its_tokenizer: Any, description: Mapping[str, Any]
) -> tuple[Any, Hold | None, dict[str, Any]]:
    """The pruned model, what holds its zeros while it is trained, and what is to be told."""
    from compress.data import calibration, references
    from compress.distillation.students import asked_layers
    from compress.models import load as models
    from compress.pruning import apply as slimming

    settings = work.settings
    writes = models.generates(work.source.folder)
    batches: list[dict[str, Any]] = []
    if _reads_rows(settings):
        if writes:
            batches = references.batches(settings.calibration, description, its_tokenizer, model.config)
        else:
            batches = calibration.tensors(settings.calibration, description, its_tokenizer, model.config, labels=True)
    if settings.method == "layers":
        told: dict[str, Any] = {}
        for side, layers in (asked_layers(settings, model.config) if writes else {"": settings.layers}).items():
            model, facts = slimming.fewer_layers(model, layers, settings.layer_choice, batches, side or "decoder")
            told |= facts
        return model, slimming.held_zeros(model), told
    if settings.method == "width":
        smaller, told = slimming.fewer_dimensions(model, settings.hidden_size, batches)
        return smaller, slimming.held_zeros(smaller), told
    if settings.method in SHAPES:
        smaller, told = slimming.fewer_units(model, settings, batches, work.cache)
        return smaller, slimming.held_zeros(smaller), told
    return slimming.zeroed_(model, settings, batches)


def _recovered(
    work: Work, model: Any, its_tokenizer: Any, hold: Hold | None, task: Any, description: Mapping[str, Any]
) -> dict[str, Any]:
    """Train the pruned model in place, with its teacher; what is to be told of it."""
    from compress.distillation import transfer_set as lessons
    from compress.distillation.objective import goals
    from compress.distillation.students import Student
    from compress.distillation.thresholds import fitted
    from compress.distillation.train import teach
    from compress.models import load as models
    from compress.pruning import apply as slimming

    settings = work.settings
    teacher = work.inputs.get("teacher", work.source)
    student = Student(model, its_tokenizer)
    if task.is_generative:
        return _recovered_writing(work, student, hold, teacher, description)
    models.check_labels(teacher.folder, task)
    teacher_config = models.config(teacher.folder)
    stages = goals(settings, model.config, teacher_config, task.law)
    lesson = lessons.prepare([teacher], student, description, settings, stages[0].wanted("teacher"), work.cache)
    with slimming.adapters(model, settings.lora_rank, settings.seed):
        facts = teach(student, stages, lesson, settings, teacher_config, work.scratch, work.name, hold=hold)
    slimming.finish_(model, hold)
    return {**lesson.facts, **facts, **lesson.data.facts, **fitted(model, lesson.data, its_tokenizer)}


def _recovered_writing(
    work: Work, student: Any, hold: Hold | None, teacher: Artifact, description: Mapping[str, Any]
) -> dict[str, Any]:
    """The same of a generative model: it learns its teacher's next-token distributions."""
    from compress.distillation import token_lessons
    from compress.distillation.token_teaching import goal, teach
    from compress.pruning import apply as slimming

    settings = work.settings
    lesson = token_lessons.prepare(teacher, student, description, settings, work.cache)
    with slimming.adapters(student.model, settings.lora_rank, settings.seed):
        facts = teach(student, goal(settings), lesson, settings, work.scratch, work.name, hold=hold)
    slimming.finish_(student.model, hold)
    return {**lesson.facts, **facts, **lesson.data.facts}


def _zeros(settings: Prune, model: Any) -> dict[str, Any]:
    """The zeros among the prunable weights as they are saved."""
    from compress.pruning.weights import prunable, share_of_zeros

    leave = () if settings.method in SHAPES else settings.exclude
    zeros = share_of_zeros(model, prunable(model, leave))
    return {"share_of_zeros": zeros} if zeros or settings.method not in SHAPES else {}


def _reads_rows(settings: Prune) -> bool:
    if settings.method == "layers":
        asked = (settings.layers, settings.decoder_layers, settings.encoder_layers)
        return settings.layer_choice == "importance" and any(isinstance(one, int) for one in asked)
    if settings.method == "structured":
        return settings.importance != "magnitude"
    return settings.method in NEEDS_ROWS


def _reads(settings: Any, task: Mapping[str, Any] | None) -> dict[str, Any]:
    from compress.data import calibration
    from compress.data.tokenized import identity

    found = identity(task) if settings.epochs else {}
    if task is not None and _reads_rows(settings):
        found["calibration"] = calibration.identity(settings.calibration, task)
    return found


def _check(settings: Any, source: Artifact, task: Mapping[str, Any] | None) -> None:
    from compress.data import calibration, loading
    from compress.data.tokenized import check_max_length
    from compress.models import load as models
    from compress.models.families.families import family
    from compress.models.layers import evenly_spaced, layer_count

    refuse_unread(settings, READ)
    if _removes_units(settings) and settings.target_ratio == 1 and settings.latency_budget_ms is None:
        raise CompressError(
            f"target_ratio is 1, so {settings.method} would prune nothing. Set it below 1: 0.5 keeps half."
        )
    if _reads_rows(settings):
        calibration.check(settings.calibration, task)
    if settings.epochs and task is None:
        raise CompressError(
            f"{source.folder} has no task of its own, and recovery training needs one. "
            "Name it, for example `--task sst2 --data DIR`, or leave epochs at 0."
        )
    if settings.epochs:
        check_max_length(settings, task)
    if settings.lora_rank:
        models.needs_peft("Recovery training with LoRA")
    if source.steps and not finished(source.folder, source.fingerprint()):
        return  # a step of the same pipeline will make it
    config = models.config(source.folder)
    family(config)
    if task is not None and (settings.epochs or _reads_rows(settings)):
        described, _ = loading.resolve(dict(task))
        models.check_labels(source.folder, described)
    if "new_tokens" in settings.model_fields_set and not config.is_encoder_decoder:
        raise CompressError(f"'new_tokens' is for encoder-decoders, and {source.folder} is none. Leave it out.")
    if models.generates(source.folder):
        _check_writer(settings, config)
        return
    if settings.given():
        raise CompressError(
            f"{settings.given()[0]} is for generative models, and {source.folder} is a classifier. Leave it out."
        )
    if isinstance(settings.layers, int):
        evenly_spaced(layer_count(config), settings.layers)


def _check_writer(settings: Any, config: Any) -> None:
    from compress.distillation.students import asked_layers
    from compress.models.layers import evenly_spaced, layer_count

    if settings.method in ("kwon", "width") or settings.budget == "latency":
        what = "--budget latency" if settings.budget == "latency" else f"--method {settings.method}"
        raise CompressError(
            f"{what} is for encoders, and this {config.model_type} is a generative model. "
            "Use --method structured with --budget macs, or --method layers."
        )
    if settings.epochs and settings.matches:
        raise CompressError(
            "Hidden states, attention and relations are matched in encoders only. A generative model learns its teacher's "
            "next-token distributions: leave these weights at 0."
        )
    for side, layers in asked_layers(settings, config).items():
        if isinstance(layers, int):
            evenly_spaced(layer_count(config, side), layers)


TECHNIQUE = Technique(
    name="prune",
    settings=Prune,
    run=_run,
    accepts=frozenset({"torch"}),
    gives=lambda settings: ("torch", "fp32"),
    reads=_reads,
    in_task_order=True,
    check=_check,
    example="compress prune runs/teacher --method structured --target-ratio 0.5 --epochs 1 -o runs/pruned",
)
