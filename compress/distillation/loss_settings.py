"""How a student is made to learn from its teacher: the settings that all techniques with a teacher share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from compress.core.settings import Settings
from compress.distillation.presets import PRESETS
from compress.distillation.schedules import Schedule, bounded

Weight = Annotated[Schedule, bounded(ge=0)]


class LossSettings(Settings):
    """The losses, their weights, and the layers that they compare."""

    preset: Literal["none", "distilbert", "tinybert", "minilm", "patient"] = Field(
        "none", description="A known recipe, whose settings stand where you give none."
    )
    temperature: Annotated[Schedule, bounded(gt=0)] | None = Field(
        None,
        description="Softens both distributions; above 1 it broadens the targets. 8..2: from 8 to 2. Default: 4, of text 1.",
    )
    alpha: Annotated[Schedule, bounded(ge=0, le=1)] = Field(
        Schedule.of(0.5), description="Weight of the teacher's targets; the labels get the rest. 1..0.5: from 1 to 0.5."
    )
    hidden_weight: Weight = Field(Schedule.of(0.0), description="Weight of the hidden states' loss.")
    hidden_loss: Literal["mse", "cosine", "patient"] = Field("mse", description="How hidden states are compared.")
    attention_weight: Weight = Field(Schedule.of(0.0), description="Weight of the attention maps' loss.")
    attention_loss: Literal["mse", "kl"] = Field("mse", description="Scores (mse) or their softmax (kl).")
    layer_map: str = Field(
        "uniform",
        description="Which layers' hidden states and attention are matched: uniform, last, or STUDENT:TEACHER,... (0:1,1:3).",
    )
    relation_weight: Weight = Field(
        Schedule.of(0.0), description="Weight of the relations of queries, keys and values (MiniLMv2)."
    )
    relation_heads: int | None = Field(None, ge=1, description="Relation heads; the student's own number by default.")
    relation_map: str = Field("last", description="Which layers' relations are matched, as layer_map.")
    embedding_weight: Weight = Field(Schedule.of(0.0), description="Weight of the embeddings' loss.")
    intermediate_epochs: float = Field(
        0.0, ge=0, le=1000, description="Epochs of a first stage, on hidden layers alone; the predictions follow."
    )
    allow_poor_teacher: bool = Field(
        False,
        exclude=True,  # it decides whether there is a result, not which
        description="Go on with a teacher that is shown to be worse than guessing on the held-out rows.",
    )
    teacher_cache_gb: float = Field(
        16.0, ge=0, description="The most disk that the teacher's hidden states may take; else it runs at each step."
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
        """Whether anything but the predictions is matched."""
        weights = (self.hidden_weight, self.attention_weight, self.relation_weight, self.embedding_weight)
        return any(one.highest > 0 for one in weights)
