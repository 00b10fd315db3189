"""A pipeline's `budget:`: how much quality may be lost, and how fast and small a variant must be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from compress.core.artifact import write_whole
from compress.core.errors import CompressError, guess, listing

KEPT = "budget.json"
"""Beside a pipeline's measurements: its budget, so that a report made of them later judges by the same limits."""


@dataclass(frozen=True)
class Budget:
    """The limits, each of them optional. A variant meets the budget when it keeps all that are given."""

    max_drop: float | None = None
    """The most points (of 100) it may lose against the uncompressed model; of a perplexity, by how much it may rise."""
    metric: str | None = None
    """The metric the drop is read on; the task's first one by default."""
    min_speedup: float | None = None
    """How many times as fast as the fp32 ONNX export it must be: at batch 1 and real lengths where measured."""
    max_mb: float | None = None
    """The most it may take on disk, in MB of 1,000,000 bytes."""

    @staticmethod
    def read(raw: Mapping[str, Any], metrics: Sequence[str] = ()) -> Budget:
        """Check a pipeline's `budget:`.

        Args:
            raw: name -> limit.
            metrics: the task's metrics, where they are known.

        Raises:
            CompressError: an unknown name, a limit that is no number or out of range, a metric the task has not.
        """
        known = [one.name for one in fields(Budget)]
        for name, value in raw.items():
            if name not in known:
                raise CompressError(
                    f"Unknown limit '{name}' in the budget.{guess(str(name), known)} There are: {listing(known)}."
                )
            if name != "metric" and (isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0):
                raise CompressError(f"The budget's {name} is {value!r}. Give a number of at least 0.")
        metric = raw.get("metric")
        if metric is not None and metrics and metric not in metrics:
            raise CompressError(
                f"The budget's metric '{metric}' is not one of this task's.{guess(str(metric), metrics)} "
                f"There are: {listing(metrics)}."
            )
        if not any(raw.get(name) is not None for name in known if name != "metric"):
            limits = listing(name for name in known if name != "metric")
            raise CompressError(f"The budget sets no limit. Give one of: {limits}.")
        return Budget(**raw)


def keep(folder: Path, budget: Mapping[str, Any] | None) -> None:
    """Write a pipeline's budget beside its measurements; or remove a former one where there is none now.

    Args:
        folder: of the measurements.
        budget: name -> limit, as it was written.
    """
    if budget is None:
        (folder / KEPT).unlink(missing_ok=True)
    else:
        write_whole(folder / KEPT, json.dumps(dict(budget), indent=1) + "\n")


def kept(measurements: Path) -> Mapping[str, Any] | None:
    """The budget that lies beside a file of measurements; None where there is none.

    Raises:
        CompressError: the file cannot be read.
    """
    file = measurements.parent / KEPT
    if not file.is_file():
        return None
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CompressError(f"{file} is not a budget ({error}). Remove it, or run the pipeline again.") from error
    if not isinstance(raw, dict):
        raise CompressError(
            f"{file} is not a budget: it holds no limits by name. Remove it, or run the pipeline again."
        )
    return raw
