"""The sign-flip (Fisher-Pitman) permutation test of the mean of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.metrics.resampling import SEED

FLIPS = 10_000
"""Draws of a test that is not worked out exactly."""
_EXACT_UP_TO = 100_000
"""The sum of all differences' sizes up to which the exact distribution takes a second or two at most."""


@dataclass(frozen=True)
class SignFlip:
    """The result of a sign-flip test on the mean of paired differences."""

    p_value: float
    flips: int | None
    """How many times signs were drawn; None where all of them were counted."""


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
        return SignFlip(_all_signs(round(seen), np.bincount(sizes.astype(np.int64))), None)
    totals = np.abs(_drawn_signs(given, flips, seed))
    # Sums of the same numbers in another order differ in their last digits; a tie counts as being as far from zero.
    beyond = int(np.sum(totals >= seen * (1 - 1e-9)))
    return SignFlip((beyond + 1) / (flips + 1), flips)


def _all_signs(seen: int, counts: Any) -> float:
    """The share of all signs whose sum is at least as far from zero as the one seen.

    The sum is that of k * (2 * Binomial(counts[k], 1/2) - counts[k]) over the sizes k >= 1.
    """
    from scipy.stats import binom

    chances = np.ones(1)
    for size, count in enumerate(counts):
        if size and count:
            one = np.zeros(size * count + 1)
            one[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
            chances = np.convolve(chances, one)
    total = chances.size - 1
    far = np.abs(2 * np.arange(total + 1) - total)
    return min(1.0, float(chances[far >= seen].sum()))


def _drawn_signs(differences: Any, flips: int, seed: int) -> Any:
    """The sums of the differences under so many draws of their signs, [flips]."""
    generator = np.random.default_rng(seed)
    given = differences[differences != 0]
    sums = []
    for start in range(0, flips, 500):
        signs = generator.integers(0, 2, (min(500, flips - start), given.size), dtype=np.int8)
        sums.append(2 * (signs @ given) - given.sum())
    return np.concatenate(sums)
