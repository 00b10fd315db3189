"""How a student that writes text is made, and how it learns from its teacher: the settings that classifiers do not have."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compress.core.settings import Settings
from compress.models.layer_choice import Layers


class GenerationSettings(Settings):
    """Of models that write text (T5, BART, GPT-2, Llama)."""

    decoder_layers: Layers = Field(
        None, description="Text: how many of the teacher's decoder layers the student keeps (2), or which (0,2)."
    )
    encoder_layers: Layers = Field(None, description="Text: the same of its encoder's layers.")
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = Field(
        "forward_kl", description="Text: how next tokens' distributions are compared; jsd: generalized Jensen-Shannon."
    )
    jsd_beta: float = Field(0.5, gt=0, lt=1, description="Text: the teacher's share of the mixture in jsd.")
    top_k: int = Field(
        64,
        ge=0,
        description="Text: the teacher's likeliest tokens that are kept on disk, the others as one; 0: it runs at each step.",
    )
    on_policy: float = Field(
        0.0, ge=0, le=1, description="Text: share of the batches that the student writes and the teacher scores (GKD)."
    )
    pseudo_labels: float = Field(
        0.0, ge=0, le=1, description="Text: share of the rows whose reference is what the teacher writes."
    )
    beams: int = Field(4, ge=1, le=64, description="Text: beams with which the teacher writes pseudo-labels.")

    def given(self) -> tuple[str, ...]:
        """Those of these settings that are not as by default."""
        own = GenerationSettings.model_fields
        return tuple(name for name in own if getattr(self, name) != own[name].default)
