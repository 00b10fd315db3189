"""The interval of a difference that holds two sources of chance: which examples were drawn, and which seeds were trained.

Every model answers every example, so examples and seeds are crossed random effects, as cases and readers are in studies of
diagnostic tests (Dorfman, Berbaum and Metz, "Receiver operating characteristic rating analysis", Investigative Radiology
27, 1992). As there, a score that is no mean over examples is analysed by its jackknife pseudo-values.

The mean over seeds varies by the examples, and by the seeds beyond what their few examples explain. Both parts are independent,
and each has an interval of its own; their half widths are added as squares (Zou and Donner, "Construction of confidence limits
about effect measures: a general approach", Statistics in Medicine 27, 2008). One variance with Satterthwaite's degrees of freedom
is narrower with two or three seeds, and was false too often in the simulation: docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compress.metrics.intervals import LEVEL, Interval


def with_seeds(
    difference: float, over_examples: Interval, sides: Sequence[NDArray[np.float64]], *, level: float = LEVEL
) -> Interval:
    """An interval over examples, widened by what the seeds add: it covers the difference of the mean over all seeds.

    With S seeds and N examples the mean square between a side's seeds is N times the variance of their scores; it expects
    N times the luck of seeds plus the residual mean square, that of examples on which seeds disagree, which the interval over
    examples has already. So the seeds' own interval counts in place of the residual where it is the wider one. The two
    sides' mean squares are added up, with S - 1 degrees of freedom each, as if both had the same luck; where one side has all
    of it, words were false in up to 7 %.

    Args:
        difference: of the means over seeds.
        over_examples: its interval over examples for the models as they are, at the same level.
        sides: the scores of either side, or their pseudo-values, [seeds, examples].
        level: 0 to 1.

    Returns:
        `over_examples` where there is one seed; it is never narrower than that.
    """
    from scipy.stats import t

    seeds, examples = sides[0].shape
    if seeds < 2 or examples < 2:
        return over_examples
    between = residual = 0.0
    for scores in sides:
        of_seeds, of_examples = scores.mean(axis=1, keepdims=True), scores.mean(axis=0, keepdims=True)
        between += examples * float(of_seeds.var(ddof=1))
        left = scores - of_seeds - of_examples + scores.mean()
        residual += float(np.square(left).sum()) / ((seeds - 1) * (examples - 1))
    of_seeds_quantile, of_examples_quantile = (
        float(t.ppf((1 + level) / 2, degrees)) for degrees in (len(sides) * (seeds - 1), examples - 1)
    )
    added = of_seeds_quantile**2 * between - of_examples_quantile**2 * residual
    added = max(added, 0.0) / (seeds * examples)
    low, high = over_examples
    return difference - math.hypot(difference - low, math.sqrt(added)), difference + math.hypot(
        high - difference, math.sqrt(added)
    )
