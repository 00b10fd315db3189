"""The table of variants: six columns, and the details of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from compress.report import memory, wording
from compress.report.comparison import Comparison, Row
from compress.report.page.details import Details, details
from compress.report.page.times import unit_of_times
from compress.report.page.torch_ratio import times_torch
from compress.report.values import Value


@dataclass(frozen=True)
class Cell:
    """One value of the table."""

    shown: str
    below: tuple[str, ...] = ()
    """Smaller lines: an interval, a second comparison."""
    sorted_by: float | None = None
    """What a click on the column's head sorts by; None comes last."""
    absent: str = ""
    """Why there is no value."""


@dataclass(frozen=True)
class TableRow:
    """One artifact, or a baseline that takes no model."""

    name: str
    made: str
    mark: str
    """`recommended`, `runner-up` or nothing."""
    is_variant: bool
    quality: Cell
    word: str | None
    verdict: str
    """The word with its margin."""
    speed: Cell
    latency: Cell
    size: Cell
    memory: Cell
    details: Details | None
    rank: int = 0
    others: tuple[tuple[str, str, str, str | None], ...] = ()
    """Of each further metric: its title, value, change and word."""


def variants(comparison: Comparison, marks: dict[str, str]) -> tuple[TableRow, ...]:
    """The uncompressed model and its export, the variants by rank, and the baselines without a model.

    Args:
        comparison: the run.
        marks: name -> `recommended` or `runner-up`.
    """
    ordered = [*(row for row in comparison.rows if not row.is_variant), *comparison.ranked]
    made = [_row(comparison, row, marks.get(row.name, ""), rank) for rank, row in enumerate(ordered)]
    return (*made, *_without_a_model(comparison))


def _row(comparison: Comparison, row: Row, mark: str, rank: int) -> TableRow:
    change = row.quality[comparison.metric].difference if comparison.metric else None
    if change and not row.is_variant and change.is_same:
        # The export answers as the model does, row by row: there is nothing to judge.
        change = None
    return TableRow(
        name=row.name,
        made=row.made,
        mark=mark,
        is_variant=row.is_variant,
        quality=_quality(comparison, row),
        word=change.word if change else None,
        verdict=comparison.scale.verdict(change) if change and change.word else "",
        speed=_speed(comparison, row),
        latency=_latency(comparison, row),
        size=_size(comparison, row),
        memory=_cell(memory.peak(row), wording.megabytes),
        details=details(comparison, row),
        rank=rank,
        others=tuple(_other_metrics(comparison, row)),
    )


def _cell(one: Value, shown: Callable[[float], str], below: Sequence[str] = ()) -> Cell:
    if one.value is None:
        return Cell(wording.DASH, absent=one.absent or "not measured")
    return Cell(shown(one.value), tuple(below), one.value)


def _quality(comparison: Comparison, row: Row) -> Cell:
    if comparison.metric is None:
        return Cell(wording.DASH, absent="the task has no metric")
    scale, here = comparison.scale, row.quality[comparison.metric]
    below = []
    change = here.difference
    if change.is_same and not row.is_variant:
        below.append("as in torch")
    elif change.value is not None:
        ends = f" ({scale.signed_range(change.interval)})" if change.interval else ""
        below.append(f"{scale.signed(change.value)}{ends}")
    elif row.is_variant and here.value.value is not None:
        below.append("not tested")
    return _cell(here.value, scale.shown, below)


def _other_metrics(comparison: Comparison, row: Row) -> Iterator[tuple[str, str, str, str | None]]:
    for metric in comparison.in_brief[1:]:
        scale, here = comparison.scales[metric], row.quality[metric]
        value = wording.value_or_dash(here.value, scale.shown)
        change = scale.signed(here.difference.value) if here.difference.value is not None else ""
        yield scale.title, value, change, here.difference.word


def _speed(comparison: Comparison, row: Row) -> Cell:
    condition = comparison.headline
    if condition is None:
        return Cell(wording.DASH, absent="no latency was measured")
    ratio = row.speeds[condition].ratio
    if row is comparison.baseline:
        return Cell(wording.DASH, absent="it is what the others are compared with")
    below = [wording.times_range(ratio.interval)] if ratio.interval else []
    of_torch = times_torch(comparison, row, condition)
    if of_torch.value is not None:
        below.append(f"{wording.times(of_torch.value)} torch")
    return _cell(ratio, wording.times, below)


def _latency(comparison: Comparison, row: Row) -> Cell:
    if comparison.headline is None:
        return Cell(wording.DASH, absent="no latency was measured")
    return _cell(row.speeds[comparison.headline].time, unit_of_times(comparison))


def _size(comparison: Comparison, row: Row) -> Cell:
    below = []
    if row.smaller is not None and row.is_variant:
        below.append(" ".join(wording.size(row.smaller)))
    return _cell(row.disk, wording.megabytes, below)


def _without_a_model(comparison: Comparison) -> Iterator[TableRow]:
    nothing = Cell(wording.DASH, absent="it takes no model")
    for baseline in comparison.baselines:
        value = baseline.values.get(comparison.metric or "")
        measured = baseline.measured.get(comparison.metric or "")
        undefined = Cell(wording.DASH, absent=measured.absent) if measured is not None and measured.absent else nothing
        shown = Cell(comparison.scale.shown(value), sorted_by=value) if value is not None else undefined
        yield TableRow(
            name=baseline.name,
            made=f"no model: {baseline.words}",
            mark="",
            is_variant=False,
            quality=shown,
            word=None,
            verdict="",
            speed=nothing,
            latency=nothing,
            size=nothing,
            memory=nothing,
            details=None,
        )
