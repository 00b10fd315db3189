"""How far a classifier's probabilities can be believed: expected calibration error, and the Brier score.

The confidence of a decision is the probability that the model gives to what it predicts. Of several labels an example has one
decision for each label.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from compress.metrics.intervals import LEVEL, Interval, mean_interval

BINS = 15
"""Of equal width, from 0 to 1, as Guo et al. used."""
DRAWS, SEED = 200, 20261129

Numbers = NDArray[np.float64]


def brier(probabilities: Numbers, right: Numbers) -> Numbers:
    """The squared distance between the probabilities and what is right, [examples]; lower is better.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", 1950, eq. 2: the sum over all classes, 0 to 2.
    With two classes that is twice the form which looks at one of them. Labels each by itself have that one-sided form, 0 to 1,
    and an example the mean over its labels.

    Args:
        probabilities: of each class, or of each label by itself, [examples, outcomes].
        right: class ids, [examples]; or of labels 0 or 1, [examples, labels].
    """
    if right.ndim == 2:
        return np.asarray(np.square(probabilities - right).mean(axis=1), dtype=np.float64)
    wanted = np.zeros_like(probabilities)
    wanted[np.arange(len(right)), right.astype(np.int64)] = 1
    return np.asarray(np.square(probabilities - wanted).sum(axis=1), dtype=np.float64)


def confidences(probabilities: Numbers, predicted: Numbers) -> Numbers:
    """The probability of each decision, [examples, decisions].

    Args:
        probabilities: as of `brier`.
        predicted: class ids, [examples]; or of labels 0 or 1, [examples, labels].
    """
    if predicted.ndim == 2:
        return np.where(predicted > 0, probabilities, 1 - probabilities)
    return probabilities[np.arange(len(predicted)), predicted.astype(np.int64)][:, None]


def statistics(confidence: Numbers, is_right: NDArray[np.bool_]) -> Numbers:
    """By bin how much more often an example's decisions are right than they are sure; and how many it has, [examples, bins + 1].

    Args:
        confidence, is_right: [examples, decisions].
    """
    bins = _bins(confidence)
    found = np.zeros((len(confidence), BINS + 1))
    rows = np.broadcast_to(np.arange(len(confidence))[:, None], bins.shape)
    np.add.at(found, (rows, bins), is_right - confidence)
    found[:, BINS] = confidence.shape[1]
    return found


def calibration_error(sums: Numbers) -> float:
    """The expected calibration error (ECE), 0 to 1: the mean gap between accuracy and confidence in the bins of all decisions.

    Guo et al., "On calibration of modern neural networks", ICML 2017, eq. 3, with 15 bins of equal width.

    Args:
        sums: of the rows of `statistics`, [bins + 1].
    """
    return float(np.abs(sums[:BINS]).sum() / sums[BINS]) if sums[BINS] else math.nan


def if_calibrated(confidence: Numbers) -> float:
    """The ECE that a perfectly calibrated model of these confidences has on average, 0 to 1.

    It is above 0, and the more so the fewer examples there are, since chance alone makes gaps in the bins.

    Args:
        confidence: [examples, decisions].
    """
    random = np.random.default_rng(SEED)
    flat = confidence.ravel()
    bins, gaps = _bins(flat), []
    for _ in range(DRAWS):
        is_right = random.random(flat.size) < flat
        gaps.append(np.abs(np.bincount(bins, weights=is_right - flat, minlength=BINS)).sum() / flat.size)
    return float(np.mean(gaps))


def error_interval(confidence: Numbers, is_right: NDArray[np.bool_], *, level: float = LEVEL) -> Interval:
    """The interval of the expected calibration error over examples.

    What is seen is the sum of the sizes of gaps, each with an error, so it lies above the truth where the gaps are small:
    resamples of a calibrated model never reach down to it. By the triangle inequality the truth is at least what is seen, less
    the sum of the sizes of the errors. Above, it is what is seen and a sum of errors with the signs of the gaps, as where gaps
    are large. The errors are drawn for each bin from a normal distribution with the variance that was seen there, or that of
    a calibrated model where it is greater: a bin of few decisions, all right, shows no variance. How often the interval holds
    the truth is simulated in docs/statistics.md.

    Args:
        confidence, is_right: [examples, decisions].
        level: 0 to 1.
    """
    rows = statistics(confidence, is_right)
    gaps, decisions = rows[:, :BINS], rows[:, BINS].sum()
    if len(rows) < 2:
        return 0.0, 1.0
    chance = np.bincount(_bins(confidence).ravel(), weights=(confidence * (1 - confidence)).ravel(), minlength=BINS)
    spread = np.sqrt(np.maximum(len(rows) * gaps.var(axis=0, ddof=1), chance)) / decisions
    errors = np.random.default_rng(SEED).normal(size=(10 * DRAWS, BINS)) * spread
    seen = calibration_error(rows.sum(axis=0))
    low = seen - np.quantile(np.abs(errors).sum(axis=1), level)
    high = seen + np.quantile(np.abs(errors.sum(axis=1)), level)
    return max(0.0, float(low)), min(1.0, float(high))


def brier_interval(scores: Numbers, worst: float) -> Interval | None:
    """Student's 95 % interval of the mean score; it reaches up at least as far as with one further example of the worst score.

    Without that it covers 86 % where few of 100 examples are wrong. None for fewer than two examples.

    Args:
        scores: of `brier`, [examples].
        worst: 2 for classes, 1 for labels.
    """
    found, further = mean_interval(scores), mean_interval(np.append(scores, worst))
    if found is None or further is None:
        return None
    return max(0.0, found[0]), min(worst, max(found[1], further[1]))


def _bins(confidence: Numbers) -> NDArray[np.int64]:
    """A bin holds its upper edge, as eq. 2 has it: ((m - 1) / M, m / M]."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
