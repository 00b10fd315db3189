"""A teacher: an artifact, and its model, tokenizer and config, each read when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact, digest
from compress.models import load as models


@dataclass(frozen=True)
class Teacher:
    """A torch artifact that is asked for answers; several who ask share its model."""

    artifact: Artifact

    @property
    def folder(self) -> Path:
        """Of the artifact."""
        return self.artifact.folder

    @property
    def identity(self) -> list[str]:
        """What identifies it in the keys of cached results."""
        return [self.artifact.fingerprint(), digest(self.artifact.files)]

    @cached_property
    def model(self) -> Any:
        """In evaluation mode, without gradients. In fp32 if it is generative, or stored in fp16, which overflows and is slow."""
        import torch

        model = models.load(self.artifact)
        if model.dtype == torch.float16 or models.generates(self.folder):
            model = model.float()
        return model.requires_grad_(False).eval()

    @cached_property
    def tokenizer(self) -> Any:
        """Its own."""
        return models.tokenizer(self.folder)

    @cached_property
    def config(self) -> Any:
        """The model's."""
        return models.config(self.folder)

    def close(self) -> None:
        """Let go of the model, which is opened again if it is asked for once more."""
        self.__dict__.pop("model", None)
