"""How often an artifact answers what the uncompressed model answers, right or wrong: what users of the old model will notice.

Two models of equal accuracy may still differ on many examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.measurement import Measurement
from compress.measure import quality
from compress.measure.quantities import AGREEMENT, absent, measured
from compress.metrics import intervals, token_accuracy
from compress.tasks.task import Task

NO_ROOT = "the uncompressed model could not be run"


def of_predictions(
    fingerprint: str, predicted: Any, of_root: Any, task: Task, condition: Mapping[str, Any]
) -> Measurement:
    """The share of examples for which both predict the same; of tagged words the share of an example's words, the mean over
    examples."""
    if not task.law.chooses:
        return absent(fingerprint, AGREEMENT, condition, "scores are not classes: see the correlation instead")
    if of_root is None:
        return absent(fingerprint, AGREEMENT, condition, NO_ROOT)
    pairs = zip(predicted, of_root, strict=True)
    same = np.array([np.mean(np.equal(ours, theirs)) for ours, theirs in pairs if np.size(ours)])
    return _mean(fingerprint, np.floor(same) if task.law.several else same, condition)  # of several labels all or none


def of_texts(
    fingerprint: str, texts: Sequence[str], of_root: Sequence[str] | None, condition: Mapping[str, Any]
) -> Measurement:
    """The share of rows after which both generate the same text, to the letter."""
    if of_root is None:
        return absent(fingerprint, AGREEMENT, condition, NO_ROOT)
    same = np.array([one.strip() == other.strip() for one, other in zip(texts, of_root, strict=True)], np.float64)
    return _mean(fingerprint, same, condition)


def of_tokens(
    fingerprint: str,
    predicted: Sequence[NDArray[np.int64]],
    of_root: Sequence[NDArray[np.int64]] | None,
    groups: Sequence[int] | None,
    condition: Mapping[str, Any],
) -> Measurement:
    """Token accuracy against the uncompressed model: both read the reference, and give the most likely token at each position.

    Args:
        fingerprint: the artifact's.
        predicted: for each row the token that it says, -100 where there was none to say, [tokens].
        of_root: the uncompressed model's; None where it could not be run.
        groups: the number of the example that each row is of; None where each is one.
        condition: as for `compress.measure.quality.of_rows`.
    """
    if of_root is None:
        return no_tokens(fingerprint, condition, NO_ROOT)
    if [len(row) for row in predicted] != [len(row) for row in of_root]:
        return no_tokens(fingerprint, condition, "it has other tokens than the uncompressed model")
    rows = quality.summed(token_accuracy.METRIC.statistics(predicted, of_root), groups)
    return quality.of_rows(fingerprint, token_accuracy.METRIC, rows, {**condition, "against": "root"})


def no_tokens(fingerprint: str, condition: Mapping[str, Any], reason: str) -> Measurement:
    """Token accuracy against the uncompressed model, where there is none to be had."""
    return quality.absent(fingerprint, token_accuracy.METRIC, {**condition, "against": "root"}, reason)


def _mean(fingerprint: str, same: NDArray[np.float64], condition: Mapping[str, Any]) -> Measurement:
    """The mean over examples, each the same, not, or in part, [examples]."""
    each = tuple(float(one) for one in same)
    return measured(
        fingerprint,
        AGREEMENT,
        same.mean(),
        condition,
        samples=same.size,
        interval=intervals.of_mean(same),
        per_example=each,
    )
