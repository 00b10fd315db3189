"""What a metric is: statistics of each example, the score of their sums, and how to read that score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
from numpy.typing import NDArray

from compress.core import catalogue
from compress.core.errors import CompressError
from compress.metrics import statistics

Values = Sequence[int] | Sequence[float] | NDArray[Any]
Statistics = NDArray[numpy.float64]
Scorer = Callable[[NDArray[numpy.int64]], float]
"""Numbers of rows, [rows] -> the score of these rows, NaN where it does not exist; a row may be drawn more than once."""

IN_POINTS = ("fraction", "coefficient")
"""Units that are shown as points of 100; any other is a scale of its own, shown as it is."""


class Undefined(CompressError):  # noqa: N818 - it is a finding, and reads as one
    """The score does not exist for these predictions (a correlation with a constant, say): report it absent, not as 0."""


class TaskFacts(Protocol):
    """What a metric can read from a task, see `compress.tasks.task.Task`."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """In id order."""

    @property
    def generation(self) -> Any:
        """The settings of a generative task; None for any other."""


def _not_of_sums(*_: Any) -> Any:
    raise TypeError("This metric is no function of sums: call its `scorer`.")


@dataclass(frozen=True)
class Metric:
    """One way to score predictions.

    Accuracy, F1, Matthews and Pearson correlation, BLEU, ROUGE and perplexity of a set of examples are all functions of sums
    over its examples. So an example is scored once, into a row of numbers, and an interval only adds up rows, see
    `compress.metrics.resampling`. A metric that is no function of sums (a rank correlation) gives `on_rows` instead.

    Predictions and references are two sequences of one length, one entry an example: class ids, real numbers, texts, or
    arrays of token ids [tokens], tag ids [words] or labels [labels], 0 or 1.
    """

    name: str
    """As its file is called."""
    title: str
    """As its authors write it within a sentence: `accuracy`, `macro F1`, `ROUGE-L`."""
    kinds: tuple[str, ...]
    """The kinds of tasks that it measures: values of `Task.kind` (`regression`), or a kind by its name on the Hugging Face hub
    (`token-classification`); see `compress.tasks.kinds`."""
    statistics: Callable[[Any, Any], Statistics] = _not_of_sums
    """(predictions, references) -> [examples, columns]; ValueError where the two do not match."""
    of_sums: Callable[[Statistics], float] = _not_of_sums
    """The sums over some examples, [columns] -> the score of these examples; NaN where it does not exist."""
    on_rows: Callable[[Any, Any], Scorer] | None = None
    """(predictions, references) -> the score of any rows of them, where it is no function of sums."""
    check: Callable[[Any, Any], None] | None = None
    """(predictions, references) -> raises `Undefined` with the reason where these have no score. Without it a score that is
    NaN has a reason that fits any metric."""
    unit: str = "fraction"
    """A `fraction` lies in 0..1 and a `coefficient` in -1..1: both are shown in points of 100. Any other unit (`perplexity`) is
    a scale of its own."""
    higher_is_better: bool = True
    is_mean: bool = False
    """Whether the score is the mean of the first column: then that column is a score for each example (1.0 right, 0.0 wrong)
    which a paired test compares example by example."""
    signature: Callable[[], str] = lambda: ""
    """How it was computed, in sacrebleu's form `key:value|key:value`: printed beside the score, unless it is empty."""
    labels: int | None = None
    """How many labels a task must have for it; None for any number."""
    mean_of: tuple[str, ...] = ()
    """The metrics whose mean it is, if they are reported too."""
    counts_classes: bool = False
    """Whether the score of class ids is a function of how many examples have each pair of a predicted and a right class: then
    its interval is made from these counts."""
    split: str = "evaluation"
    """The split that it is measured on, see `compress.tasks.task.FURTHER_SPLITS`."""
    reads_letter: Callable[[str], bool] = lambda letter: True
    """Of texts, whether a letter can be part of what it compares; a text in another script would score 0 whatever it says."""
    other_scripts: str = ""
    """What a user can set so that it reads another script, where there is something; after a comma, in a message."""
    made_for: Callable[[TaskFacts], Metric] | None = None
    """The same metric with what it must know of a task: its labels' names, its languages."""

    def __post_init__(self) -> None:
        if self.on_rows is None and _not_of_sums in (self.statistics, self.of_sums):
            raise ValueError(f"Metric '{self.name}' needs `statistics` and `of_sums`, or else `on_rows`.")

    @property
    def measured_unit(self) -> str:
        """The unit of its measurements, see `compress.core.measurement.Measurement`."""
        return "share" if self.unit == "fraction" else self.unit

    def for_task(self, task: TaskFacts) -> Metric:
        """The metric as this task needs it."""
        return self if self.made_for is None else self.made_for(task)

    def score(self, predictions: Any, references: Any) -> float:
        """The score of all examples, on the metric's own scale.

        Raises:
            Undefined: there are no examples, or these have no score; says why.
            ValueError: the two sequences do not match.
        """
        if self.on_rows is None and not are_numbers(predictions):
            if self.check is not None:
                self.check(predictions, references)
            return self.score_of(self.statistics(predictions, references))
        return self._defined(self.scorer(predictions, references)(numpy.arange(len(predictions))), len(predictions))

    def score_of(self, rows: Statistics) -> float:
        """The score of examples whose statistics [examples, columns] are at hand; `Undefined` where there is none."""
        if len(rows) == 0:
            raise Undefined("There are no examples to score.")
        return self._defined(self.of_sums(rows.sum(axis=0)), len(rows))

    def scorer(self, predictions: Any, references: Any) -> Scorer:
        """The score of any rows of these examples, fast: an interval asks for hundreds.

        Examples that are two numbers (class ids, scores) are counted by their pair of values, of which there are few.

        Raises:
            Undefined, ValueError: as `score`; but a score that is NaN is given as it is.
        """
        if self.check is not None:
            self.check(predictions, references)
        if self.on_rows is not None:
            return self.on_rows(predictions, references)
        if not are_numbers(predictions):
            return statistics.scorer_of_sums(self.of_sums, self.statistics(predictions, references))
        predicted, right = numbers(predictions, references)
        pairs, place = numpy.unique(predicted + 1j * right, return_inverse=True)
        return statistics.scorer_of_sums(self.of_sums, self.statistics(pairs.real, pairs.imag), place)

    def per_example(self, rows: Statistics) -> Statistics | None:
        """A score for each example, [examples], whose mean is the score; None for a metric of the set as a whole.

        Args:
            rows: its statistics, [examples, columns].
        """
        return rows[:, 0] if self.is_mean else None

    def _defined(self, score: float, examples: int) -> float:
        if math.isnan(score):
            raise Undefined(f"None of {examples} examples has anything that {self.title} can score.")
        return score


def find(name: str) -> Metric:
    """The metric of this name; CompressError where there is none."""
    found: Metric = catalogue.find("metrics", name)
    return found


def title(name: str) -> str:
    """How a metric's name is written within a sentence: `accuracy`, `ROUGE-L`; a name that is no metric's as it is."""
    return find(name).title if name in catalogue.names("metrics") else name


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


def paired(outputs: Sequence[Any], references: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each output with its reference; ValueError for two sequences of unequal length."""
    if len(outputs) != len(references):
        raise ValueError(f"{len(outputs)} outputs and {len(references)} references must be of one length.")
    return list(zip(outputs, references, strict=True))


def as_table(rows: Sequence[Sequence[float]], columns: Sequence[str]) -> Statistics:
    """Rows of statistics as an array [examples, columns], also where there are none."""
    return numpy.array(rows, dtype=numpy.float64).reshape(len(rows), len(columns))


def ratio_of(sums: Statistics) -> float:
    """The first sum over the second; NaN over nothing."""
    return float(sums[0] / sums[1]) if sums[1] else math.nan


def are_numbers(values: Any) -> bool:
    """Whether each example is one number, and there are examples."""
    return len(values) > 0 and not isinstance(values[0], str) and numpy.ndim(values[0]) == 0
