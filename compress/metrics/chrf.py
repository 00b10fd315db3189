"""chrF by sacrebleu: F2 of character n-grams of up to six letters, 0..1; needs no word boundaries.

Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015. A score of the whole set, in hundredths of
sacrebleu's own numbers (`chrF2`: word n-grams are not counted).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from compress.metrics.bleu import segments, signature
from compress.metrics.metric import Metric, Statistics, as_table

COLUMNS = tuple(f"{side}_{n}_grams" for n in range(1, 7) for side in ("output", "reference", "common"))


def chrf(outputs: Sequence[str], references: Sequence[str]) -> Statistics:
    """The counts of n-grams of each example, [examples, 18]."""
    return as_table(segments(_scorer(), outputs, references), COLUMNS)


def of_sums(sums: Statistics) -> float:
    """chrF of summed counts; NaN where no reference has a letter."""
    return float(_scorer()._compute_score_from_stats(sums.tolist()).score) / 100 if sums[1] else math.nan


@cache
def _scorer() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


METRIC = Metric(
    name="chrf",
    title="chrF",
    kinds=("summarization", "translation"),
    statistics=chrf,
    of_sums=of_sums,
    signature=lambda: signature(_scorer()),
)
