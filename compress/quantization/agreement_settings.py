"""Whether a result in integers is kept although it answers otherwise than its fp32 source (`compress.quantization.agreement`)."""

from __future__ import annotations

from pydantic import Field

from compress.core.settings import Settings


class AgreementSettings(Settings):
    """What happens where a model in integers does not agree with its source."""

    allow_disagreement: bool = Field(
        False,
        exclude=True,  # it decides whether a result is kept, not what it is
        description="Keep a result in integers although it answers otherwise than fp32 on more than one row in ten.",
    )
