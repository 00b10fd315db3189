"""Checks of a model's outputs beside its metrics: whether they differ from one another, and agree with the root's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.measurement import Measurement
from compress.measure.quality import AGREEMENT, of_rows
from compress.measure.quality import absent as absent
from compress.measure.quantities import DISTINCT, OUTPUT_TOKENS
from compress.metrics import statistics, token_accuracy
from compress.metrics.distinct import distinct

OFTEN = 0.01
"""The share of outputs that are one text, or empty, from which on a note says so."""


def of_outputs(
    fingerprint: str, texts: Sequence[str], tokens: Sequence[int], condition: Mapping[str, Any]
) -> list[Measurement]:
    """Whether outputs differ from one another, and how long they are.

    Args:
        fingerprint: the artifact's.
        texts: what it wrote.
        tokens: how many tokens each has, the end of text included.
        condition: as for `compress.measure.quality.of_rows`.
    """
    found = distinct(texts)
    notes = []
    if found.most_common_share > OFTEN and round(found.most_common_share * found.outputs) > 1:
        notes.append(f"{found.most_common_share:.1%} of the outputs are one text: {found.most_common[:80]!r}")
    if found.empty_share > OFTEN:
        notes.append(f"{found.empty_share:.1%} of the outputs are empty")
    lengths = np.asarray(tokens, dtype=np.float64)
    limit = condition.get("max_new_tokens")
    stopped = int((lengths >= limit).sum()) if limit else 0
    cut = (f"{stopped} of {len(lengths)} outputs were ended at {limit} tokens",) if stopped else ()
    return [
        Measurement(
            fingerprint, DISTINCT, found.share, "share", True, condition, samples=found.outputs, notes=tuple(notes)
        ),
        Measurement(
            fingerprint,
            OUTPUT_TOKENS,
            float(lengths.mean()),
            "count",
            False,
            condition,
            samples=len(lengths),
            interval=statistics.bootstrap(lambda drawn: float(lengths[drawn].mean()), len(lengths)),
            per_example=tuple(float(one) for one in lengths),
            notes=cut,
        ),
    ]


def same_outputs(
    fingerprint: str, texts: Sequence[str], of_root: Sequence[str] | None, condition: Mapping[str, Any]
) -> Measurement:
    """The share of rows after which the artifact writes what the uncompressed model writes, to the letter."""
    if of_root is None:
        return no_agreement(fingerprint, condition, "the uncompressed model could not be run")
    same = np.array([one.strip() == other.strip() for one, other in zip(texts, of_root, strict=True)], np.float64)
    return Measurement(
        fingerprint,
        AGREEMENT,
        float(same.mean()),
        "share",
        True,
        condition,
        samples=same.size,
        interval=statistics.wilson(int(same.sum()), same.size),
        per_example=tuple(float(one) for one in same),
    )


def same_tokens(
    fingerprint: str,
    predicted: Sequence[NDArray[np.int64]],
    of_root: Sequence[NDArray[np.int64]] | None,
    groups: Sequence[int] | None,
    condition: Mapping[str, Any],
) -> Measurement:
    """Token accuracy against the uncompressed model: both read the reference, and say the likeliest token at each place.

    Args:
        fingerprint: the artifact's.
        predicted: for each row the token that it says, -100 where there was none to say, [tokens].
        of_root: the uncompressed model's; None where it could not be run.
        groups: the number of the example that each row is of; None where each is one.
        condition: as for `compress.measure.quality.of_rows`.
    """
    condition, metric = {**condition, "against": "root"}, token_accuracy.METRIC
    if of_root is None:
        return absent(fingerprint, metric, condition, "the uncompressed model could not be run")
    if [len(row) for row in predicted] != [len(row) for row in of_root]:
        return absent(fingerprint, metric, condition, "it has other tokens than the uncompressed model")
    return of_rows(fingerprint, metric, summed(metric.statistics(predicted, of_root), groups), condition)


def summed(rows: NDArray[np.float64], groups: Sequence[int] | None) -> NDArray[np.float64]:
    """Rows of statistics [rows, columns] added up by the number of their group, in order; as they are for None."""
    if groups is None:
        return rows
    _, places = np.unique(np.asarray(groups), return_inverse=True)
    found = np.zeros((int(places.max()) + 1, rows.shape[1]))
    np.add.at(found, places, rows)
    return found


def no_agreement(fingerprint: str, condition: Mapping[str, Any], reason: str) -> Measurement:
    """The agreement with the root, where there is none to be had."""
    return Measurement(fingerprint, AGREEMENT, None, "share", True, condition, absent=reason)


def no_outputs(fingerprint: str, condition: Mapping[str, Any], reason: str) -> list[Measurement]:
    """What is told of outputs, where there are none."""
    return [
        Measurement(fingerprint, DISTINCT, None, "share", True, condition, absent=reason),
        Measurement(fingerprint, OUTPUT_TOKENS, None, "count", False, condition, absent=reason),
    ]
