"""How many answers depend on the batch: speed is quoted for one text at a time, and quality is measured in batches.

Dynamic quantization takes the range of activations over a whole batch, so that a text may get another answer beside other texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compress.core.measurement import Measurement
from compress.measure.quantities import CHANGED, measured

MOST = 200
"""Examples that are predicted once more, one at a time."""


def examples(count: int) -> list[int]:
    """The numbers of the examples that are compared: all, or `MOST` of them at equal distances."""
    return [int(one) for one in np.linspace(0, count - 1, min(count, MOST)).round()]


def changed(
    fingerprint: str,
    numbers: Sequence[int],
    alone: Sequence[Any],
    together: Sequence[Any],
    batch_size: int,
    condition: Mapping[str, Any],
) -> Measurement:
    """How many answers to examples one at a time differ from those in batches; `raw` has the numbers of these examples.

    Args:
        fingerprint: the artifact's.
        numbers: the examples', in the split's order.
        alone: the answer to each of them in a batch of its own.
        together: the same in batches of `batch_size`.
        condition: what both were read under.
    """
    differ = [
        number for number, one, other in zip(numbers, alone, together, strict=True) if not np.array_equal(one, other)
    ]
    told = f"{len(differ)} of {len(numbers)} examples get another answer one at a time than in batches of {batch_size}"
    return measured(
        fingerprint,
        CHANGED,
        len(differ),
        {**condition, "batch": 1, "against_batch": batch_size},
        samples=len(numbers),
        raw=tuple(float(one) for one in differ),
        notes=(told,) if differ else (),
    )
