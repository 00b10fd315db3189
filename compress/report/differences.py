"""A difference in quality in words: its value, its interval, and what the examples leave open."""

from __future__ import annotations

from compress.metrics import verdicts
from compress.report import wording
from compress.report.scales import Scale
from compress.report.significance import Difference


def interval(scale: Scale, change: Difference) -> str:
    """`+0.34 points, 99.2 % interval −0.91 to +1.59`."""
    ends = f", {wording.level(change.level)} interval {scale.signed_range(change.interval)}" if change.interval else ""
    return f"{scale.change(change.value or 0.0)}{ends}"


def verdict(scale: Scale, change: Difference) -> str:
    """`accuracy worse by less than 1 point (−0.34 points, 99.2 % interval −0.61 to −0.09)`."""
    if change.value is None:
        return f"{scale.name} not compared"
    if change.word is None:
        return scale.change_of_it(change.value)
    return f"{scale.name} {scale.verdict(change)} ({interval(scale, change)})"


def left_open(scale: Scale, change: Difference, whose: str = "") -> str:
    """What too few examples leave open and how many would settle it, in a sentence without its full stop; else empty.

    Args:
        scale: of the metric.
        change: the difference.
        whose: the name of the artifact, where the sentence is to have it.
    """
    if change.word != verdicts.NOT_ENOUGH:
        return ""
    loss = f"a loss of up to {scale.about(scale.worst(change.interval))}"
    if not scale.higher_is_better:
        loss = f"a rise of up to {scale.about(scale.worst(change.interval))}"
    of_it = f" of {scale.name}" if scale.in_points else f" in {scale.name}"
    named = f" for {whose}" if whose else ""
    said = f"on {change.examples:,} examples {loss}{of_it} cannot be ruled out{named}"
    if change.enough is not None:
        return f"{said}; about {change.enough:,} examples would settle it"
    margin = scale.margin(change.margin)
    return f"{said}; what was measured is so near the margin of {margin} that more examples may not settle it"
