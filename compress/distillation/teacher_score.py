"""The teacher's score on the held-out rows, reported before training for comparison with the student's.

A teacher whose labels are swapped answers as surely as a good one. It does worse than guessing, and that shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import digest
from compress.core.cache import entry
from compress.core.errors import CompressError
from compress.core.progress import say, warn
from compress.data.collate import references, starts_of
from compress.distillation.counted_rows import CountedRows
from compress.distillation.distillation_settings import DistillationSettings
from compress.distillation.features import FeatureSpec
from compress.distillation.teacher import Teacher
from compress.distillation.teacher_cache import outputs
from compress.metrics.metric import Undefined, title
from compress.models.labels import of_config as labels_of_config
from compress.models.pretrained import raw_config
from compress.tasks.kinds.thresholds import shifted, thresholds_of
from compress.tasks.predictions import one_class
from compress.tasks.task import Task
from compress.training.data import TrainingData
from compress.training.judging import inference_of
from compress.training.objectives import ModelScore, Scored


def of_classifier(
    teacher: Teacher,
    data: TrainingData,
    rows: Any,
    its_tokenizer: Any,
    settings: DistillationSettings,
    cache: Path,
    *,
    who: str = "teacher",
) -> dict[str, Any]:
    """Report a classifier's score on the held-out rows; its outputs for them are cached with those for training rows.

    Args:
        teacher: a classifier with its outputs in the task's order.
        data: the task's rows.
        rows: the held-out ones as the teacher reads them.
        its_tokenizer: of the teacher.
        settings: `precision`, `max_length` and `allow_poor_teacher`.
        cache: the folder for content-keyed results.
        who: for the message.

    Returns:
        The step's facts: metric, value, rows, and for a classification what guessing gives.

    Raises:
        CompressError: it is shown to be worse than guessing, and may not be.
    """
    identity = {"holdout": data.holdout_identity, "length": settings.max_length}
    place = cache / "held-out"
    found = outputs(
        teacher,
        CountedRows(rows),
        its_tokenizer,
        features=FeatureSpec(),
        precision=settings.precision,
        identity=identity,
        cache=place,
    )
    logits, labels = np.asarray(found.logits, np.float32), references(data.holdout)
    if data.task.law.several:  # as it is served
        names = labels_of_config(raw_config(teacher.folder), teacher.folder)
        logits = shifted(logits, thresholds_of(teacher.artifact.facts, names))
    assert not isinstance(data.score, ModelScore)
    told = reported(who, data.score(logits, labels, starts_of(data.holdout)), len(labels))
    warn_of_one_class(who, logits, labels, data.task)
    reason = data.task.law.worse_than_guessing(logits, labels)
    if reason:
        _refuse_or_warn(teacher.folder, reason, len(labels), allowed=settings.allow_poor_teacher)
    return {**told, **({"worse_than_guessing": reason} if reason else {})}


def of_generator(teacher: Teacher, data: TrainingData, cache: Path, *, who: str = "teacher") -> dict[str, Any]:
    """Report the score of a generative model on the held-out rows, computed once; there is no baseline of guessing.

    Args:
        teacher: it is opened only if its score is not in the cache.
        data: the task's rows as the teacher reads them.
        cache: the folder for content-keyed results.
        who: for the message.
    """
    import torch

    assert isinstance(data.score, ModelScore)
    score = data.score
    task = {**data.task.to_json(), "files": None}
    decided_by = [*teacher.identity, data.holdout_identity, task, dict(data.facts), score.rows]

    def make(_: Path) -> Mapping[str, Any]:
        model = teacher.model
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        with torch.inference_mode():
            metric, value = score.of(model)
        return {"metric": metric, "absent" if isinstance(value, Undefined) else "value": _plain(value)}

    kept = entry(cache / "teacher-score" / digest(decided_by), make).facts
    value = kept["value"] if "value" in kept else Undefined(kept["absent"])
    return reported(who, (kept["metric"], value), score.rows)


def before_training(model: Any, data: TrainingData, its_tokenizer: Any) -> dict[str, Any]:
    """Report the score of an already trained classifier on the held-out rows."""
    import torch

    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    logits = inference_of(model, data.holdout, data.holdout_texts, its_tokenizer, data.task).outputs["logits"]
    labels = references(data.holdout)
    assert not isinstance(data.score, ModelScore)
    told = reported("before training", data.score(logits, labels, starts_of(data.holdout)), len(labels))
    warn_of_one_class("before training", logits, labels, data.task)
    reason = data.task.law.worse_than_guessing(logits, labels)
    if reason:
        warn(f"The model has {reason} on the held-out rows before training: its labels are probably swapped.")
    return told


def reported(who: str, scored: Scored, rows: int, which: str = "held-out rows") -> dict[str, Any]:
    """Report a score; returns its facts."""
    metric, value = scored
    if isinstance(value, Undefined):
        say(f"{who}: {title(metric)} does not exist on {rows:,} {which}: {value}")
        return {"metric": metric, "absent": str(value), "rows": rows}
    say(f"{who}: {title(metric)} {value:.4f} on {rows:,} {which}.")
    return {"metric": metric, "value": round(float(value), 6), "rows": rows}


def warn_of_one_class(who: str, logits: NDArray[Any], labels: NDArray[Any], task: Task) -> None:
    """Warn where all answers are one class although the labels are several."""
    for note in one_class(task.law.decide(logits), labels.tolist(), task):
        warn(f"{who}: {note}.")


def _refuse_or_warn(folder: Path, reason: str, rows: int, *, allowed: bool) -> None:
    if allowed:
        warn(f"The teacher {folder} has {reason} on {rows:,} held-out rows.")
        return
    raise CompressError(
        f"The teacher {folder} has {reason} on {rows:,} held-out rows: its labels are probably swapped, or it was trained too "
        "little. Correct `id2label` in its config.json or `labels` in the task, train it longer, or continue with "
        "--allow-poor-teacher (in YAML `allow_poor_teacher: true`)."
    )


def _plain(value: float | Undefined) -> float | str:
    return str(value) if isinstance(value, Undefined) else float(value)
