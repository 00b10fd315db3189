"""Compares the quality of two artifacts on the same examples with a test of `compress.metrics.statistics`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.metrics import statistics
from compress.metrics.metric import find

RESAMPLES = 1000
"""For metrics of the whole set, each of which is recomputed on every resample: ten variants take seconds, not minutes."""
LEAST = 6
"""Fewer examples than these are resampled in too few ways: of one example, every resample is that example."""


@dataclass(frozen=True)
class Difference:
    """The quality of one artifact minus another's, as a share (0.01 is a point) or on the metric's own scale; or why not."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    word: str | None = None
    """`better`, `worse` or `no difference shown`; None where nothing could be tested."""
    smallest: float | None = None
    """The smallest difference that this many examples could have shown."""
    only_here: int | None = None
    """Examples that only this artifact has right."""
    only_there: int | None = None
    test: str = ""
    examples: int = 0
    absent: str | None = None

    @property
    def shows_loss(self) -> bool:
        """Whether the test says *worse*."""
        return self.word == statistics.WORSE

    @property
    def shows_no_loss(self) -> bool:
        """Whether it was tested, and the test does not say *worse*."""
        return self.word in {statistics.BETTER, statistics.NOT_SHOWN}


def difference(here: Measurement | None, there: Measurement | None, references: Sequence[float]) -> Difference:
    """Compare one metric of two artifacts.

    Right/wrong scores go through McNemar's exact test; other scores per example, metrics of the whole set and those of
    summed statistics (BLEU, perplexity) through the paired bootstrap. Where both have nothing of this on the same
    examples, the plain difference stands without an interval and without a word.
    """
    if here is None or there is None or here.value is None or there.value is None:
        lacking = here if here is None or here.value is None else there
        return Difference(absent=(lacking.absent if lacking else None) or "not measured")
    if here.per_example and len(here.per_example) == len(there.per_example):
        return _from(
            statistics.compare(here.per_example, there.per_example, higher_is_better=here.higher_is_better),
            len(here.per_example),
        )
    if here.statistics and len(here.statistics) == len(there.statistics):
        return _of_sums(here, there)
    if here.predictions and len(here.predictions) == len(there.predictions) == len(references):
        try:
            ours, theirs = (find(here.name).scorer(one.predictions, references) for one in (here, there))
        except CompressError:
            return _unknown(here.name, here.value - there.value)
        result = statistics.compare_scorers(
            ours,
            theirs,
            len(references),
            higher_is_better=here.higher_is_better,
            resamples=RESAMPLES,
        )
        # The two values as they were measured.
        return replace(_from(result, len(references)), value=here.value - there.value)
    return Difference(here.value - there.value, absent="not tested: no results per example of both on the same rows")


def _of_sums(here: Measurement, there: Measurement) -> Difference:
    try:
        result = statistics.compare_sums(
            find(here.name).of_sums,
            here.statistics,
            there.statistics,
            higher_is_better=here.higher_is_better,
            resamples=RESAMPLES,
        )
    except CompressError:
        return _unknown(here.name, (here.value or 0.0) - (there.value or 0.0))
    except (ValueError, IndexError):
        return Difference(
            (here.value or 0.0) - (there.value or 0.0), absent="not tested: the two have other statistics"
        )
    return _from(result, len(here.statistics))


def _unknown(metric: str, value: float) -> Difference:
    return Difference(value, absent=f"the metric '{metric}' is not one of this version's")


def _from(result: statistics.Comparison, examples: int) -> Difference:
    if result.p_value is None and examples < LEAST:
        return Difference(result.difference, absent=f"not tested: too few examples to resample ({examples})")
    finite = all(math.isfinite(end) for end in result.interval)
    return Difference(
        value=result.difference,
        interval=result.interval if finite else None,
        p_value=result.p_value,
        word=result.verdict if finite else None,
        smallest=result.smallest if result.smallest is not None and math.isfinite(result.smallest) else None,
        only_here=result.only_first,
        only_there=result.only_second,
        test=result.test,
        examples=examples,
        absent=None if finite else "the metric is undefined on resamples of these rows, so there is no interval",
    )
