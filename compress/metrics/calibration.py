"""How far a classifier's probabilities can be believed: expected calibration error, and the Brier score.

The confidence of a decision is the probability that the model gives to what it predicts. Of several labels an example has one
decision for each label.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

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


def _bins(confidence: Numbers) -> NDArray[np.int64]:
    """A bin holds its upper edge, as eq. 2 has it: ((m - 1) / M, m / M]."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
