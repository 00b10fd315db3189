"""Recommendations: the Pareto front, and the fastest and smallest variants that are shown to be no worse than the margin."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from compress.report.comparison import Comparison, Row
from compress.report.degenerate_outputs import has_collapsed
from compress.report.ranking import is_good

SAME_SIZE = 1.02
"""Files within 2 % of the smallest count as equally small; the faster one is then taken."""

RULE = (
    "Candidates are the variants that are shown to be better or not worse than the margin in every metric of the task and, "
    "where a budget is given, keep all its limits; and of these the Pareto front (none other is at least as good in the deciding "
    "metric, in speed and in size, and better in one). A model most of whose outputs repeat one another is no candidate. "
    "The fastest has the greatest measured speed ratio. The smallest "
    "takes the fewest bytes on disk; among files within 2 % of that, the fastest is taken. Without a candidate nothing is "
    "recommended, and the variant that loses least is named."
)


@dataclass(frozen=True)
class Recommendation:
    """A recommended variant, and the reason."""

    title: str
    row: Row
    recommended: bool
    """False for what is shown although its test says worse."""


def recommendations(comparison: Comparison, keeping: Collection[str] | None = None) -> tuple[Recommendation, ...]:
    """The variants to look at first, by the `RULE`; empty when there is no variant with a tested quality.

    Args:
        comparison: the run.
        keeping: the names of the variants that keep a budget's limits; None where there is no budget.
    """
    candidates = [row for row in comparison.variants if is_good(comparison, row) and not has_collapsed(row)]
    if keeping is not None:
        candidates = [row for row in candidates if row.name in keeping]
    candidates = front(comparison, candidates)
    why = "without a loss beyond the margin" if keeping is None else "within the budget"
    chosen = _best(comparison, candidates, why)
    rest = front(comparison, [row for row in comparison.variants if row not in candidates and _tested(comparison, row)])
    if not candidates:
        return (
            (Recommendation("Least loss", max(rest, key=lambda row: _value(comparison, row)), False),) if rest else ()
        )
    fastest = max((speed(comparison, row) or 0.0 for row in candidates), default=0.0)
    costly = [row for row in rest if _shows_loss(comparison, row) and not has_collapsed(row)]
    faster = [row for row in costly if (speed(comparison, row) or 0.0) > fastest]
    if faster:
        chosen.append(
            Recommendation(
                "Fastest of all, at a loss", max(faster, key=lambda row: speed(comparison, row) or 0.0), False
            )
        )
    return tuple(chosen)


def _best(comparison: Comparison, candidates: list[Row], why: str) -> list[Recommendation]:
    timed = [row for row in candidates if speed(comparison, row) is not None]
    fast = max(timed, key=lambda row: (speed(comparison, row) or 0.0, _value(comparison, row)), default=None)
    small = _smallest(comparison, candidates)
    if fast is not None and fast is small:
        return [Recommendation(f"Smallest and fastest {why}", fast, True)]
    named = (("Fastest", fast), ("Smallest", small))
    return [Recommendation(f"{title} {why}", row, True) for title, row in named if row is not None]


def front(comparison: Comparison, among: Sequence[Row]) -> list[Row]:
    """Those that none other of them dominates in deciding metric, speed and size."""
    rows = [row for row in among if _objectives(comparison, row)]
    return [row for row in rows if not any(_dominates(comparison, other, row) for other in rows)]


def latency_front(comparison: Comparison) -> list[Row]:
    """The rows on the front of deciding metric against latency, fastest first: what the plot's line joins."""
    condition = comparison.headline
    if condition is None or comparison.metric is None:
        return []
    placed = []
    for row in comparison.rows:
        latency, quality = row.speeds[condition].time.value, row.quality[comparison.metric].value.value
        if latency is not None and quality is not None:
            placed.append((latency, -comparison.scale.gain(quality), row))
    placed.sort(key=lambda one: one[:2])
    line: list[Row] = []
    best = float("inf")
    for _, loss, row in placed:
        if loss < best:
            line.append(row)
            best = loss
    return line


def speed(comparison: Comparison, row: Row) -> float | None:
    """The speed ratio at the headline condition."""
    return row.speeds[comparison.headline].ratio.value if comparison.headline else None


def _smallest(comparison: Comparison, rows: list[Row]) -> Row | None:
    sized = [row for row in rows if row.disk.value is not None]
    if not sized:
        return None
    least = min(row.disk.value or 0.0 for row in sized)
    near = [row for row in sized if (row.disk.value or 0.0) <= least * SAME_SIZE]
    return max(near, key=lambda row: (speed(comparison, row) or 0.0, _value(comparison, row)))


def _objectives(comparison: Comparison, row: Row) -> tuple[float, float, float] | None:
    """The main metric, speed and smallness: higher is better; a missing speed or size counts as the worst."""
    if comparison.metric is None or row.quality[comparison.metric].value.value is None:
        return None
    small = -row.disk.value if row.disk.value is not None else float("-inf")
    return _value(comparison, row), speed(comparison, row) or 0.0, small


def _dominates(comparison: Comparison, one: Row, other: Row) -> bool:
    mine, its = _objectives(comparison, one), _objectives(comparison, other)
    return mine is not None and its is not None and mine != its and all(a >= b for a, b in zip(mine, its, strict=True))


def _value(comparison: Comparison, row: Row) -> float:
    """The deciding metric so that greater is better."""
    value = row.quality[comparison.metric].value.value if comparison.metric else None
    return comparison.scale.gain(value) if value is not None else float("-inf")


def _tested(comparison: Comparison, row: Row) -> bool:
    return bool(comparison.metric) and row.quality[comparison.metric or ""].difference.word is not None


def _shows_loss(comparison: Comparison, row: Row) -> bool:
    return bool(comparison.metric) and row.quality[comparison.metric or ""].difference.shows_loss
