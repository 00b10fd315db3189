"""The distillation settings that `compress distill`, `prune` (recovery training) and `qat` share."""

from __future__ import annotations

from compress.distillation.generation_settings import GenerationSettings
from compress.distillation.loss_settings import LossSettings
from compress.training.train import TrainingSettings


class DistillationSettings(LossSettings, GenerationSettings, TrainingSettings):
    """The settings of every training with a teacher."""
