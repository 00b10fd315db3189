"""The score on the held-out rows of the weights that a training kept, read from what it recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress.core import catalogue

ON_HELD_OUT = " on held-out rows"
"""How the name of a curve of scores ends, behind the metric's."""


@dataclass(frozen=True)
class KeptScore:
    """A metric of the weights that were kept."""

    metric: str
    value: float
    higher_is_better: bool


def kept_score(facts: Mapping[str, Any]) -> KeptScore | None:
    """The score of the kept weights: that of the best epoch or of the last, whichever was kept.

    Args:
        facts: of a training: `curves`, and `kept` (`best` or `last`).

    Returns:
        None where no score was recorded, or one in a metric that is not known here.
    """
    from compress.metrics.metric import find

    curves = facts.get("curves") or {}
    name = next((one for one in curves if one.endswith(ON_HELD_OUT)), None)
    if name is None or not curves[name]:
        return None
    metric = name.removesuffix(ON_HELD_OUT)
    if metric not in catalogue.names("metrics"):
        return None
    values = [float(value) for _, value in curves[name]]
    higher_is_better = find(metric).higher_is_better
    best = max(values) if higher_is_better else min(values)
    return KeptScore(metric, best if facts.get("kept") == "best" else values[-1], higher_is_better)
