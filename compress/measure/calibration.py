"""How far the probabilities of a classifier can be believed: expected calibration error and Brier score, as measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from compress.core.measurement import Measurement
from compress.measure.quantities import BRIER, CALIBRATION, absent, measured
from compress.metrics import calibration

DIGITS = 6
"""Of the numbers that are kept for each example."""
HIDDEN = "the labels of this split are hidden"


def of_probabilities(
    fingerprint: str, probabilities: Any, predicted: Any, labels: Any, condition: Mapping[str, Any]
) -> list[Measurement]:
    """Expected calibration error, with the confidence of each answer where an example has one, and Brier score of each example.

    Args:
        fingerprint: the artifact's.
        probabilities: of each class, or of each label by itself, [examples, outcomes], in the task's order.
        predicted: class ids, [examples]; or of labels 0 or 1, [examples, labels].
        labels: the right ones; empty where they are hidden.
        condition: as of `compress.measure.quality.quality`.
    """
    if len(labels) == 0:
        return [absent(fingerprint, name, condition, HIDDEN) for name in (CALIBRATION, BRIER)]
    right = np.asarray(labels, np.float64)
    sure = calibration.confidences(probabilities, predicted)
    is_right = (np.asarray(predicted) == right).reshape(sure.shape)
    rows = calibration.statistics(sure, is_right)
    each = np.round(calibration.brier(probabilities, right), DIGITS)
    expected = calibration.if_calibrated(sure)
    has_one = sure.shape[1] == 1
    ece = measured(
        fingerprint,
        CALIBRATION,
        calibration.calibration_error(rows.sum(axis=0)),
        condition,
        samples=len(rows),
        interval=calibration.error_interval(sure, is_right),
        raw=tuple(np.round(sure[:, 0], DIGITS).tolist()) if has_one else (),
        notes=(
            f"15 bins of equal width; a perfectly calibrated model would have about {expected:.4f} here, since the estimate is "
            "biased upwards",
        ),
    )
    form = "the sum over classes (0 to 2)" if has_one else "the mean over labels (0 to 1)"
    brier = measured(
        fingerprint,
        BRIER,
        each.mean(),
        condition,
        samples=len(each),
        interval=calibration.brier_interval(each, 2.0 if has_one else 1.0),
        per_example=tuple(each.tolist()),
        notes=(form,),
    )
    return [ece, brier]
