"""The verdict on a difference in quality: one of four words, read from an interval and a margin (non-inferiority).

A margin is the loss that is small enough to be accepted. That a loss was not shown is no evidence that there is none
(Piaggio et al., "Reporting of noninferiority and equivalence randomized trials", JAMA 308, 2012): what counts is whether
the interval leaves a loss beyond the margin open.
"""

from __future__ import annotations

BETTER = "better"
NOT_WORSE = "not worse"
WORSE = "worse"
NOT_ENOUGH = "not enough examples"
NOT_ENOUGH_SEEDS = "not enough seeds or examples"
"""The same of a distillation gain: more of either can settle it."""
GOOD = frozenset({BETTER, NOT_WORSE})
"""The words with which a variant can be recommended."""

MARGIN = 0.01
"""The loss that is accepted unless another is given: a point of 100, or this share of a score that is not in points."""
POWER = 0.8
"""The chance with which a difference must be shown before it is said that it could have been."""
NEAR = 0.1
"""Of the margin: a difference that lies within this of it is settled by no number of examples that one could name."""
_SLACK = 1e-12
"""Rounding of binary numbers: 0.883 - 0.873 is a little more than 0.01."""


def word(low: float, high: float, margin: float, *, of_seeds: bool = False) -> str:
    """One of the four words.

    Args:
        low: the lower end of the interval of a difference, turned so that greater is better.
        high: its upper end.
        margin: the loss that is accepted, at least 0, in the same unit.
        of_seeds: whether more seeds, too, could settle what the interval leaves open.

    >>> word(0.001, 0.02, 0.01), word(-0.008, 0.02, 0.01), word(-0.03, -0.001, 0.01), word(-0.14, 0.02, 0.01)
    ('better', 'not worse', 'worse', 'not enough examples')
    """
    if low > 0:
        return BETTER
    if low >= -margin - _SLACK:
        return NOT_WORSE
    if high < 0:
        return WORSE
    return NOT_ENOUGH_SEEDS if of_seeds else NOT_ENOUGH


def detectable(low: float, high: float, level: float) -> float:
    """The smallest difference that as many examples show with 80 % power, where the interval is as wide as this one.

    The interval's half width is z(level) standard errors; a difference of z(level) + z(0.8) of them leaves zero out with
    that power (Cohen, "Statistical power analysis for the behavioral sciences", 1988, ch. 2).

    Args:
        low: the interval's lower end.
        high: its upper end.
        level: its level, 0 to 1.
    """
    from scipy.stats import norm

    half = (high - low) / 2
    return half * (1 + float(norm.ppf(POWER)) / float(norm.ppf((1 + level) / 2)))


def enough(value: float, low: float, high: float, margin: float, examples: int) -> int | None:
    """About how many examples would turn *not enough examples* into another word, were the difference the one measured.

    An interval narrows with the square root of the examples: its lower end then reaches the margin, or its upper end zero.

    Args:
        value: the difference measured, turned so that greater is better.
        low: the lower end of its interval.
        high: the upper end.
        margin: the loss that is accepted.
        examples: how many there are.

    Returns:
        A number of two digits and zeros; None where the difference lies so near the margin that none could be named.
    """
    if abs(value + margin) <= NEAR * margin:
        return None
    shares = [(value - low) / (value + margin)] if value > -margin else []
    shares += [(high - value) / -value] if value < 0 else []
    needed = min((examples * share**2 for share in shares), default=float("inf"))
    return _two_digits(needed) if needed <= 1000 * examples else None


def _two_digits(number: float) -> int:
    """Rounded up: 1,340 becomes 1,400."""
    import math

    unit = 10 ** max(math.floor(math.log10(max(number, 1.0))) - 1, 0)
    return math.ceil(number / unit - 1e-9) * unit
