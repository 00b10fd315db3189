"""The setting of `export`, `quantize` and `qat` that says how an encoder's graph is written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from compress.core.headings import OWN
from compress.core.settings import Settings


def _number(given: Any) -> Any:
    """The command line gives a string."""
    return int(given) if isinstance(given, str) and given.isdigit() else given


class GraphSettings(Settings):
    """The form of an encoder's ONNX graph."""

    opset: Annotated[Literal[20, 24] | None, BeforeValidator(_number)] = Field(
        None,
        exclude_if=lambda value: value is None,  # a fingerprint without it is what it was before there was one
        description="ONNX opset of an encoder's graph. 24: attention is ONNX's own operator, which needs padding on the right. "
        "20: attention is ONNX Runtime's operator. Default: 24 where model and tokenizer allow it.",
        json_schema_extra=OWN,
    )
