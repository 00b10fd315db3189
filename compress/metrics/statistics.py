"""Paired tests, bootstrap intervals, and the verdict: better, worse, or no difference shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BETTER = "better"
WORSE = "worse"
NOT_SHOWN = "no difference shown"

LEVEL = 0.95
RESAMPLES = 2000
FLIPS = 10_000
"""Draws of a sign-flip test that is not worked out exactly."""
ROUNDING = 1e-6
"""Of a score: what lies within it is no difference. Perplexities of torch and ONNX Runtime in fp32 were 3e-8 of it apart."""
SEED = 20261123
"""Every bootstrap here draws the same resamples each time, so that a report made twice is the same report."""


@dataclass(frozen=True)
class Comparison:
    """One artifact's score beside another's, on the same examples.

    `difference`, `interval` and `smallest` are in the metric's own unit (0.01 is one point of accuracy), first minus
    second.
    """

    difference: float
    interval: tuple[float, float]
    """The 95 % interval of the difference, by the paired bootstrap."""
    p_value: float | None
    """McNemar's exact two-sided p for right/wrong scores; None where the interval alone decides."""
    verdict: str
    """`better`, `worse` or `no difference shown`: what the first is, beside the second."""
    smallest: float | None
    """The smallest difference this many examples could have shown, see `smallest_difference`."""
    only_first: int | None = None
    """How many examples only the first got right."""
    only_second: int | None = None
    test: str = "McNemar exact"


@dataclass(frozen=True)
class SignFlip:
    """The result of a sign-flip test on the mean of paired differences."""

    p_value: float
    smallest: float | None
    """The smallest mean difference that would have been significant, with differences of the sizes that were seen."""
    flips: int | None
    """How many times signs were drawn; None where all of them were counted."""


def compare(first: Sequence[float], second: Sequence[float], *, higher_is_better: bool = True) -> Comparison:
    """Compare two artifacts by one score for each example.

    Scores of 0 and 1 alone are compared by McNemar's exact test, any others by the paired bootstrap of their means.

    Args:
        first: the scores of the artifact judged, [examples].
        second: the scores of the one it is judged against, in the same order.
        higher_is_better: whether a greater score is a better one.

    Raises:
        ValueError: the two have not the same examples, or none.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"paired scores need the same examples, at least one: {a.size} and {b.size}")
    difference = float(a.mean() - b.mean())
    interval = bootstrap(lambda rows: float(np.mean(a[rows] - b[rows])), a.size)
    if not set(np.unique(a)) | set(np.unique(b)) <= {0.0, 1.0}:
        verdict = word_of_interval(interval, higher_is_better, float(a.mean()), float(b.mean()))
        half_width = (interval[1] - interval[0]) / 2
        return Comparison(difference, interval, None, verdict, half_width, test="paired bootstrap")
    only_first, only_second = int(np.sum(a > b)), int(np.sum(b > a))
    p_value = mcnemar(only_first, only_second)
    verdict = word_of_p(only_first - only_second, p_value, higher_is_better)
    smallest = smallest_difference(only_first + only_second, a.size)
    return Comparison(difference, interval, p_value, verdict, smallest, only_first, only_second)


def compare_scorers(
    first: Callable[[Any], float],
    second: Callable[[Any], float],
    examples: int,
    *,
    higher_is_better: bool = True,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare two artifacts by a metric that has no score for each example (F1, Matthews, Pearson): paired bootstrap.

    Args:
        first: numbers of rows, [rows] -> the metric of the artifact judged on these rows, NaN where it does not exist.
        second: the same of the one it is judged against.
        examples: how many both have.
        higher_is_better: whether a greater value is a better one.
        resamples: how many resamples.
    """
    every = np.arange(examples)
    ours, theirs = float(first(every)), float(second(every))
    interval = bootstrap(lambda rows: first(rows) - second(rows), examples, resamples=resamples)
    verdict = word_of_interval(interval, higher_is_better, ours, theirs)
    return Comparison(ours - theirs, interval, None, verdict, (interval[1] - interval[0]) / 2, test="paired bootstrap")


