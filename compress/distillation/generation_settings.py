"""The distillation settings of generative students."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compress.core.headings import ADVANCED, OWN
from compress.core.settings import Settings
from compress.models.layer_choice import Layers


class GenerationSettings(Settings):
    """The settings of generative students (T5, BART, Llama, ...)."""

    HEADING = "Generation (generative models)"

    decoder_layers: Layers = Field(
        None,
        description="Decoder layers to keep (generative models): how many (2), or which (0,2).",
        json_schema_extra=OWN,
    )
    encoder_layers: Layers = Field(
        None,
        description="Encoder layers to keep (encoder-decoders): how many (2), or which (0,2).",
        json_schema_extra=OWN,
    )
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = Field(
        "forward_kl",
        description="Divergence between the next-token distributions of student and teacher; jsd: generalized Jensen-Shannon.",
    )
    jsd_beta: float = Field(
        0.5, gt=0, lt=1, description="Weight of the teacher in the mixture of jsd.", json_schema_extra=ADVANCED
    )
    top_k: int = Field(
        64,
        ge=0,
        description="Number of the teacher's most likely tokens that are cached on disk; the others are cached as one. 0: "
        "online teacher.",
        json_schema_extra=ADVANCED,
    )
    on_policy: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the batches with student-generated outputs, scored by the teacher (on-policy, GKD).",
    )
    sequence_kd: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the rows whose reference is replaced by the teacher's output (sequence-level KD, Kim & Rush).",
    )
    beams: int = Field(4, ge=1, le=64, description="Beams of the teacher's beam search for --sequence-kd.")

    def given(self) -> tuple[str, ...]:
        """The settings that differ from their defaults."""
        own = GenerationSettings.model_fields
        return tuple(name for name in own if getattr(self, name) != own[name].default)
