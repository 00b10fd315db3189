"""What a metric of a generative model is: statistics of each example that add up, and the score of their sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.metrics.metric import Undefined

Statistics = NDArray[np.float64]


@dataclass(frozen=True)
class GenerationMetric:
    """One way to score a generative model on a set of examples.

    BLEU of a set is not the mean of its sentences' BLEU, but it is a function of their added n-gram counts; ROUGE and
    perplexity are functions of sums as well. So each example is scored once, into a row of numbers, and a bootstrap adds
    up the rows it draws (Koehn, "Statistical significance tests for machine translation evaluation", EMNLP 2004).
    """

    name: str
    reads: Literal["texts", "tokens"]
    """What `statistics` takes: two sequences of texts, or two sequences of one array [tokens] an example."""
    columns: tuple[str, ...]
    """What the numbers of a row are."""
    statistics: Callable[[Sequence[Any], Sequence[Any]], Statistics]
    """(outputs, references) -> [examples, columns]; ValueError where the two do not match."""
    of_sums: Callable[[Statistics], float]
    """The sum of some examples' rows, [columns] -> the score of these examples; NaN where it does not exist."""
    signature: Callable[[], str]
    """How it was computed, in sacrebleu's form `key:value|key:value`: what a report must print beside the score."""
    is_mean: bool = False
    """Whether the score is the mean of the first column: then that column is a score for each example."""
    unit: Literal["fraction", "perplexity"] = "fraction"
    """A fraction lies in 0..1; points (hundredths, as ROUGE and BLEU are usually printed) are made where it is shown."""
    higher_is_better: bool = True
    reads_letter: Callable[[str], bool] = lambda letter: True
    """Whether a letter can be part of what it compares; a text in another script would score 0 whatever it says."""

    def score(self, outputs: Sequence[Any], references: Sequence[Any]) -> float:
        """The score of all examples.

        Raises:
            Undefined: there are no examples, or nothing in them that can be scored.
            ValueError: the two sequences do not match.
        """
        return self.score_of(self.statistics(outputs, references))

    def score_of(self, statistics: Statistics) -> float:
        """The score of examples whose statistics [examples, columns] are at hand; `Undefined` where there is none."""
        if len(statistics) == 0:
            raise Undefined("There are no examples to score.")
        found = self.of_sums(statistics.sum(axis=0))
        if math.isnan(found):
            raise Undefined(f"None of {len(statistics)} examples has anything that {self.name} can score.")
        return found

    def per_example(self, statistics: Statistics) -> Statistics | None:
        """A score for each example, [examples], whose mean is the score; None for a metric of the set as a whole."""
        return statistics[:, 0] if self.is_mean else None


def paired(outputs: Sequence[Any], references: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each output with its reference; ValueError for two sequences of unequal length."""
    if len(outputs) != len(references):
        raise ValueError(f"{len(outputs)} outputs and {len(references)} references must be of one length.")
    return list(zip(outputs, references, strict=True))


def as_table(rows: Sequence[Sequence[float]], columns: Sequence[str]) -> Statistics:
    """Rows of statistics as an array [examples, columns], also where there are none."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))


def ratio_of(sums: Statistics) -> float:
    """The first sum over the second; NaN over nothing."""
    return float(sums[0] / sums[1]) if sums[1] else math.nan