def compare_sums(
    score: Callable[[Any], float],
    first: Any,
    second: Any,
    *,
    higher_is_better: bool = True,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare two artifacts by a score of summed statistics (BLEU, chrF, ROUGE, perplexity): the paired bootstrap.

    Rows of statistics are drawn, the same for both, and added up (Koehn, "Statistical significance tests for machine
    translation evaluation", EMNLP 2004).

    Args:
        score: sums, [columns] -> the score; NaN where it does not exist.
        first: the statistics of the artifact judged, [examples, columns].
        second: those of the one it is judged against, of the same examples in the same order.
        higher_is_better: whether a greater score is a better one.
        resamples: how many resamples.

    Raises:
        ValueError: the two have not the same examples, or none.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or len(a) == 0:
        raise ValueError(f"paired statistics need the same examples, at least one: {a.shape} and {b.shape}")
    ours, theirs = scorer_of_sums(score, a), scorer_of_sums(score, b)
    return compare_scorers(ours, theirs, len(a), higher_is_better=higher_is_better, resamples=resamples)


def scorer_of_sums(score: Callable[[Any], float], statistics: Any, place: Any = None) -> Callable[[Any], float]:
    """The score of any rows of summed statistics: numbers of rows, [rows] -> the score of their sums.

    How often each row was drawn is counted, and multiplied by the rows: much faster than adding them up one by one.

    Args:
        score: sums, [columns] -> the score; NaN where it does not exist.
        statistics: [examples, columns]; or where examples are alike, each kind of example once.
        place: where each example's statistics stand among them, [examples]; None: at its own number.
    """
    values = np.asarray(statistics, dtype=float)
    if not np.isfinite(values).all():  # none times infinite is not a number
        return lambda rows: score(values[rows if place is None else place[rows]].sum(axis=0))

    def score_of(rows: Any) -> float:
        return score(np.bincount(rows if place is None else place[rows], minlength=len(values)) @ values)

    return score_of


def interval_of_sums(
    score: Callable[[Any], float], statistics: Any, *, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a score of summed statistics, see `compare_sums`; NaN where it does not exist.

    Args:
        score: sums, [columns] -> the score; NaN where it does not exist.
        statistics: of each example, [examples, columns].
        resamples: how many resamples.
    """
    return bootstrap(scorer_of_sums(score, statistics), len(statistics), resamples=resamples)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: the p-value of so uneven a split of the examples that only one of two got right.

    Under no difference each such example falls to either side like a fair coin, so p is twice the smaller tail of
    Binomial(n, 1/2), at most 1 (McNemar, Psychometrika 12, 1947; exact form: Fagerland et al., BMC Med. Res. Methodol.
    13:91, 2013).

    >>> round(mcnemar(6, 16), 3)
    0.052
    >>> mcnemar(0, 0)
    1.0
    """
    from scipy.stats import binom

    return float(min(1.0, 2 * binom.cdf(min(only_first, only_second), only_first + only_second, 0.5)))


def smallest_difference(discordant: int, examples: int) -> float:
    """The smallest difference that the exact test would have called significant, as a share of the examples.

    It is the least net number of flips, among as many discordant examples as were seen, with p below 0.05. Fewer than
    six discordant examples cannot show anything, so then it is six flips in one direction.

    Args:
        discordant: how many examples only one of the two got right.
        examples: how many there are in all.

    >>> round(smallest_difference(discordant=22, examples=100), 2)
    0.12
    """
    flips = max(discordant, 6)
    for smaller in range(flips // 2, -1, -1):
        if mcnemar(smaller, flips - smaller) < 1 - LEVEL:
            return (flips - 2 * smaller) / examples
    raise AssertionError("six flips in one direction are always significant")


def bootstrap(
    statistic: Callable[[Any], float], size: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic over rows drawn with replacement (Efron and Tibshirani, 1993, ch. 13).

    Resamples for which the statistic is not defined (a correlation of constants) are left out.

    Args:
        statistic: an array of row numbers, [size] -> the statistic.
        size: how many rows there are.
        resamples: how many times they are drawn.
        seed: of the draws.
    """
    values = _drawn(statistic, size, resamples, seed)
    if values.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap_test(
    statistic: Callable[[Any], float], size: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[tuple[float, float], float]:
    """The percentile interval of a difference, and the two-sided p-value that belongs to it.

    p is twice the share of resamples on the rarer side of zero, counted as (those + 1) / (resamples + 1) (Davison and
    Hinkley, 1997, eq. 4.11). The interval ends at resamples, not between them, and is chosen so that it leaves out zero
    exactly where p is below 0.05. Not defined (NaN) where fewer than 40 resamples have a value.

    Args:
        statistic: an array of row numbers, [size] -> the difference.
        size: how many rows there are.
        resamples: how many times they are drawn.
        seed: of the draws.
    """
    values = np.sort(_drawn(statistic, size, resamples, seed))
    if values.size < 40:
        return (float("nan"), float("nan")), float("nan")
    rarer = min(int(np.sum(values <= 0)), int(np.sum(values >= 0)))
    outside = _most_beyond((1 - LEVEL) / 2, values.size)
    ends = float(values[outside]), float(values[values.size - 1 - outside])
    return ends, min(1.0, 2 * (rarer + 1) / (values.size + 1))


def sign_flip(differences: Sequence[float], *, flips: int = FLIPS, seed: int = SEED) -> SignFlip:
    """Whether the mean of paired differences is not zero: the sign-flip (Fisher-Pitman) permutation test, two-sided.

    Were the two sides alike, each difference could as well have had the other sign. Differences that are whole numbers
    (how many more runs of one side than of the other have the example right) are worked out over all signs; with
    differences of -1, 0 and 1 that is McNemar's exact test. For others signs are drawn, and p is
    (draws as far from zero + 1) / (draws + 1).

    Args:
        differences: one for each example, [examples].
        flips: how many signs are drawn where not all can be worked out.
        seed: of the draws.
    """
    given = np.asarray(differences, dtype=float)
    seen, sizes = abs(float(given.sum())), np.abs(given)
    if (given == np.rint(given)).all() and sizes.sum() <= _EXACT_UP_TO:
        return _all_signs(round(seen), np.bincount(sizes.astype(np.int64)), given.size)
    totals = np.sort(np.abs(_drawn_signs(given, flips, seed)))
    # Sums of the same numbers in another order differ in their last digits; a tie counts as being as far from zero.
    beyond = int(np.sum(totals >= seen * (1 - 1e-9)))
    limit = float(totals[flips - 1 - _most_beyond(1 - LEVEL, flips)])
    return SignFlip((beyond + 1) / (flips + 1), limit / given.size if limit else None, flips)


_EXACT_UP_TO = 100_000
"""The sum of all differences' sizes up to which the exact distribution takes a second or two at most."""


def _all_signs(seen: int, counts: Any, examples: int) -> SignFlip:
    """Over all signs: the sum of k * (2 * Binomial(counts[k], 1/2) - counts[k]) over the sizes k >= 1."""
    from scipy.stats import binom

    chances = np.ones(1)
    for size, count in enumerate(counts):
        if size and count:
            one = np.zeros(size * count + 1)
            one[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
            chances = np.convolve(chances, one)
    total = chances.size - 1
    far = np.abs(2 * np.arange(total + 1) - total)
    at = np.bincount(far, weights=chances)
    # beyond[d]: the chance of a sum at least d away from zero.
    beyond = np.cumsum(at[::-1])[::-1]
    # As in `smallest_difference`: where fewer than six differ nothing could be shown, so it is six in one direction.
    six = 6 * max(len(counts) - 1, 1)
    smallest = min((int(one) for one in np.flatnonzero(at) if beyond[one] < 1 - LEVEL), default=six)
    return SignFlip(min(1.0, float(beyond[seen])), smallest / examples, None)


def _drawn_signs(differences: Any, flips: int, seed: int) -> Any:
    """The sums of the differences under so many draws of their signs, [flips]."""
    generator = np.random.default_rng(seed)
    given = differences[differences != 0]
    sums = []
    for start in range(0, flips, 500):
        signs = generator.integers(0, 2, (min(500, flips - start), given.size), dtype=np.int8)
        sums.append(2 * (signs @ given) - given.sum())
    return np.concatenate(sums)


def _most_beyond(share: float, draws: int) -> int:
    """The most draws beyond a value with which (draws beyond + 1) / (draws + 1) is still below the share."""
    return max(int(np.ceil(share * (draws + 1) - 1e-9)) - 2, 0)


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval of a mean of independent values; None for fewer than two.

    >>> tuple(round(end, 3) for end in mean_interval([1.0, 2.0, 3.0]))
    (-0.484, 4.484)
    """
    if len(values) < 2:
        return None
    from scipy.stats import t

    given = np.asarray(values, dtype=float)
    half = float(t.ppf((1 + LEVEL) / 2, given.size - 1) * given.std(ddof=1) / np.sqrt(given.size))
    return float(given.mean()) - half, float(given.mean()) + half


def _drawn(statistic: Callable[[Any], float], size: int, resamples: int, seed: int) -> Any:
    """The statistic on each resample, without those on which it is not defined."""
    generator = np.random.default_rng(seed)
    values = np.array([statistic(generator.integers(0, size, size)) for _ in range(resamples)], dtype=float)
    return values[np.isfinite(values)]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, JASA 22, 1927; without continuity correction).

    >>> tuple(round(limit, 4) for limit in wilson(81, 263))
    (0.2553, 0.3662)
    """
    if trials == 0:
        return 0.0, 1.0
    from scipy.stats import norm

    z = float(norm.ppf((1 + LEVEL) / 2))
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * float(np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)))
    return max(0.0, centre - half), min(1.0, centre + half)


def word_of_p(difference: float, p_value: float, higher_is_better: bool) -> str:
    """One of the three words: the direction where p is below 0.05."""
    return NOT_SHOWN if p_value >= 1 - LEVEL else _direction(difference, higher_is_better)


def word_of_interval(interval: tuple[float, float], higher_is_better: bool, *scores: float) -> str:
    """One of the three words: the direction where the interval leaves out zero, and reaches beyond rounding of the scores."""
    low, high = interval
    rounding = ROUNDING * max(map(abs, scores), default=0.0)
    if (not low > 0 and not high < 0) or max(-low, high) <= rounding:
        return NOT_SHOWN
    return _direction(low, higher_is_better)


def _direction(difference: float, higher_is_better: bool) -> str:
    return BETTER if (difference > 0) == higher_is_better else WORSE
