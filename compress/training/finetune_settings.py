"""The settings of `compress finetune`: how the model is trained."""

from __future__ import annotations

from pydantic import Field

from compress.core.headings import TRAINING
from compress.core.unread_settings import ReadWhen
from compress.training.train import TrainingSettings


class Finetune(TrainingSettings):
    """How the model is trained."""

    HEADING = "Model"

    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Label smoothing factor (generative models only).",
        json_schema_extra=TRAINING,
    )
    freeze_encoder_epochs: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Epochs before the others in which the encoder is frozen and only the decoder is trained. The encoder's "
        "outputs are cached on disk.",
        json_schema_extra=TRAINING,
    )
    freeze_encoder_learning_rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Peak learning rate while the encoder is frozen. Default: --learning-rate.",
        json_schema_extra=TRAINING,
    )
    encoder_lr_multiplier: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Multiplier of the learning rate for the encoder of an encoder-decoder.",
        json_schema_extra=TRAINING,
    )
    decoder_layers: int | None = Field(
        None,
        ge=1,
        description="Decoder layers of a seq2seq model that is initialized from an encoder. Default: half the encoder's.",
    )
    vocab_size: int | None = Field(
        None,
        ge=259,
        description="Vocabulary size of a model trained from scratch (MODEL is a config). Default: the config's.",
    )


READ = (
    ReadWhen(
        ("freeze_encoder_learning_rate",),
        lambda one: one.freeze_encoder_epochs > 0,
        "with freeze_encoder_epochs above 0",
    ),
)
