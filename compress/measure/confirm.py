"""Measures the recommended variant once more, on a split that chose nothing: the recommendation was chosen on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.errors import CompressError, listing
from compress.core.measurement import CONFIRMATION, Measurements
from compress.core.progress import say, warn
from compress.data import loading
from compress.measure import benchmark
from compress.measure.suite import Suite
from compress.report.comparison import compare
from compress.report.recommendations import recommendations
from compress.tasks.task import SPLITS, DescribedTask

CHOOSING = ("train", "holdout", "evaluation")
"""Splits that something is chosen on: weights, checkpoints, and the recommendation."""


def check_split(name: str, task: DescribedTask | Mapping[str, Any] | None) -> None:
    """Whether a recommendation can be confirmed on a split.

    Raises:
        CompressError: something is chosen on it, there is no such split, or its labels are hidden.
    """
    able = [one for one in SPLITS if one not in CHOOSING]
    if name in CHOOSING or name not in SPLITS:
        raise CompressError(f"'{name}' is no split that chose nothing. Confirm on one of these: {listing(able)}.")
    if task is None:
        return
    described = task if isinstance(task, DescribedTask) else loading.described_task(task)
    split = loading.load(described.task, described.data, name)
    if described.task.of_kind.has_references and not split.is_labelled:
        raise CompressError(f"The {name} split of {described.task.name} has no labels, so nothing is confirmed on it.")


def confirm(
    found: Measurements,
    artifacts: Sequence[tuple[str, Artifact]],
    suite: Suite,
    out: Path,
    *,
    split: str,
    cache: Path,
    task: DescribedTask | Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | None = None,
) -> Measurements | None:
    """Measure what is recommended, and its two baselines, on another split; the results go into a folder inside `out`.

    Args:
        found: the measurements on the evaluation split.
        artifacts: (name, artifact), those that were measured.
        suite: what to measure.
        out: the folder of `found`.
        split: a split that chose nothing, see `check_split`.
        cache: where exports and quality results are kept.
        task: the task; the artifacts' own where None.
        budget: the limits that the recommendation was made within.

    Returns:
        The measurements; None where nothing is recommended.

    Raises:
        CompressError: see `compress.measure.benchmark.run`.
    """
    chosen = [one for one in recommendations(compare(found, budget)) if one.recommended]
    if not chosen:
        warn(f"Nothing is recommended, so nothing is confirmed on the {split} split.")
        return None
    best = chosen[0].row.artifact
    same = [(name, one) for name, one in artifacts if one.fingerprint() == best.fingerprint]
    say(f"Confirming {best.name} on the {split} split, which chose nothing.")
    # The slices of the evaluation rows are not what is confirmed.
    alone = suite.model_copy(update={"slices": ()})
    return benchmark.run(same, alone, out / CONFIRMATION, cache=cache, task=task, existing="replace", split=split)
