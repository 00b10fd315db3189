"""Why a variant cannot be recommended: a loss, too few examples, a trivial baseline, repeated outputs, or the budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compress.metrics import verdicts
from compress.report.differences import left_open, verdict

if TYPE_CHECKING:
    from compress.report.comparison import Comparison, Row

BUDGET, NOT_ENOUGH, NOT_TESTED, TRIVIAL, LOSS, COLLAPSED = (
    "budget",
    "not enough examples",
    "not tested",
    "trivial baseline",
    "loss",
    "collapsed",
)
SEVERITY = (BUDGET, NOT_ENOUGH, NOT_TESTED, TRIVIAL, LOSS, COLLAPSED)
"""From what a larger sample or another limit may cure to what it cannot."""


@dataclass(frozen=True)
class Obstacle:
    """One reason."""

    kind: str
    words: str
    """A sentence without its full stop: `student is not shown to be better than the commonest class (50.33)`."""


def obstacles(comparison: Comparison, row: Row) -> tuple[Obstacle, ...]:
    """Every reason why a variant cannot be recommended, the gravest first; empty if it can."""
    found = [*_of_quality(comparison, row), *_of_baselines(comparison, row), *_of_budget(comparison, row)]
    if row.has_collapsed:
        found.append(Obstacle(COLLAPSED, f"most of {row.name}'s outputs repeat one another"))
    return tuple(sorted(found, key=lambda one: -SEVERITY.index(one.kind)))


def _of_quality(comparison: Comparison, row: Row) -> Iterator[Obstacle]:
    """Every metric of the task is asked, not the deciding one alone."""
    if not comparison.metrics:
        yield Obstacle(NOT_TESTED, "no quality was measured")
    for metric in comparison.metrics:
        scale, change = comparison.scales[metric], row.quality[metric].difference
        if change.can_be_recommended:
            continue
        if change.word == verdicts.WORSE:
            yield Obstacle(LOSS, f"{row.name} has {verdict(scale, change)}")
        elif change.word == verdicts.NOT_ENOUGH:
            yield Obstacle(NOT_ENOUGH, left_open(scale, change, row.name))
        else:
            yield Obstacle(NOT_TESTED, f"{row.name}'s {scale.name} could not be compared ({change.absent})")


def _of_baselines(comparison: Comparison, row: Row) -> Iterator[Obstacle]:
    beside = comparison.against_trivial.get(row.name)
    if beside is None or beside.is_better:
        return
    scale = comparison.scales[beside.metric]
    # `Lead-3` is a name, `Commonest class` is none.
    is_name = any(sign.isdigit() for sign in beside.baseline)
    name = beside.baseline if is_name else f"the {beside.baseline.lower()}"
    yield Obstacle(
        TRIVIAL, f"{row.name} is not shown to be better than {name} ({scale.name} {scale.shown(beside.value)})"
    )


def _of_budget(comparison: Comparison, row: Row) -> Iterator[Obstacle]:
    if comparison.judged is None or row.name in comparison.judged.winners:
        return
    for check in comparison.judged.checks:
        if check.variant == row.name and not check.met:
            yield Obstacle(BUDGET, f"{row.name} {check.found}; the limit: {check.limit}")
