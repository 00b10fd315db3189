"""Checks a run against its budget: the maximum loss, and the required speed and size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress.core.measurement import Measurements
from compress.report import wording
from compress.report.comparison import Comparison, Row, compare
from compress.report.limits import Budget
from compress.report.scales import Scale


@dataclass(frozen=True)
class Check:
    """One variant held against one limit."""

    variant: str
    limit: str
    """In words: `loses at most 1 point of accuracy`."""
    found: str
    """In words: `loses 2.41 points (95 % interval −4.13 to −0.69)`."""
    met: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a run meets its budget, and why."""

    met: bool
    limits: tuple[str, ...]
    winners: tuple[str, ...]
    """The variants that keep every limit."""
    checks: tuple[Check, ...]

    @property
    def reasons(self) -> list[str]:
        """One sentence for each variant that keeps every limit, or else for each limit that one breaks."""
        if self.met:
            return [f"{name} keeps every limit." for name in self.winners]
        broken = [f"{one.variant} {one.found}; the limit: {one.limit}." for one in self.checks if not one.met]
        return broken or ["The run has no compressed variant."]


def verdict(measurements: Measurements, budget: Budget | Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether at least one variant of the run keeps every limit, and the reasons, a sentence each.

    The values as measured decide, not their intervals; the intervals stand in the reasons. A quantity that could not be
    measured keeps no limit.

    Raises:
        CompressError: the budget cannot be read.
    """
    result = judge(compare(measurements, budget), budget)
    return result.met, result.reasons


def judge(comparison: Comparison, budget: Budget | Mapping[str, Any]) -> Verdict:
    """Check every variant of a comparison against every limit.

    Raises:
        CompressError: the budget cannot be read.
    """
    limits = budget if isinstance(budget, Budget) else Budget.read(budget, comparison.metrics)
    checks = {row.name: _checks(comparison, row, limits) for row in comparison.variants}
    winners = tuple(name for name, mine in checks.items() if all(check.met for check in mine))
    words = dict.fromkeys(check.limit for mine in checks.values() for check in mine)
    return Verdict(bool(winners), tuple(words), winners, tuple(check for mine in checks.values() for check in mine))


def _checks(comparison: Comparison, row: Row, budget: Budget) -> list[Check]:
    made = []
    if budget.max_drop is not None:
        made.append(_drop(comparison, row, budget.metric or comparison.metric or "", budget.max_drop))
    if budget.min_speedup is not None:
        made.append(_speed(comparison, row, budget.min_speedup))
    if budget.max_mb is not None:
        limit = f"at most {budget.max_mb:g} MB on disk"
        size = row.disk.value
        found = f"has no size ({row.disk.absent})" if size is None else f"takes {wording.megabytes(size)}"
        made.append(Check(row.name, limit, found, size is not None and size <= budget.max_mb * 1e6))
    return made


def _drop(comparison: Comparison, row: Row, metric: str, most: float) -> Check:
    scale = comparison.scales.get(metric, Scale(metric))
    limit = f"at most {most:g} point{'' if most == 1 else 's'} of {scale.name} lost"
    if not scale.higher_is_better:
        limit = f"{scale.name} at most {most:g} higher"
    quality = row.quality.get(metric)
    change = quality.difference if quality else None
    if change is None or change.value is None:
        reason = change.absent if change else "not measured"
        return Check(row.name, limit, f"has no {scale.name} to compare ({reason})", False)
    interval = f" (95 % interval {scale.signed_range(change.interval)})" if change.interval else ""
    found = f"changes {scale.name} by {scale.change(change.value)}{interval}"
    # A billionth of slack: 0.883 - 0.873 is a little more than 0.01 in binary.
    return Check(row.name, limit, found, scale.number(-scale.gain(change.value)) <= most + 1e-9)


def _speed(comparison: Comparison, row: Row, least: float) -> Check:
    condition = comparison.headline
    where = f", {condition.words}" if condition else ""
    limit = f"at least {least:g} times as fast as the fp32 ONNX export{where}"
    ratio = row.speeds[condition].ratio if condition else None
    if ratio is None or ratio.value is None:
        reason = ratio.absent if ratio else "no latency was measured"
        return Check(row.name, limit, f"has no speed ratio ({reason})", False)
    interval = f" (95 % interval {wording.times_range(ratio.interval)})" if ratio.interval else ""
    return Check(row.name, limit, f"is {wording.times(ratio.value)} as fast{interval}", ratio.value >= least)
