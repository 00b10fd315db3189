"""The metrics of a task: its own, and those that can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compress.core import catalogue
from compress.core.errors import CompressError, guess, listing, shown
from compress.metrics.metric import Metric, find
from compress.tasks import kinds
from compress.tasks.task import Task


def metrics(task: Task) -> tuple[Metric, ...]:
    """The task's metrics, the first of which decides, each with what it must know of the task."""
    return tuple(find(name).for_task(task) for name in task.metrics)


def chosen(task: Task, value: Any) -> tuple[str, ...]:
    """The names of metrics that somebody sets for a task.

    Args:
        task: determines which metrics fit: its kind, its number of labels and its splits.
        value: a name, or a list of names, as it was read.

    Raises:
        CompressError: there is no such metric, or it is not one for this task.
    """
    names = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if not names:
        raise CompressError(f"Task '{task.name}': `metric` is empty. Known: {listing(_for_kind(task.kind))}.")
    for name in names:
        _check(task, name)
    if len(set(names)) < len(names):  # all are names by now: an unknown value may take hours to write out
        raise CompressError(f"Task '{task.name}': `metric` has a duplicate: {', '.join(names)}.")
    return names


def _check(task: Task, name: Any) -> None:
    there = catalogue.names("metrics")
    if name not in there:
        fitting = _for_kind(task.kind)
        raise CompressError(
            f"Unknown metric {shown(name)} in task '{task.name}'.{guess(name, there)} Known: {listing(fitting)}."
        )
    metric = find(name)
    if not _measures(metric, task.kind):
        raise CompressError(
            f"Metric '{name}' in task '{task.name}' is for {_in_words(*metric.kinds)}, not for {_in_words(task.kind)}. "
            f"Use one of {listing(_for_kind(task.kind))}."
        )
    if metric.split not in ("evaluation", *task.files):
        raise CompressError(f"Metric '{name}' is for mnli, which has the split {metric.split}; '{task.name}' has none.")
    if metric.labels not in (None, len(task.label_names)):
        any_number = [one for one in _for_kind(task.kind) if find(one).labels is None]
        raise CompressError(
            f"Metric '{name}' is for {metric.labels} labels, and task '{task.name}' has {len(task.label_names)}. "
            f"Use one of {', '.join(any_number)}."
        )


def _for_kind(kind: str) -> list[str]:
    """The metrics of a kind of task, on the evaluation split."""
    found = (find(name) for name in catalogue.names("metrics"))
    return [one.name for one in found if _measures(one, kind) and one.split == "evaluation"]


def _measures(metric: Metric, kind: str) -> bool:
    """Whether a metric names a value of `Task.kind`, or the kind that it is of."""
    return kind in metric.kinds or kinds.by_task(kind).name in metric.kinds


def _in_words(*names: str) -> str:
    """`summarization or translation`."""
    return " or ".join(name.replace("_", " ") for name in names)
