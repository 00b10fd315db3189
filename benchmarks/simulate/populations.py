"""Populations of which everything is known, and samples of them: made-up scores, classes, texts and timings."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

Array = NDArray[np.float64]
MANY = 400_000
"""Examples from which a true value is computed."""


def answers(generator: Any, examples: int, agreement: float, gap: float, accuracy: float = 0.9) -> tuple[Array, Array]:
    """Whether each of two models is right, [examples]: the second in `accuracy`, the first in `gap` fewer."""
    apart = 1 - agreement
    ends = np.cumsum([accuracy - (apart + gap) / 2, (apart - gap) / 2, (apart + gap) / 2])
    case = np.searchsorted(ends, generator.random(examples), side="right")
    return np.isin(case, (0, 1)).astype(float), np.isin(case, (0, 2)).astype(float)


def students(
    generator: Any,
    examples: int,
    seeds: int,
    agreement: float,
    luck: tuple[float, float],
    gap: float,
    accuracy: float = 0.9,
) -> tuple[Array, Array]:
    """Whether the students of two sides are right, [seeds, examples] each: on the mean over all seeds the second side is right in
    `accuracy`, the first in `gap` more.

    An answer is right where a normal variable is above 0: that of the example, one of the example for the side, one of each
    answer, and the student's luck. Students of unlike sides agree on a share of `agreement`; half of what they disagree on, side
    and example decide, for all seeds. `luck` is the standard deviation of the accuracy of a side's students on all examples.
    """
    apart = spread(agreement, accuracy)
    ease = generator.normal(size=examples)
    sides = []
    for share, of_seeds in zip((accuracy + gap, accuracy), luck, strict=True):
        lucky = of_seeds * np.sqrt(1 + apart) / norm.pdf(norm.ppf(accuracy))
        whole = np.sqrt(1 + apart + lucky**2)
        of_side = ease + generator.normal(0, np.sqrt(apart / 2), examples)
        of_answer = generator.normal(0, np.sqrt(apart / 2), (seeds, examples))
        of_student = generator.normal(norm.ppf(share) * whole, lucky, (seeds, 1))
        sides.append((of_side + of_answer + of_student > 0).astype(float))
    return sides[0], sides[1]


@lru_cache(None)
def spread(agreement: float, accuracy: float) -> float:
    """The variance beside the example's own, 1, with which two models of one accuracy agree on so many examples."""

    def agree(variance: float) -> float:
        shared = 1 / (1 + variance)
        both = multivariate_normal.cdf([norm.ppf(accuracy)] * 2, cov=[[1, shared], [shared, 1]])
        return float(1 - 2 * (accuracy - both) - agreement)

    return float(brentq(agree, 1e-6, 100))


def classes(
    generator: Any, examples: int, agreement: float, gap: float, positives: float = 0.3, accuracy: float = 0.9
) -> tuple[Array, Array, Array]:
    """Two models' predicted classes, and the right ones, [examples]: of two, the second in a share of `positives`."""
    right = (generator.random(examples) < positives).astype(float)
    sides = answers(generator, examples, agreement, gap, accuracy)
    first, second = (np.where(side == 1, right, 1 - right) for side in sides)
    return first, second, right


def scores(generator: Any, examples: int, agreement: float, gap: float) -> tuple[Array, Array]:
    """ROUGE-like: a score in 0..1 of each example and 1, [examples, 2]; where they disagree the text is another one."""
    base = generator.beta(2, 4, examples)
    other = np.clip(base - gap / (1 - agreement) + generator.normal(0, 0.15, examples), 0, 1)
    first = np.where(generator.random(examples) < agreement, base, other)
    return np.stack([first, np.ones(examples)], axis=1), np.stack([base, np.ones(examples)], axis=1)


def counts(generator: Any, examples: int, agreement: float, gap: float) -> tuple[Array, Array]:
    """BLEU's ten counts of each example, [examples, 10], of translations of 4 to 40 words."""
    length = np.maximum(4, generator.poisson(generator.gamma(3, 6, examples)))
    ease = generator.beta(3, 3, examples)

    def system(ease: Array) -> Array:
        own = np.maximum(1, length + generator.integers(-2, 3, examples))
        right = [generator.binomial(own, np.clip(0.35 + 0.5 * ease, 0, 1))]
        for n in (2, 3, 4):
            most = np.minimum(right[-1], np.maximum(own - n + 1, 0))
            right.append(generator.binomial(most, np.clip(ease + 0.1, 0, 0.98)))
        every = [np.maximum(own - n + 1, 0) for n in (1, 2, 3, 4)]
        return np.stack([own, length, *right, *every], axis=1).astype(float)

    second, first = system(ease), system(np.clip(ease - gap / (1 - agreement), 0, 1))
    return np.where((generator.random(examples) < agreement)[:, None], second, first), second


def regressions(generator: Any, examples: int, noise: float) -> tuple[Array, Array, Array]:
    """Two models' scores and the right ones, 0..5 in tenths, [examples]: the first adds noise to the second's."""
    hidden = generator.normal(size=examples)
    right = np.clip(np.round(2.5 + 1.4 * hidden, 1), 0, 5)
    first = hidden + 0.48 * generator.normal(size=examples)
    second = first + 0.2 * generator.normal(size=examples)
    return first + noise * generator.normal(size=examples), second, right


def documents(generator: Any, examples: int, gap: float) -> tuple[Array, Array]:
    """The negative log-likelihood and the tokens of each document, [examples, 2]: lengths differ by a factor of ten."""
    tokens = np.maximum(20, generator.lognormal(5.5, 0.8, examples))
    second = 3.5 + 0.4 * generator.normal(size=examples) + generator.normal(size=examples) / np.sqrt(tokens)
    first = second + gap + 0.02 * generator.normal(size=examples)
    return np.stack([first * tokens, tokens], axis=1), np.stack([second * tokens, tokens], axis=1)


def windows(generator: Any, examples: int, gap: float) -> tuple[Array, Array]:
    """The same of the windows of one running text: neighbours resemble each other as they do on WikiText-2.

    The correlations at distances 1, 2, 5, 10 and 20 are about .28, .24, .16, .11 and .07; of the difference .09 and less.
    """
    from scipy.signal import lfilter

    def slow(memory: float) -> Array:
        noise = generator.normal(0, np.sqrt(1 - memory**2), examples + 600)
        return np.asarray(lfilter([1.0], [1.0, -memory], noise)[600:])

    parts = np.sqrt(0.12) * slow(0.6) + np.sqrt(0.14) * slow(0.9) + np.sqrt(0.08) * slow(0.98)
    second = 3.5 + 0.4 * (parts + np.sqrt(0.66) * generator.normal(size=examples))
    apart = np.sqrt(0.1) * slow(0.9) + np.sqrt(0.9) * generator.normal(size=examples)
    first = second + gap + 0.05 * apart
    tokens = np.full(examples, 128.0)
    return np.stack([128 * first, tokens], axis=1), np.stack([128 * second, tokens], axis=1)


def confidences(
    generator: Any, examples: int, sureness: float, overconfidence: float
) -> tuple[Array, NDArray[np.bool_]]:
    """The confidence of each answer, 0.5..1, and whether it is right, [examples, 1] each;
    calibrated where overconfidence is 1."""
    logit = np.abs(generator.normal(sureness, 1.2, (examples, 1)))
    right = generator.random((examples, 1)) < 1 / (1 + np.exp(-logit))
    return 1 / (1 + np.exp(-overconfidence * logit)), right
