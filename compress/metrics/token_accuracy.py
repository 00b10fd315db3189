"""Token accuracy: the fraction of positions at which a model predicts the same token as its teacher, 0..1.

Both see the same tokens before each place (teacher forcing), so one different token does not move all that follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compress.core.labels import NO_LABEL
from compress.metrics.metric import Metric, Statistics, as_table, paired, ratio_of

COLUMNS = ("right", "tokens")


def token_accuracy(predicted: Sequence[Any], labels: Sequence[Any]) -> Statistics:
    """How many tokens are right, and how many there are, [examples, 2].

    Args:
        predicted: for each example the token ids predicted, [tokens].
        labels: the teacher's at the same places, [tokens]; -100 where a place does not count.

    Raises:
        ValueError: an example's two arrays are not of one length.
    """
    rows = []
    for number, (own, right) in enumerate(paired(predicted, labels)):
        ids, wanted = np.asarray(own), np.asarray(right)
        if ids.shape != wanted.shape or ids.ndim != 1:
            raise ValueError(
                f"Example {number}: predictions {ids.shape} and labels {wanted.shape} must be of one length."
            )
        counted = wanted != NO_LABEL
        rows.append((float((ids[counted] == wanted[counted]).sum()), float(counted.sum())))
    return as_table(rows, COLUMNS)


METRIC = Metric(
    name="token_accuracy",
    title="token accuracy",
    kinds=("language_modelling",),
    statistics=token_accuracy,
    of_sums=ratio_of,
    signature=lambda: "weighted:tokens|context:teacher-forced",
)
