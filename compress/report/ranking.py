"""Ranks the variants of a run: those that can be recommended by speed, ties by quality and simplicity; then the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from compress.metrics import timings
from compress.report import lineage
from compress.report.obstacles import SEVERITY, obstacles
from compress.report.significance import difference
from compress.report.values import Condition, Lookup

if TYPE_CHECKING:
    from compress.report.comparison import Comparison, Row

SAME_SIZE = 1.02
"""Files within 2 % of one another count as equally large."""
CAREFULLY = 2
"""For so many places ties are looked for: for the recommended one and the runner-up."""


def order(comparison: Comparison) -> tuple[Row, ...]:
    """All variants, the best choice first: those that can be recommended by speed, then the others by how little they lose."""
    good = [row for row in comparison.variants if not obstacles(comparison, row)]
    ranked: list[Row] = []
    while good and len(ranked) < CAREFULLY:
        ranked.append(_first(comparison, good))
        good = [row for row in good if row not in ranked]
    ranked += sorted(good, key=lambda row: _key(comparison, row))
    rest = [row for row in comparison.variants if row not in ranked]
    return (*ranked, *sorted(rest, key=lambda row: _loss(comparison, row)))


def tied(comparison: Comparison, row: Row, among: Sequence[Row]) -> tuple[Row, ...]:
    """The others that are not shown to differ from a row in speed; where none was timed, in size."""
    return tuple(other for other in among if other is not row and _alike(comparison, row, other))


def fastest_elsewhere(comparison: Comparison, row: Row) -> tuple[tuple[Condition, Row], ...]:
    """Under each further condition, as for batches, the fastest of the variants that can be recommended where it is shown to be
    faster than `row`."""
    good = [one for one in comparison.ranked if one is not row and not obstacles(comparison, one)]
    found = []
    for condition in comparison.conditions[1:]:
        timed = [one for one in good if one.speeds[condition].ratio.value is not None]
        best = max(timed, key=lambda one: one.speeds[condition].ratio.value or 0.0, default=None)
        mine = row.speeds[condition].ratio.value
        if best is None or mine is None or _alike(comparison, row, best, condition):
            continue
        if (best.speeds[condition].ratio.value or 0.0) > mine:
            found.append((condition, best))
    return tuple(found)


def is_more_accurate(comparison: Comparison, row: Row, other: Row) -> bool:
    """Whether the deciding metric of one is shown to be better than another's."""
    if comparison.metric is None:
        return False
    index = Lookup(comparison.measurements)
    here, there = (index.within(one.artifact, one.runtime).get(one.artifact, comparison.metric) for one in (row, other))
    found = difference(here, there, comparison.measurements.references, margin=0.0, level=comparison.level)
    return found.interval is not None and min(map(comparison.scale.gain, found.interval)) > 0


def simplicity(row: Row) -> tuple[int, int]:
    """The number of steps that made it, and how many of them needed a calibration set; less is simpler."""
    steps = lineage.steps(row.artifact.manifest)
    return len(steps), sum("calibration" in one.data for one in steps)


def _first(comparison: Comparison, rows: Sequence[Row]) -> Row:
    """The fastest; of those that it ties with one that none is shown to be more accurate than, and of these the simplest."""
    fastest = min(rows, key=lambda row: _key(comparison, row))
    alike = [fastest, *tied(comparison, fastest, rows)]
    if len(alike) == 1:
        return fastest
    best = [row for row in alike if not any(is_more_accurate(comparison, one, row) for one in alike if one is not row)]
    return min(best or alike, key=lambda row: (simplicity(row), -gain(comparison, row), _key(comparison, row)))


def _alike(comparison: Comparison, row: Row, other: Row, condition: Condition | None = None) -> bool:
    """Whether the rounds in which both were timed show no difference, or the intervals of their ratios overlap; under the
    headline's condition by default."""
    condition = condition or comparison.headline
    if condition is None or row.speeds[condition].ratio.value is None:
        sizes = [one.disk.value for one in (row, other) if one.disk.value is not None]
        unmeasured = condition is None or other.speeds[condition].ratio.value is None
        return unmeasured and len(sizes) == 2 and max(sizes) <= min(sizes) * SAME_SIZE
    mine, its = row.speeds[condition], other.speeds[condition]
    if its.ratio.value is None or mine.ratio.value is None:
        return False
    if mine.ratio.interval and its.ratio.interval:
        (low, high), (its_low, its_high) = mine.ratio.interval, its.ratio.interval
        if low > its_high or its_low > high:
            return False
    if mine.rounds and len(mine.rounds) == len(its.rounds):
        _, interval = timings.ratio(its.rounds, mine.rounds)
        if interval is not None:
            return interval[0] <= 1 <= interval[1]
        shares = timings.round_ratios(its.rounds, mine.rounds)
        return min(shares) <= 1 <= max(shares)
    if mine.ratio.interval and its.ratio.interval:
        return True
    return bool(max(mine.ratio.value, its.ratio.value) <= min(mine.ratio.value, its.ratio.value) * SAME_SIZE)


def speed(comparison: Comparison, row: Row) -> float | None:
    """The speed ratio at the headline condition; None where it was not measured, or refused."""
    return row.speeds[comparison.headline].ratio.value if comparison.headline else None


def gain(comparison: Comparison, row: Row) -> float:
    """The deciding metric so that greater is better."""
    value = row.quality[comparison.metric].value.value if comparison.metric else None
    return comparison.scale.gain(value) if value is not None else float("-inf")


def _key(comparison: Comparison, row: Row) -> tuple[float, ...]:
    """By speed; without one by size."""
    size = row.disk.value
    return (
        -(speed(comparison, row) or 0.0),
        size if size is not None else float("inf"),
        -gain(comparison, row),
    )


def _loss(comparison: Comparison, row: Row) -> tuple[float, ...]:
    """The gravest obstacle, then the greatest loss that is not ruled out."""
    gravest = max(SEVERITY.index(one.kind) for one in obstacles(comparison, row))
    change = row.quality[comparison.metric].difference if comparison.metric else None
    open_loss = comparison.scale.worst(change.interval) if change and change.interval else float("inf")
    return (gravest, open_loss, *_key(comparison, row))
