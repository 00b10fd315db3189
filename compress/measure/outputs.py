"""Whether the texts that a model generates differ from one another, and how long they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compress.core.measurement import Measurement
from compress.measure.quantities import DISTINCT, OUTPUT_TOKENS, measured
from compress.metrics import intervals
from compress.metrics.distinct import distinct

OFTEN = 0.01
"""The share of outputs that are one text, or empty, from which on a note says so."""


def of_outputs(
    fingerprint: str, texts: Sequence[str], tokens: Sequence[int], condition: Mapping[str, Any]
) -> list[Measurement]:
    """The share of distinct outputs, and the mean of their tokens.

    Args:
        fingerprint: the artifact's.
        texts: what it generated.
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
    interval = intervals.mean_interval(lengths)
    each = tuple(float(one) for one in lengths)
    how = {"samples": len(lengths), "interval": interval, "per_example": each, "notes": cut}
    return [
        measured(fingerprint, DISTINCT, found.share, condition, samples=found.outputs, notes=tuple(notes)),
        measured(fingerprint, OUTPUT_TOKENS, lengths.mean(), condition, **how),
    ]
