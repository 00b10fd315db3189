"""Finds a generative teacher that is far less sure than it is right, as one is that was trained with label smoothing.

Label smoothing makes better models and worse teachers: it removes from the probabilities what tells wrong answers apart (Müller,
Kornblith and Hinton, "When does label smoothing help?", NeurIPS 2019, section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import Artifact, digest
from compress.core.cache import entry
from compress.core.progress import warn
from compress.data.tokens import tokenizer_identity
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.students import Student
from compress.models import load as models
from compress.models.forward import answers
from compress.training.data import TrainingData

ROWS, BATCH = 64, 16
"""Held-out rows that the teacher reads, and at once."""
LEAST = 0.8
"""Of the share of tokens that it has right, which the mean probability of its most likely token must be at least. A calibrated
model has 1; a teacher with label smoothing had 0.6, one without it 1.0 (docs/distillation.md)."""


@dataclass(frozen=True)
class Confidence:
    """How sure a teacher is of the next token, and how often it is right."""

    probability: float
    """Of its most likely token, the mean over tokens, 0 to 1."""
    right: float
    """The share of tokens where that is the reference's, 0 to 1."""
    rows: int

    @property
    def is_low(self) -> bool:
        """Whether it is far less sure than it is right."""
        return self.probability < LEAST * self.right


def told(
    teacher: Artifact, data: TrainingData, student: Student, settings: DistillationSettings, cache: Path
) -> bool | None:
    """Whether the teacher is far less sure than it is right, with a warning if so; None where it was not looked at.

    It is looked at where next-token probabilities are learned from, by a student of the same tokenizer.

    Args:
        data: the rows as the student reads them.
        cache: the folder for content-keyed results.
    """
    if not data.task.is_generative or (settings.alpha.highest == 0 and not settings.on_policy):
        return None
    if tokenizer_identity(models.tokenizer(teacher.folder)) != tokenizer_identity(student.tokenizer):
        return None
    found = confidence(teacher, data, student.tokenizer, cache)
    if found.is_low:
        warn(
            f"The teacher is less sure than it is right: on {found.rows} held-out rows its most likely token has "
            f"{100 * found.probability:.0f} % of the probability on average, and is the right one in {100 * found.right:.0f} %. "
            "So are teachers that were trained with label smoothing, and their soft targets can do harm."
        )
    return found.is_low


def confidence(teacher: Artifact, data: TrainingData, its_tokenizer: Any, cache: Path) -> Confidence:
    """How sure a generative teacher is of the references of some held-out rows, token by token; computed once.

    Args:
        teacher: a torch artifact.
        data: the task's rows, as the teacher reads them.
        cache: the folder for content-keyed results.
    """
    import torch

    places = np.unique(np.linspace(0, len(data.holdout) - 1, min(ROWS, len(data.holdout))).astype(int)).tolist()
    decided_by = [teacher.fingerprint(), digest(teacher.files), data.holdout_identity, dict(data.facts), places]

    def make(_: Path) -> Mapping[str, Any]:
        model = models.load(teacher).float().eval()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model.to(device)
        sure, right = [], []
        with torch.inference_mode():
            for start in range(0, len(places), BATCH):
                rows: list[Mapping[str, Any]] = [data.holdout[place] for place in places[start : start + BATCH]]
                batch = {name: one.to(device) for name, one in data.collate(rows, its_tokenizer, {}).items()}
                found = answers(model, batch)
                most = found.values.float().softmax(-1).max(-1)
                sure.append(most.values)
                right.append((most.indices == found.targets).float())
        return {"probability": float(torch.cat(sure).mean()), "right": float(torch.cat(right).mean())}

    facts = entry(cache / "teacher-confidence" / digest(decided_by), make).facts
    return Confidence(facts["probability"], facts["right"], len(places))
