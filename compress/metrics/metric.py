"""What a metric is: a name, a function from predictions and references to one number, and how to read that number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

from compress.core.errors import CompressError

Kind = Literal["classification", "regression"]
Values = Sequence[int] | Sequence[float] | NDArray[Any]


class Undefined(CompressError):  # noqa: N818 - it is a finding, and reads as one
    """The score does not exist for these predictions (a correlation with a constant, say): report it absent, not as 0."""


NAMES = {
    "accuracy_f1": "mean of accuracy and F1",
    "accuracy_mismatched": "accuracy on the mismatched genres",
    "pearson_spearman": "mean of Pearson and Spearman",
    "f1_macro": "macro F1",
    "f1_weighted": "weighted F1",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "rouge_lsum": "ROUGE-Lsum",
    "bleu": "BLEU",
    "chrf": "chrF",
    "token_accuracy": "token accuracy",
}
"""Metrics whose authors write them otherwise than they are named here."""


@dataclass(frozen=True)
class Metric:
    """One way to score predictions.

    `score(predictions, references)` takes two sequences of one length, class ids for a classification and real numbers
    for a regression, and gives a plain float on the metric's own scale: a *fraction* lies in 0..1 and a *coefficient*
    in -1..1. Points (hundredths, as a budget's `max_drop` counts them) are made where they are shown. It raises
    `Undefined` with the reason where the score does not exist, and ValueError for two sequences that do not match.

    `per_example`, where the score is a mean over examples, gives each example's share of it (1.0 right, 0.0 wrong),
    which is what a paired test needs; None where the score is of the set as a whole.
    """

    name: str
    kind: Kind
    score: Callable[[Values, Values], float]
    per_example: Callable[[Values, Values], NDArray[numpy.float64]] | None = None
    higher_is_better: bool = True
    unit: Literal["fraction", "coefficient"] = "fraction"
    labels: int | None = None
    """How many labels a task must have for it; None for any number."""
    mean_of: tuple[str, ...] = ()
    """The metrics whose mean it is, where those stand beside it."""
    split: str = "evaluation"
    """The split that it is measured on, see `compress.tasks.task.FURTHER_SPLITS`."""


def class_ids(predictions: Values, references: Values) -> tuple[NDArray[numpy.int64], NDArray[numpy.int64]]:
    """Both as integers of one shape (N,), N > 0; refuses values that are not whole numbers."""
    predicted, right = numbers(predictions, references)
    if (predicted != numpy.rint(predicted)).any() or (right != numpy.rint(right)).any():
        raise ValueError("Class ids are whole numbers: give the predicted class, not its logit.")
    return predicted.astype(numpy.int64), right.astype(numpy.int64)


def numbers(predictions: Values, references: Values) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    """Both as finite 64-bit numbers of one shape (N,), N > 0."""
    predicted, right = numpy.asarray(predictions, dtype=numpy.float64), numpy.asarray(references, dtype=numpy.float64)
    if predicted.ndim != 1 or predicted.shape != right.shape:
        raise ValueError(f"Predictions {predicted.shape} and references {right.shape} must be lists of one length.")
    if predicted.size == 0:
        raise Undefined("There are no examples to score.")
    if not (numpy.isfinite(predicted).all() and numpy.isfinite(right).all()):
        count = int((~numpy.isfinite(predicted)).sum())
        raise Undefined(f"{count} of {predicted.size} predictions are not finite numbers.")
    return predicted, right


def varied(predictions: Values, references: Values) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    """As `numbers`, and refused where either side is constant: no correlation exists with a constant."""
    predicted, right = numbers(predictions, references)
    for side, values in (("predictions", predicted), ("references", right)):
        # Relative to the size of the values: 32-bit outputs of a collapsed model differ in their last bit.
        if numpy.ptp(values) <= 1e-6 * max(1.0, float(numpy.abs(values).max())):
            raise Undefined(f"All {values.size} {side} are the same ({values[0]:g}), so no correlation exists.")
    return predicted, right


def name_in_words(metric: str) -> str:
    """Within a sentence: `accuracy`, `ROUGE-L`."""
    return NAMES.get(metric, metric)
