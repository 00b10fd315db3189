"""The settings of `compress sensitivity`: what is quantized, one at a time, and on how many rows it is judged."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from compress.core.artifact import Artifact
from compress.core.errors import CompressError
from compress.core.headings import DATA
from compress.models.load import kind_of
from compress.quantization.int8_settings import Int8Settings
from compress.quantization.quantize_settings import Quantize


class SensitivitySettings(Int8Settings):
    """What is quantized, one at a time."""

    HEADING = "Sensitivity"

    mode: Literal["dynamic", "static"] = Field(
        "dynamic", description="Dynamic or static int8, as of `compress quantize`."
    )
    by: Literal["layer", "group"] = Field(
        "layer",
        description="What is quantized at a time: a layer, or a group of layers (attention, attention products, "
        "feed-forward, embeddings, head).",
    )
    held_out_rows: int = Field(
        512, ge=8, description="Maximum number of held-out rows of each trial.", json_schema_extra=DATA
    )

    @model_validator(mode="after")
    def _as_quantize_takes_them(self) -> SensitivitySettings:
        self.quantize()
        return self

    def quantize(self) -> Quantize:
        """The settings of `compress quantize` that quantize everything in the same way.

        Raises:
            ValueError: they do not fit each other.
        """
        given: dict[str, Any] = {name: getattr(self, name) for name in Int8Settings.model_fields}
        chosen = {name: value for name, value in given.items() if name in self.model_fields_set}
        return Quantize.model_validate({"precision": "int8", "mode": self.mode, **chosen})


def refuse_generative(source: Artifact, what: str) -> None:
    """Raises a CompressError for a model that generates text: each trial would have to generate."""
    kind = kind_of(source.folder)
    if kind is not None and kind.generates:
        raise CompressError(
            f"{what} is for models that predict classes, labels or scores, and {source.folder} generates text. Give its encoder "
            "and decoder precisions of their own (--encoder, --decoder), or leave layers out with --exclude."
        )
