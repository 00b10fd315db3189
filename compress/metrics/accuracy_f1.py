"""The mean of accuracy and F1, 0..1, as GLUE's leaderboard scores MRPC and QQP."""

from __future__ import annotations

from dataclasses import replace

import numpy

from compress.metrics.accuracy import is_right
from compress.metrics.f1 import METRIC as F1
from compress.metrics.metric import Statistics, Values, ratio_of


def _statistics(predictions: Values, references: Values) -> Statistics:
    """Those of accuracy, and those of F1, [examples, 4]."""
    return numpy.hstack([is_right(predictions, references), F1.statistics(predictions, references)])


def _of_sums(sums: Statistics) -> float:
    """Undefined where F1 is."""
    return (ratio_of(sums[:2]) + ratio_of(sums[2:])) / 2


METRIC = replace(
    F1,
    name="accuracy_f1",
    title="mean of accuracy and F1",
    statistics=_statistics,
    of_sums=_of_sums,
    mean_of=("accuracy", "f1"),
)
