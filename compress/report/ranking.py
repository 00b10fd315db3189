"""Ranks the variants of a run: what can be recommended first, and of these the fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compress.metrics import verdicts

if TYPE_CHECKING:
    from compress.report.comparison import Comparison, Row

_WORDS = (verdicts.BETTER, verdicts.NOT_WORSE, verdicts.NOT_ENOUGH, None, verdicts.WORSE)


def order(comparison: Comparison) -> tuple[Row, ...]:
    """All variants, the best choice first: by verdict, then by speed, then by the deciding metric."""
    return tuple(sorted(comparison.variants, key=lambda row: _rank(comparison, row)))


def is_good(comparison: Comparison, row: Row) -> bool:
    """Whether a row is shown to be better or not worse than the margin in every metric of the task."""
    return bool(comparison.metrics) and all(
        row.quality[metric].difference.can_be_recommended for metric in comparison.metrics
    )


def _rank(comparison: Comparison, row: Row) -> tuple[float, ...]:
    words = [row.quality[metric].difference.word for metric in comparison.metrics]
    worst = max((_WORDS.index(word) for word in words), default=0)
    ratio = row.speeds[comparison.headline].ratio.value if comparison.headline else None
    value = row.quality[comparison.metric].value.value if comparison.metric else None
    gain = comparison.scale.gain(value) if value is not None else float("-inf")
    return (max(worst, 1), -(ratio or 0.0), -gain)
