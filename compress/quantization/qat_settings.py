"""The settings of `compress qat`: what is quantized, and how the model is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from compress.core.headings import NOT_SHOWN, TEACHER
from compress.core.references import ArtifactPath
from compress.core.unread_settings import ReadWhen
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.loss_settings import Weight
from compress.distillation.schedules import Schedule, bounded
from compress.distillation.settings_read import ANOTHER_TEACHER, GENERATION, LOSSES
from compress.models.layer_choice import Layers
from compress.onnx.graph_settings import GraphSettings
from compress.quantization.agreement_settings import AgreementSettings
from compress.quantization.int8_settings import Int8Settings


class Qat(Int8Settings, AgreementSettings, GraphSettings, DistillationSettings):
    """What is quantized, and how the model is trained."""

    HEADING = "Quantization-aware training"

    outlier_layers: Literal["dynamic", "static", "float", "uint16"] = Field(
        "static",
        description="Activations of layers with outliers (the second feed-forward layer): dynamic or static int8, floating "
        "point, or static uint16.",
    )
    step_sizes: Literal["learned", "moving_average"] = Field(
        "learned",
        description="Learned step sizes (LSQ+), or moving averages of range observers that freeze at --freeze-observers-at.",
    )
    freeze_observers_at: float = Field(
        0.3, gt=0, le=1, description="Share of the training after which the range observers are frozen."
    )
    dropout: bool = Field(False, description="Keep the model's dropout on; a training this short needs none.")
    teacher: ArtifactPath | None = Field(
        None, description="Teacher. Default: MODEL itself, unquantized.", json_schema_extra=TEACHER
    )
    decoder_layers: Layers = Field(None, json_schema_extra=NOT_SHOWN)
    encoder_layers: Layers = Field(None, json_schema_extra=NOT_SHOWN)
    alpha: Annotated[Schedule, bounded(ge=0, le=1)] = Field(
        Schedule.of(1.0),
        description="Weight of the distillation loss; the loss on the labels gets the rest. 1..0.5: from 1 to 0.5.",
    )
    hidden_weight: Weight = Field(
        Schedule.of(10.0),
        description="Weight of the hidden-state loss between the quantized and the unquantized model. Of generative models "
        "0 unless given.",
    )
    epochs: float = Field(1.0, gt=0, le=1000, description="Number of training epochs.")
    learning_rate: float = Field(
        5e-6, gt=0, lt=1, description="Peak learning rate of the weights; step sizes have a much higher one."
    )


READ = (
    ReadWhen(("calibration_method", "calibration"), lambda one: one.calibrates, "with activation_dtype uint8"),
    ReadWhen(
        ("freeze_observers_at",), lambda one: one.step_sizes == "moving_average", "with step_sizes moving_average"
    ),
    ANOTHER_TEACHER,
    *LOSSES,
    *GENERATION,
)
