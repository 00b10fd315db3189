"""Checks a run against its budget: the maximum loss, and the required speed and size, each judged by its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compress.core.measurement import Measurements
from compress.report import wording
from compress.report.limits import Budget
from compress.report.scales import Scale

if TYPE_CHECKING:
    from compress.report.comparison import Comparison, Row

KEPT, BROKEN, NOT_SETTLED = "kept", "broken", "not settled"
SLACK = 1e-9
"""Rounding of binary numbers: 0.883 - 0.873 is a little more than 0.01."""


@dataclass(frozen=True)
class Check:
    """One variant held against one limit."""

    variant: str
    limit: str
    """In words: `loses at most 1 point of accuracy`."""
    found: str
    """In words: `loses 2.41 points (95 % interval −4.13 to −0.69)`."""
    state: str
    """`kept` or `broken` where all of the interval lies on that side of the limit, else `not settled`."""

    @property
    def met(self) -> bool:
        """Whether the limit is shown to be kept."""
        return self.state == KEPT


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
        """One sentence for each variant that keeps every limit, or else for each limit that one is not shown to keep."""
        if self.met:
            return [f"{name} keeps every limit." for name in self.winners]
        missed = [
            f"{one.variant} {one.found}; the limit, {one.limit}, is {one.state}." for one in self.checks if not one.met
        ]
        return missed or ["The run has no compressed variant."]


def verdict(measurements: Measurements, budget: Budget | Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether at least one variant of the run keeps every limit, and the reasons, a sentence each.

    The intervals decide, not the values as measured: a limit is kept where all of the interval lies on its right side. A
    quantity without an interval, or one that could not be measured, keeps no limit.

    Raises:
        CompressError: the budget cannot be read.
    """
    from compress.report.comparison import compare

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
        if size is None:
            made.append(Check(row.name, limit, f"has no size ({row.disk.absent})", NOT_SETTLED))
        else:
            state = KEPT if size <= budget.max_mb * 1e6 else BROKEN
            made.append(Check(row.name, limit, f"takes {wording.megabytes(size)}", state))
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
        return Check(row.name, limit, f"has no {scale.name} to compare ({reason})", NOT_SETTLED)
    found = f"changes {scale.name} by {scale.change(change.value)}"
    if change.interval is None:
        return Check(row.name, limit, f"{found} without an interval to judge it by ({change.absent})", NOT_SETTLED)
    found += f" ({wording.level(change.level)} interval {scale.signed_range(change.interval)})"
    low, high = sorted(scale.number(scale.gain(end)) for end in change.interval)
    return Check(row.name, limit, found, _state(low, high, -most))


def _speed(comparison: Comparison, row: Row, least: float) -> Check:
    condition = comparison.headline
    where = f", {condition.words}" if condition else ""
    limit = f"at least {least:g} times as fast as the fp32 ONNX export{where}"
    ratio = row.speeds[condition].ratio if condition else None
    if ratio is None or ratio.value is None:
        reason = ratio.absent if ratio else "no latency was measured"
        return Check(row.name, limit, f"has no speed ratio ({reason})", NOT_SETTLED)
    found = f"is {ratio.value:.3g}× as fast"
    if ratio.interval is None:
        return Check(row.name, limit, f"{found}, without an interval to judge it by: too few rounds", NOT_SETTLED)
    found += f" (95 % interval {ratio.interval[0]:.3g} to {ratio.interval[1]:.3g})"
    return Check(row.name, limit, found, _state(*ratio.interval, least))


def _state(low: float, high: float, limit: float) -> str:
    """Where an interval lies that must be at least the limit."""
    if low >= limit - SLACK:
        return KEPT
    return BROKEN if high < limit - SLACK else NOT_SETTLED
