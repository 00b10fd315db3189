"""The interval of a metric, and of the difference of two models in it, by the method that covers for its kind of score.

- A share of right answers: Wilson's interval, and Tango's of a difference.
- A score of predicted classes (F1, Matthews): the posterior of how many examples have each right and predicted class, with one
  wrong and one right answer added, or one that only either model has right: it covers near 1 and where few answers differ.
- Any other function of sums over examples (BLEU, ROUGE, perplexity, Pearson), and rank correlations: the jackknife over
  examples with Student's quantiles; perplexity on a log scale, correlations on Fisher's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress.metrics import intervals, resampling, statistics
from compress.metrics.intervals import LEVEL, Interval
from compress.metrics.metric import Metric, Values, numbers
from compress.metrics.statistics import Comparison

Array = NDArray[np.float64]


def of_values(metric: Metric, predictions: Values, references: Values, *, level: float = LEVEL) -> Interval:
    """The interval of a metric of examples that are one number each; NaN twice where it has none.

    Args:
        metric: of class ids or of scores.
        predictions: [examples].
        references: [examples].
        level: 0 to 1.
    """
    predicted, right = numbers(predictions, references)
    scale = "fisher" if metric.unit == "coefficient" else "plain"
    if metric.on_rows is not None:
        return resampling.of_scorer(metric.scorer(predicted, right), right.size, level=level, scale=scale)
    if metric.is_mean or not metric.counts_classes:
        return of_rows(metric, metric.statistics(predicted, right), level=level)
    classes, share, other = _classes(right)
    kinds = np.concatenate(
        [np.stack([predicted, right]), np.stack([classes, classes]), np.stack([other, classes])], axis=1
    )
    weights = np.concatenate([np.ones(right.size), share, share])
    kinds, weights = _counted(kinds, weights)
    return resampling.of_counts(metric.of_sums, metric.statistics(kinds[0], kinds[1]), weights, level=level)


def of_rows(metric: Metric, rows: Array, *, level: float = LEVEL) -> Interval:
    """The interval of a metric of examples whose statistics are at hand, [examples, columns]; NaN twice where it has none.

    A fraction of which fewer than ten examples fall short reaches down at least as far as Wilson's interval of their
    share, were each as bad as the worst that was seen; or all wrong, where none was seen.
    """
    each = metric.per_example(rows)
    if each is not None and np.isin(each, (0, 1)).all():
        return intervals.proportion(int(each.sum()), each.size, level=level)
    scale = {"coefficient": "fisher", "perplexity": "log"}.get(metric.unit, "plain")
    low, high = resampling.of_sums(metric.of_sums, rows, level=level, scale=scale)
    if metric.unit != "fraction":
        return low, high
    single = np.array([metric.of_sums(row) for row in rows])
    short = single[single < 1]
    if np.isfinite(single).any() and short.size < resampling.FEW:
        share = 1 - intervals.proportion(single.size - short.size, single.size, level=level)[0]
        low = min(low, 1 - share * float((1 - short).max(initial=0.0) or 1.0))
    return low, min(high, 1.0) if np.isfinite(high) else high


def of_difference(
    metric: Metric, first: Values, second: Values, references: Values, *, level: float = LEVEL
) -> Comparison:
    """Compare two models by a metric of the whole set, from their predictions, one number each.

    Args:
        metric: of class ids or of scores.
        first: the predictions of the model judged, [examples].
        second: those of the one it is judged against, in the same order.
        references: [examples].
        level: 0 to 1.
    """
    (a, right), (b, _) = numbers(first, references), numbers(second, references)
    if metric.on_rows is not None:
        return statistics.compare_scorers(metric.scorer(a, right), metric.scorer(b, right), right.size, level=level)
    if not metric.counts_classes:
        sides = (metric.statistics(side, right) for side in (a, b))
        return statistics.compare_sums(metric.of_sums, *sides, level=level)
    classes, share, other = _classes(right)
    added = [np.stack([classes, other, classes]), np.stack([other, classes, classes])]
    kinds = np.concatenate([np.stack([a, b, right]), *added], axis=1)
    kinds, weights = _counted(kinds, np.concatenate([np.ones(right.size), share, share]))
    # Of both sides at once: a table has as many columns as classes occur in it.
    rows = metric.statistics(np.concatenate([kinds[0], kinds[1]]), np.concatenate([kinds[2], kinds[2]]))
    ours, theirs = rows[: len(weights)], rows[len(weights) :]
    interval = resampling.of_paired_counts(metric.of_sums, ours, theirs, weights, level=level)
    return Comparison(metric.score(a, right) - metric.score(b, right), interval, statistics.POSTERIOR)


def _classes(right: Array) -> tuple[Array, Array, Array]:
    """The right classes, the share of each, and for each the commonest other one (itself where it is the only one)."""
    classes, counts = np.unique(right, return_counts=True)
    common = classes[np.argsort(-counts, kind="stable")]
    other = np.where(classes == common[0], common[1 if len(common) > 1 else 0], common[0])
    return classes, counts / right.size, other


def _counted(kinds: Array, weights: Array) -> tuple[Array, Array]:
    """Equal columns once, and the sum of their weights."""
    different, place = np.unique(kinds, axis=1, return_inverse=True)
    summed = np.bincount(place.reshape(-1), weights=weights).astype(np.float64)
    return different, summed
