"""The loss settings that all techniques with a teacher share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from compress.core.headings import ADVANCED
from compress.core.settings import Settings
from compress.distillation.presets import PRESETS
from compress.distillation.schedules import Schedule, bounded

Weight = Annotated[Schedule, bounded(ge=0)]


class LossSettings(Settings):
    """The losses, their weights, and the layers that they compare."""

    HEADING = "Teacher and loss"

    preset: Literal["none", "distilbert", "tinybert", "minilm", "patient"] = Field(
        "none", description="Published recipe that sets the loss options you do not give."
    )
    temperature: Annotated[Schedule, bounded(gt=0)] | None = Field(
        None,
        description="Temperature of the softmax of student and teacher. 8..2: from 8 to 2. Default: 4; 1 for generative "
        "models.",
    )
    alpha: Annotated[Schedule, bounded(ge=0, le=1)] = Field(
        Schedule.of(0.5),
        description="Weight of the distillation loss; the loss on the labels gets the rest. 1..0.5: from 1 to 0.5.",
    )
    hidden_weight: Weight = Field(Schedule.of(0.0), description="Weight of the hidden-state loss.")
    hidden_loss: Literal["mse", "cosine", "patient"] = Field("mse", description="Loss between hidden states.")
    attention_weight: Weight = Field(Schedule.of(0.0), description="Weight of the attention loss.")
    attention_loss: Literal["mse", "kl"] = Field(
        "mse",
        description="Attention loss: MSE of the attention scores, or KL divergence of the attention probabilities.",
    )
    layer_map: str = Field(
        "uniform",
        description="Which teacher layer each student layer is matched to, for hidden states and attention: uniform, last, or "
        "STUDENT:TEACHER,... (0:1,1:3; of an encoder-decoder encoder.0:1,decoder.0:1).",
        json_schema_extra=ADVANCED,
    )
    relation_weight: Weight = Field(
        Schedule.of(0.0), description="Weight of self-attention relation distillation (MiniLMv2)."
    )
    relation_heads: int | None = Field(
        None,
        ge=1,
        description="Number of relation heads. Default: the student's heads of keys.",
        json_schema_extra=ADVANCED,
    )
    relation_map: str = Field(
        "last", description="Layers matched for relations, written as --layer-map.", json_schema_extra=ADVANCED
    )
    embedding_weight: Weight = Field(Schedule.of(0.0), description="Weight of the embedding loss.")
    intermediate_epochs: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Epochs of a first stage that only matches intermediate layers (TinyBERT).",
        json_schema_extra=ADVANCED,
    )
    allow_poor_teacher: bool = Field(
        False,
        exclude=True,  # it decides whether there is a result, not which
        description="Continue with a teacher that is worse than guessing on the validation split.",
        json_schema_extra=ADVANCED,
    )
    teacher_cache_gb: float = Field(
        16.0,
        ge=0,
        description="Maximum disk space in GB for the teacher's cached outputs; beyond it the teacher runs online.",
        json_schema_extra=ADVANCED,
    )

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("preset"), str) and values["preset"] in PRESETS:
            return {**PRESETS[values["preset"]], **values}
        return values

    @property
    def set_by_preset(self) -> frozenset[str]:
        """The settings that the preset chooses."""
        return frozenset(PRESETS.get(self.preset, {}))

    @model_validator(mode="after")
    def _stage_has_something_to_match(self) -> LossSettings:
        if self.intermediate_epochs and not self.matches:
            raise ValueError(
                "a first stage ('intermediate_epochs') needs something to match: hidden_weight, attention_weight, "
                "relation_weight or embedding_weight"
            )
        return self

    @property
    def matches(self) -> bool:
        """Whether anything besides the predictions is matched."""
        weights = (self.hidden_weight, self.attention_weight, self.relation_weight, self.embedding_weight)
        return any(one.highest > 0 for one in weights)
