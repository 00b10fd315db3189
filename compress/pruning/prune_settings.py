"""The settings of `compress prune`: the method, how units or weights are chosen, and recovery training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from compress.core.headings import ADVANCED, DATA, TEACHER, TRAINING, under
from compress.core.references import ArtifactPath
from compress.core.unread_settings import ReadWhen
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.generation_settings import GenerationSettings
from compress.distillation.loss_settings import LossSettings
from compress.distillation.settings_read import ANOTHER_TEACHER, GENERATION, LOSSES
from compress.models.layer_choice import Layers
from compress.training.train import TrainingSettings

SHAPES = ("structured", "kwon", "layers", "width", "vocabulary")
"""Methods that make matrices smaller; the others leave zeros in them."""
NEEDS_ROWS = ("structured", "kwon", "width", "wanda", "sparsegpt")
"""Methods that measure importance on rows."""
STRUCTURED = under("Structured pruning")
LAYERS = under("Layer and width pruning")
VOCABULARY = under("Vocabulary pruning")
UNSTRUCTURED = under("Unstructured pruning")


class Prune(DistillationSettings):
    """What is pruned, how it is chosen, and how the model recovers."""

    HEADING = "Pruning"

    method: Literal[
        "structured", "kwon", "layers", "width", "vocabulary", "magnitude", "movement", "wanda", "sparsegpt"
    ] = Field("structured", description="Pruning method; see above.")
    target_ratio: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the model's MACs, parameters or latency (--budget) to keep.",
        json_schema_extra=STRUCTURED,
    )
    budget: Literal["macs", "parameters", "latency"] = Field(
        "macs",
        description="What the ratio counts. latency is measured on this machine with ONNX Runtime: of a classifier, one batch of "
        "texts; of a generative model, reading --length tokens and writing --new-tokens with a cache.",
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
        description="Number of generated tokens at which the MACs of an encoder-decoder, and the latency of any generative "
        "model, are counted.",
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
    heads: int | None = Field(
        None,
        ge=1,
        exclude_if=lambda value: value is None,  # a fingerprint without it is what it was before there was one
        description="Attention heads to keep in each layer (method width).",
        json_schema_extra=LAYERS,
    )
    intermediate_size: int | None = Field(
        None,
        ge=1,
        exclude_if=lambda value: value is None,
        description="Feed-forward size to keep (method width).",
        json_schema_extra=LAYERS,
    )
    min_count: int = Field(
        1,
        ge=1,
        description="Keep the tokens that occur at least this often in the training rows (and --corpus).",
        json_schema_extra=VOCABULARY,
        exclude_if=lambda value: value == 1,  # a fingerprint without it is what it was before there was one
    )
    vocab_size: int | None = Field(
        None,
        ge=1,
        description="Keep at most this many tokens: the most frequent ones. Default: no limit.",
        json_schema_extra=VOCABULARY,
        exclude_if=lambda value: value is None,
    )
    corpus: str | None = Field(
        None,
        description="File or folder of further texts whose tokens are counted: a text per line, or the task's columns.",
        json_schema_extra=VOCABULARY,
        exclude_if=lambda value: value is None,
    )
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
        if (self.method == "width") != any(one is not None for one in self.widths.values()):
            raise ValueError(
                "'hidden_size', 'heads' and 'intermediate_size' are the sizes to keep: they go with the method 'width' and no "
                "other"
            )
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
        """Whether the sparsity grows during training."""
        return self.method == "magnitude" and self.gradual and self.epochs > 0 and self.pattern is None

    @property
    def widths(self) -> dict[str, int | None]:
        """The sizes to keep, as `compress.models.narrowing.narrow` takes them."""
        return {"hidden_size": self.hidden_size, "heads": self.heads, "intermediate_size": self.intermediate_size}

    @property
    def amount(self) -> float | tuple[int, int]:
        """The sparsity of single weights: a share, or (n, m)."""
        if self.pattern is None:
            return self.sparsity
        n, m = self.pattern.split(":")
        return int(n), int(m)


def removes_units(settings: Prune) -> bool:
    """Whether heads and neurons are removed within a budget."""
    return settings.method in ("structured", "kwon")


def _recovers(settings: Prune) -> bool:
    return bool(settings.epochs > 0)


READ = (
    ReadWhen(("budget", "units", "length", "new_tokens"), removes_units, "with method structured or kwon"),
    ReadWhen(
        ("target_ratio",),
        lambda one: removes_units(one) and one.latency_budget_ms is None,
        "with method structured or kwon, without 'latency_budget_ms'",
    ),
    ReadWhen(
        ("batch",),
        lambda one: removes_units(one) and one.budget == "latency",
        "with budget latency",
    ),
    ReadWhen(("importance", "allocation"), lambda one: one.method == "structured", "with method structured"),
    ReadWhen(
        ("layer_choice",),
        lambda one: any(isinstance(some, int) for some in (one.layers, one.decoder_layers, one.encoder_layers)),
        "with method layers, where 'layers' is a number (3), not indices (0,2,5)",
    ),
    ReadWhen(("min_count", "vocab_size", "corpus"), lambda one: one.method == "vocabulary", "with method vocabulary"),
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
        lambda one: reads_rows(one),
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


def reads_rows(settings: Prune) -> bool:
    """Whether calibration rows are read, for importance."""
    if settings.method == "layers":
        asked = (settings.layers, settings.decoder_layers, settings.encoder_layers)
        return settings.layer_choice == "importance" and any(isinstance(one, int) for one in asked)
    if settings.method == "structured":
        return settings.importance != "magnitude"
    return settings.method in NEEDS_ROWS
