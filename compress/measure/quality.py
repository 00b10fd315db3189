"""Quality of an artifact: every metric on the whole evaluation split, and agreement with the root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.artifact import digest
from compress.core.labels import NO_LABEL
from compress.core.measurement import Measurement
from compress.metrics import metric_intervals
from compress.metrics.metric import Metric, Undefined, are_numbers
from compress.models import labels
from compress.models.pretrained import raw_config
from compress.tasks.task import Task


def cached(cache: Path, identity: Mapping[str, Any]) -> Path:
    """The cache's entry for what a model said, by its identity (fingerprint, split, runtime and its version, ...)."""
    return cache / "quality" / digest(identity)


def of_task(predicted: Any, folder: Path, task: Task) -> Any:
    """Converts class ids from the model's output order to the task's, by label name; without named labels all is unchanged.

    Args:
        predicted: class ids, [examples], or an array of them per example; for multi-label 0 or 1, [examples, labels].

    Raises:
        CompressError: the names tell nothing, see `compress.models.labels`.
    """
    if not task.label_names:
        return predicted
    order = _order(folder, task)
    if task.law.several:  # labels each by itself: their columns
        return predicted[:, list(order)]
    ids = np.argsort(order)
    if isinstance(predicted, np.ndarray):
        return ids[predicted.astype(np.int64)].astype(np.float64)
    return [np.where(one == NO_LABEL, NO_LABEL, ids[np.maximum(one, 0)]) for one in predicted]  # a cut word has no tag


def in_order(outcomes: NDArray[Any], folder: Path, task: Task) -> NDArray[Any]:
    """A model's outcomes, [examples, outcomes], in the order of the task's labels; `CompressError` as of `of_task`."""
    return outcomes[:, list(_order(folder, task))] if task.label_names else outcomes


def _order(folder: Path, task: Task) -> tuple[int, ...]:
    """For each label of the task, which output of the model it is."""
    names = labels.of_config(raw_config(folder), folder)
    order = labels.order(names, task) if len(names) == task.num_labels else None
    if order is None:
        raise labels.refused(folder, names, task)
    return order


def quality(
    fingerprint: str,
    predicted: Sequence[Any] | NDArray[np.float64],
    references: Sequence[Any],
    metrics: Sequence[Metric],
    condition: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> list[Measurement]:
    """One measurement for each metric, with its value for each example where it has one, and an interval.

    Args:
        fingerprint: the artifact's.
        predicted: what was predicted of each example: a class id or a score, [examples]; or an array of tag ids, or of labels.
        references: the same that is right, in the same order; empty where the labels are hidden.
        metrics: the task's.
        condition: runtime, split, longest input.
        notes: what a reader must know of the rows.
    """
    found = []
    for metric in metrics:
        if len(references) == 0:
            found.append(absent(fingerprint, metric, condition, "the labels of this split are hidden"))
            continue
        try:
            if are_numbers(predicted):
                found.append(_of_numbers(fingerprint, metric, predicted, references, condition, notes))
            else:
                rows = metric.statistics(predicted, references)
                found.append(of_rows(fingerprint, metric, rows, condition, notes))
        except Undefined as error:
            found.append(absent(fingerprint, metric, condition, str(error)))
    return found


def _of_numbers(
    fingerprint: str,
    metric: Metric,
    predicted: Any,
    references: Any,
    condition: Mapping[str, Any],
    notes: tuple[str, ...],
) -> Measurement:
    right = np.asarray(references, dtype=np.float64)
    value = metric.score(predicted, right)
    each = metric.per_example(metric.statistics(predicted, right)) if metric.is_mean else None
    return Measurement(
        fingerprint,
        metric.name,
        float(value),
        metric.measured_unit,
        metric.higher_is_better,
        condition,
        samples=len(right),
        interval=_finite(metric_intervals.of_values(metric, predicted, right)),
        per_example=tuple(float(score) for score in each) if each is not None else (),
        predictions=tuple(float(one) for one in predicted),
        notes=notes,
    )


def of_rows(
    fingerprint: str,
    metric: Metric,
    rows: NDArray[np.float64],
    condition: Mapping[str, Any],
    notes: tuple[str, ...] = (),
    *,
    has_interval: bool = True,
) -> Measurement:
    """One metric of examples whose statistics are at hand, with its signature among the notes and an interval.

    Args:
        fingerprint: the artifact's.
        metric: one of the task's.
        rows: its statistics, [examples, columns].
        condition: runtime, split, longest input, how it was decoded.
        notes: what a reader must know of the rows.
        has_interval: whether the rows are examples enough for one.
    """
    try:
        value = metric.score_of(rows)
    except Undefined as error:
        return absent(fingerprint, metric, condition, str(error))
    if not np.isfinite(value):
        return absent(
            fingerprint, metric, condition, f"it is {value}: a token of the texts was impossible to the model"
        )
    each = metric.per_example(rows)
    return Measurement(
        fingerprint,
        metric.name,
        float(value),
        metric.measured_unit,
        metric.higher_is_better,
        condition,
        samples=len(rows),
        interval=_finite(metric_intervals.of_rows(metric, rows)) if has_interval else None,
        per_example=tuple(float(one) for one in each) if each is not None else (),
        statistics=tuple(tuple(float(one) for one in row) for row in rows),
        notes=(*([f"signature {told}"] if (told := metric.signature()) else []), *notes),
    )


def summed(rows: NDArray[np.float64], groups: Sequence[int] | None) -> NDArray[np.float64]:
    """Rows of statistics [rows, columns] added up by the number of their group, in order; as they are for None."""
    if groups is None:
        return rows
    _, places = np.unique(np.asarray(groups), return_inverse=True)
    found = np.zeros((int(places.max()) + 1, rows.shape[1]))
    np.add.at(found, places, rows)
    return found


def absent(fingerprint: str, metric: Metric, condition: Mapping[str, Any], reason: str) -> Measurement:
    """A metric that has no value here."""
    unit = metric.measured_unit
    return Measurement(fingerprint, metric.name, None, unit, metric.higher_is_better, condition, absent=reason)


def _finite(interval: tuple[float, float]) -> tuple[float, float] | None:
    return interval if np.isfinite(interval).all() else None
