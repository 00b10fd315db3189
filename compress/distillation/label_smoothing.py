"""Finds a generative teacher that was trained with label smoothing, by the probabilities that it gives to what never fits.

Label smoothing makes better models and worse teachers: it removes from the probabilities what tells wrong answers apart (Müller,
Kornblith and Hinton, "When does label smoothing help?", NeurIPS 2019, section 4). With a share E of the target spread over all V
tokens (Szegedy et al. 2016, section 7), each token learns to have E / V at least, so the less likely half of a vocabulary has
E / 2. Without smoothing it has next to nothing. How sure the teacher is beside how often it is right tells less: on texts that
it was not trained on a summarizer with E = 0.1 was surer than right (45 against 40 %), and gave that half 4.5 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import digest
from compress.core.cache import entry
from compress.core.progress import warn
from compress.data.tokens import same_tokenizer
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.students import Student
from compress.distillation.teacher import Teacher
from compress.models.forward import answers
from compress.training.data import TrainingData

ROWS, BATCH = 64, 16
"""Held-out rows that the teacher reads, and at once."""
LEAST = 0.02
"""The share of the targets that was spread, from which a teacher is reported; 0.1 is usual."""


def told(
    teacher: Teacher, data: TrainingData, student: Student, settings: DistillationSettings, cache: Path
) -> bool | None:
    """Whether the teacher seems to have been trained with label smoothing, with a warning if so; None where it was not looked at.

    It is looked at where next-token probabilities are learned from, by a student of the same tokenizer.

    Args:
        data: the rows as the student reads them.
        cache: the folder for content-keyed results.
    """
    if not data.task.is_generative or (settings.alpha.highest == 0 and not settings.on_policy):
        return None
    if not same_tokenizer(teacher.tokenizer, student.tokenizer):
        return None
    found = smoothing(teacher, data, student.tokenizer, cache)
    if found < LEAST:
        return False
    warn(
        f"The teacher gives the less likely half of its vocabulary {50 * found:.1f} % of the probability, and other models "
        "next to none: it was probably trained with label smoothing, or too little. Such teachers' soft targets can do harm."
    )
    return True


def smoothing(teacher: Teacher, data: TrainingData, its_tokenizer: Any, cache: Path) -> float:
    """An estimate of the label smoothing of a generative teacher's training, 0 to 1: twice the probability that the less likely
    half of the vocabulary has at the references' tokens of some held-out rows, the mean. Computed once.

    Args:
        teacher: it is opened only if the estimate is not in the cache.
        data: the task's rows, as the teacher reads them.
        cache: the folder for content-keyed results.
    """
    import torch

    places = np.unique(np.linspace(0, len(data.holdout) - 1, min(ROWS, len(data.holdout))).astype(int)).tolist()
    decided_by = [*teacher.identity, data.holdout_identity, dict(data.facts), places]

    def make(_: Path) -> Mapping[str, Any]:
        model = teacher.model
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model.to(device)
        shares = []
        with torch.inference_mode():
            for start in range(0, len(places), BATCH):
                rows: list[Mapping[str, Any]] = [data.holdout[place] for place in places[start : start + BATCH]]
                batch = {name: one.to(device) for name, one in data.collate(rows, its_tokenizer, {}).items()}
                probabilities = answers(model, batch).values.float().softmax(-1)
                half = probabilities.shape[-1] // 2
                least = probabilities.topk(half, largest=False, sorted=False).values.sum(-1)
                shares.append(least * probabilities.shape[-1] / half)
        return {"smoothing": float(torch.cat(shares).mean())}

    return float(entry(cache / "label-smoothing" / digest(decided_by), make).facts["smoothing"])
