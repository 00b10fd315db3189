"""Compares the quality of two artifacts on the same examples: an interval, and the verdict that is read from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.metrics import metric_intervals, statistics, verdicts
from compress.metrics.intervals import LEVEL
from compress.metrics.metric import Undefined, find
from compress.metrics.verdicts import MARGIN

LEAST = 6
"""Fewer examples than these say nothing of how much examples differ."""


@dataclass(frozen=True)
class Difference:
    """The quality of one artifact minus another's, as a share (0.01 is a point) or on the metric's own scale; or why not."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    level: float = LEVEL
    """Of the interval."""
    margin: float = MARGIN
    """The loss that the word accepts, in the metric's own unit."""
    word: str | None = None
    """`better`, `not worse`, `worse` or `not enough examples`, see `verdicts.word`; None where there is no interval."""
    p_value: float | None = None
    """McNemar's exact two-sided p for right/wrong scores: a note, which decides nothing."""
    detectable: float | None = None
    """The smallest difference that this many examples show with 80 % power."""
    enough: int | None = None
    """About how many examples would settle it; None where it is settled, or where no number could be named."""
    only_here: int | None = None
    """Examples that only this artifact has right."""
    only_there: int | None = None
    test: str = ""
    """The name of the interval's method."""
    examples: int = 0
    absent: str | None = None

    @property
    def can_be_recommended(self) -> bool:
        """Whether it is shown to be better, or not worse than the margin."""
        return self.word in verdicts.GOOD

    @property
    def is_same(self) -> bool:
        """Whether the two have the same score, and the same examples right where that is known."""
        return self.value == 0 and not self.only_here and not self.only_there


def difference(
    here: Measurement | None,
    there: Measurement | None,
    references: Sequence[float],
    *,
    margin: float = MARGIN,
    level: float = LEVEL,
) -> Difference:
    """Compare one metric of two artifacts.

    Scores per example, metrics of the whole set and those of summed statistics (BLEU, perplexity) each have their own
    interval. Where both have nothing of this on the same examples, the plain difference has no interval and
    no word.

    Args:
        here: the metric of the artifact judged.
        there: of the one it is judged against.
        references: the split's labels, for metrics of the whole set.
        margin: the loss that is accepted, in the metric's own unit (0.01 is a point).
        level: of the interval, 0 to 1.
    """
    if here is None or there is None or here.value is None or there.value is None:
        lacking = here if here is None or here.value is None else there
        return Difference(absent=(lacking.absent if lacking else None) or "not measured", level=level, margin=margin)
    found = _compared(here, there, references, level)
    if not isinstance(found, tuple):
        return replace(found, level=level, margin=margin)
    result, examples = found
    return _judged(result, examples, here, max(abs(here.value), abs(there.value)), margin, level)


_Found = tuple[statistics.Comparison, int] | Difference


def _compared(here: Measurement, there: Measurement, references: Sequence[float], level: float) -> _Found:
    """The interval and the number of examples; or a plain difference with the reason why there is none."""
    value = (here.value or 0.0) - (there.value or 0.0)
    if here.per_example and len(here.per_example) == len(there.per_example):
        result = statistics.compare(here.per_example, there.per_example, level=level)
        return result, len(here.per_example)
    if here.statistics and len(here.statistics) == len(there.statistics):
        try:
            result = statistics.compare_sums(
                find(here.name).of_sums,
                here.statistics,
                there.statistics,
                level=level,
            )
        except CompressError:
            return _unknown(here.name, value)
        except (ValueError, IndexError):
            return Difference(value, absent="not tested: the two have other statistics")
        return result, len(here.statistics)
    if here.predictions and len(here.predictions) == len(there.predictions) == len(references):
        try:
            metric = find(here.name)
            result = metric_intervals.of_difference(
                metric, here.predictions, there.predictions, references, level=level
            )
        except Undefined as error:
            return Difference(value, absent=f"not tested: {error}")
        except CompressError:
            return _unknown(here.name, value)
        # The two values as they were measured.
        return replace(result, difference=value), len(references)
    return Difference(value, absent="not tested: no results per example of both on the same rows")


def _unknown(metric: str, value: float) -> Difference:
    return Difference(value, absent=f"the metric '{metric}' is not one of this version's")


def _judged(
    result: statistics.Comparison, examples: int, metric: Measurement, score: float, margin: float, level: float
) -> Difference:
    bare = Difference(result.difference, level=level, margin=margin, examples=examples)
    if result.p_value is None and examples < LEAST:
        return replace(bare, absent=f"not tested: too few examples ({examples})", examples=0)
    told = replace(
        bare,
        p_value=result.p_value,
        only_here=result.only_first,
        only_there=result.only_second,
        test=result.test,
    )
    low, high = result.interval
    if not (math.isfinite(low) and math.isfinite(high)):
        return replace(told, absent="the metric is undefined without some of these rows, so there is no interval")
    sign = 1 if metric.higher_is_better else -1
    worst, best = sorted((sign * low, sign * high))
    if max(-worst, best) <= statistics.ROUNDING * score:
        # What lies within rounding of the scores is no difference: the interval includes zero, as the word says.
        word, low, high = verdicts.word(0.0, 0.0, margin), min(low, 0.0), max(high, 0.0)
    else:
        word = verdicts.word(worst, best, margin)
    unsettled = word == verdicts.NOT_ENOUGH
    return replace(
        told,
        interval=(low, high),
        word=word,
        detectable=verdicts.detectable(low, high, level),
        enough=verdicts.enough(sign * result.difference, worst, best, margin, examples) if unsettled else None,
    )
