"""Which variants to take: the Pareto front, and the fastest and the smallest of those whose test shows no loss."""

from __future__ import annotations

from dataclasses import dataclass

from compress.report.comparison import Comparison, Row

SAME_SIZE = 1.02
"""Files within 2 % of the smallest count as equally small; the faster one is then taken."""

RULE = (
    "Candidates are the variants on the Pareto front (none other is at least as good in the deciding metric, in speed and "
    "in size, and better in one) whose paired test against the uncompressed model does not say worse. The fastest is the "
    "one with the greatest measured speed ratio. The smallest takes the fewest bytes on disk; among files within 2 % of "
    "that, the fastest is taken. Where every variant shows a loss, the one that loses least is named, and nothing is recommended."
)


@dataclass(frozen=True)
class Pick:
    """A variant, and what for."""

    title: str
    row: Row
    recommended: bool
    """False for what is shown although its test says worse."""


def picks(comparison: Comparison) -> tuple[Pick, ...]:
    """The variants to look at first, by the `RULE`; empty when there is no variant with a tested quality."""
    rows = front(comparison)
    safe = [row for row in rows if _shows_no_loss(comparison, row)]
    chosen: list[Pick] = []
    if safe:
        fast = max(safe, key=lambda row: (speed(comparison, row) or 0.0, -(row.disk.value or float("inf"))))
        small = _smallest(comparison, safe)
        if fast is small or small is None:
            chosen.append(Pick("Smallest and fastest with no loss shown" if small else _FASTEST, fast, True))
        elif speed(comparison, fast) is None:
            chosen.append(Pick(_SMALLEST, small, True))
        else:
            chosen += [Pick(_FASTEST, fast, True), Pick(_SMALLEST, small, True)]
    lossy = [row for row in rows if _shows_loss(comparison, row)]
    if not safe and lossy:
        return (
            Pick("Least loss: every variant shows one", max(lossy, key=lambda row: _value(comparison, row)), False),
        )
    faster = [
        row
        for row in lossy
        if (speed(comparison, row) or 0) > max((speed(comparison, s) or 0 for s in safe), default=0)
    ]
    if faster:
        fastest = max(faster, key=lambda row: speed(comparison, row) or 0)
        chosen.append(Pick("Fastest of all, at a loss", fastest, False))
    return tuple(chosen)


_FASTEST, _SMALLEST = "Fastest with no loss shown", "Smallest with no loss shown"


def front(comparison: Comparison) -> list[Row]:
    """The variants that none other dominates in deciding metric, speed and size."""
    rows = [row for row in comparison.variants if _objectives(comparison, row)]
    return [row for row in rows if not any(_dominates(comparison, other, row) for other in rows)]


def picture_front(comparison: Comparison) -> list[Row]:
    """The rows on the front of deciding metric against latency, fastest first: what the picture's line joins."""
    condition = comparison.headline
    if condition is None or comparison.metric is None:
        return []
    placed = []
    for row in comparison.rows:
        latency, quality = row.speeds[condition].median.value, row.quality[comparison.metric].value.value
        if latency is not None and quality is not None:
            placed.append((latency, -quality, row))
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
    """Deciding metric, speed, smallness: greater is better; a missing speed or size counts as the worst."""
    if comparison.metric is None or row.quality[comparison.metric].value.value is None:
        return None
    small = -row.disk.value if row.disk.value is not None else float("-inf")
    return _value(comparison, row), speed(comparison, row) or 0.0, small


def _dominates(comparison: Comparison, one: Row, other: Row) -> bool:
    mine, its = _objectives(comparison, one), _objectives(comparison, other)
    return mine is not None and its is not None and mine != its and all(a >= b for a, b in zip(mine, its, strict=True))


def _value(comparison: Comparison, row: Row) -> float:
    value = row.quality[comparison.metric].value.value if comparison.metric else None
    return value if value is not None else float("-inf")


def _shows_no_loss(comparison: Comparison, row: Row) -> bool:
    return bool(comparison.metric) and row.quality[comparison.metric or ""].difference.shows_no_loss


def _shows_loss(comparison: Comparison, row: Row) -> bool:
    return bool(comparison.metric) and row.quality[comparison.metric or ""].difference.shows_loss
