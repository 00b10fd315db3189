"""Whether a task's metrics support its references' script: ROUGE reads only a-z and 0-9, BLEU needs spaces between words."""

from __future__ import annotations

from collections import Counter
from typing import Any

from compress.core.errors import CompressError
from compress.core.progress import warn
from compress.tasks.scoring import metrics
from compress.tasks.task import Task

ROWS = 1000
"""So many references, evenly over the split, tell its script."""
LEAST, TOLD = 0.5, 0.9
"""The share of letters below which a metric is refused, and below which the share is reported."""


def check(task: Task, rows: Any) -> None:
    """Look at the references of a split before anything is trained or measured on them.

    Args:
        task: a generative one; language modelling has no references.
        rows: of a split as it was loaded.

    Raises:
        CompressError: most letters of the references are none to a metric, which would be 0 whatever is written.
    """
    if not task.of_kind.has_references or "label" not in rows.column_names:
        return
    references = rows.select(range(0, len(rows), max(1, len(rows) // ROWS)))["label"]
    letters = Counter(one for text in references for one in text if one.isalpha())
    total = letters.total()
    for metric in metrics(task):
        metric.signature()  # raises where its tokenizer is not installed
        share = sum(count for one, count in letters.items() if metric.reads_letter(one)) / total if total else 1.0
        instead = f", {metric.other_scripts}" if metric.other_scripts else ""
        if share < LEAST:
            raise CompressError(
                f"Metric '{metric.name}' reads {share:.0%} of the letters in the references of '{task.name}': it does not "
                f"know their script, and would be near 0 whatever is written. Set `metric: chrf` in the task{instead}."
            )
        if share < TOLD:
            warn(
                f"Metric '{metric.name}' reads {share:.0%} of the letters in the references of '{task.name}'; "
                "chrF (`metric: chrf`) reads all."
            )
