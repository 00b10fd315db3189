"""Checks that a quantized model still agrees with fp32 on real rows; below nine in ten the step fails.

Of a classifier the share of rows with the same class counts; of a regression the correlation of the scores; of a generative
model the share of tokens with the same best next one. Several tokens are often about as good, so there one in two is enough:
int8 keeps nine in ten, int4 of a small decoder half of them and more, and noise a few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.errors import CompressError
from compress.core.progress import warn
from compress.runtimes.graph_files import open_graph
from compress.runtimes.rows import answers
from compress.tasks.kinds.laws import Law

ROWS = 128
"""Read at most; one in ten of them is then known to a few percent."""
LEAST = {"classes": 0.9, "scores": 0.9, "tokens": 0.5}
"""The least share, or correlation, by what is compared."""
MEASURES = {"classes": "of {rows} rows have fp32's class", "tokens": "of {rows} tokens are fp32's"}


@dataclass(frozen=True)
class Agreement:
    """The agreement of a model with its fp32 source."""

    of: str
    """`classes`, `scores` or `tokens`."""
    share: float
    """Of the classes or tokens that are equal, 0 to 1; of scores their correlation, -1 to 1."""
    rows: int
    """Rows, or tokens, that were compared."""
    rows_from: str

    @property
    def is_enough(self) -> bool:
        """Whether the share is large enough. A single differing row is always accepted."""
        differing = (1 - self.share) * self.rows
        return self.share >= LEAST[self.of] or (self.of != "scores" and differing < 1.5)

    def sentence(self) -> str:
        """`61 % of 128 rows have fp32's class (moods, train)`."""
        if self.of == "scores":
            return f"the scores of {self.rows} rows correlate with fp32's by {self.share:.2f} ({self.rows_from})"
        return f"{self.share:.0%} {MEASURES[self.of].format(rows=self.rows)} ({self.rows_from})"


def of_classifiers(
    made: Path,
    fp32: Path,
    rows: Sequence[Mapping[str, np.ndarray]],
    rows_from: str,
    law: Law,
    precision: str = "int8",
) -> Agreement:
    """The agreement of two graphs that generate nothing, each row by itself as it is served."""
    return of_answers(_answers(made, rows, precision), _answers(fp32, rows, "fp32"), rows_from, law)


def answers_alone(
    predict: Callable[[dict[str, np.ndarray]], np.ndarray], rows: Sequence[Mapping[str, np.ndarray]]
) -> np.ndarray:
    """A model's scores of each row by itself, as it is served, [answers, outputs]."""
    feeds = [{name: value[None] for name, value in row.items()} for row in rows]
    return np.concatenate([answers(predict(one), one["attention_mask"]) for one in feeds])


def of_answers(ours: np.ndarray, theirs: np.ndarray, rows_from: str, law: Law) -> Agreement:
    """The same for given scores, [answers, outputs] each: one answer per row, or one per token."""
    return of_predictions(predictions(ours, law), predictions(theirs, law), rows_from, law)


def of_predictions(ours: np.ndarray, theirs: np.ndarray, rows_from: str, law: Law, of: str = "classes") -> Agreement:
    """As `predictions`; `of` tells what a law of choices chooses: `classes` or `tokens`."""
    if not law.chooses:
        return Agreement("scores", law.similarity(ours, theirs), len(theirs), rows_from)
    return Agreement(of, float((~_differ(ours, theirs)).mean()), len(theirs), rows_from)


def predictions(values: np.ndarray, law: Law) -> np.ndarray:
    """What scores [answers, outputs] predict: class ids or numbers, [answers], or labels, [answers, outputs]; NaN where a score
    is no number."""
    found = np.array(law.decide(values), np.float64)
    found[~np.isfinite(values).all(-1)] = np.nan
    return found


def difference(ours: np.ndarray, theirs: np.ndarray, law: Law) -> int | float:
    """In how many answers two models' predictions differ; of a regression's scores, their mean absolute difference."""
    return int(_differ(ours, theirs).sum()) if law.chooses else float(np.abs(ours - theirs).mean())


def right(found: np.ndarray, labels: np.ndarray, law: Law) -> float:
    """The quality of predictions: accuracy, or a regression's correlation."""
    return float((~_differ(found, labels)).mean()) if law.chooses else law.similarity(found, labels)


def _differ(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (ours != theirs).reshape(len(theirs), -1).any(1)


def decided(found: Agreement, what: str, *, allowed: bool, is_as_right: bool = False) -> dict[str, Any]:
    """The facts to report of an agreement.

    Args:
        what: what was made, for the message: `int8`, `int4`.
        allowed: go on although it is too little.
        is_as_right: of a trained model: whether it gets as many labels right as its source, whose answers it then need not give.

    Raises:
        CompressError: it is too little.
    """
    told = {
        "of": found.of,
        "share": found.share,
        "least": LEAST[found.of],
        "rows": found.rows,
        "rows_from": found.rows_from,
    }
    if found.is_enough:
        return told
    if is_as_right:
        return {**told, "as_right_as_its_source": True}
    reason = (
        f"The {what} model is not its fp32 source: {found.sentence()}, and at least {LEAST[found.of]:.0%} are needed"
    )
    if not allowed:
        raise CompressError(
            f"{reason}. Leave layers in floating point (--exclude), choose another mode or precision, or keep it all the same "
            "with --allow-disagreement."
        )
    warn(f"{reason}. Kept, as asked.")
    return {**told, "allowed": True}


def _answers(graph: Path, rows: Sequence[Mapping[str, np.ndarray]], precision: str) -> np.ndarray:
    return answers_alone(open_graph(graph, precision=precision).logits, rows)
