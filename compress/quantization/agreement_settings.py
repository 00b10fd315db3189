"""Whether a quantized model is kept although its predictions differ from fp32 (`compress.quantization.agreement`)."""

from __future__ import annotations

from pydantic import Field

from compress.core.headings import ADVANCED
from compress.core.settings import Settings


class AgreementSettings(Settings):
    """What happens if a quantized model does not agree with its source."""

    allow_disagreement: bool = Field(
        False,
        exclude=True,  # it decides whether a result is kept, not what it is
        description="Keep a quantized model whose predictions differ from fp32 on more than 10 % of the rows.",
        json_schema_extra=ADVANCED,
    )
