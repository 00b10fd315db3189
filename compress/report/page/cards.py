"""The cards of the first screen: what the recommended variant and the runner-up cost and bring, in three figures each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compress.report import degenerate_outputs as collapse
from compress.report import wording
from compress.report.comparison import Comparison, Row
from compress.report.page.serving import Serving, serving
from compress.report.page.times import unit_of_times
from compress.report.page.torch_ratio import times_torch, torch_row
from compress.report.recommendations import Recommendation
from compress.report.values import Value


@dataclass(frozen=True)
class Against:
    """One line of a figure: the value, and what it is held against."""

    value: str
    """`3.1×`, or a dash."""
    words: str
    """`as fast as fp32 ONNX`."""
    interval: str = ""
    """`2.9 to 3.4`"""
    detail: str = ""
    """`1.99 ms → 0.642 ms`"""
    absent: str = ""
    """Why there is no value."""


@dataclass(frozen=True)
class Figure:
    """Quality, speed or size."""

    title: str
    lines: tuple[Against, ...]
    word: str | None = None
    """The verdict; of quality alone."""
    verdict: str = ""
    """The same with the margin: `not worse than 1 point`."""


@dataclass(frozen=True)
class Card:
    """One variant."""

    title: str
    row: Row
    recommended: bool
    figures: tuple[Figure, ...]
    serving: Serving
    warnings: tuple[str, ...]


def card(comparison: Comparison, one: Recommendation) -> Card:
    """The card of a recommendation."""
    row = one.row
    figures = [_quality(comparison, row), _speed(comparison, row), _size(comparison, row)]
    return Card(
        title=one.title,
        row=row,
        recommended=one.recommended,
        figures=tuple(figure for figure in figures if figure),
        serving=serving(comparison, row),
        warnings=tuple(_warnings(comparison, row)),
    )


def _quality(comparison: Comparison, row: Row) -> Figure | None:
    if comparison.metric is None:
        return None
    scale, here = comparison.scale, row.quality[comparison.metric]
    change = here.difference
    root = comparison.root.quality[comparison.metric].value.value if comparison.root else None
    detail = _from_to(root, here.value.value, scale.shown)
    if change.value is None:
        line = Against(wording.DASH, "not compared", detail=detail, absent=change.absent or "")
    else:
        interval = f"{scale.signed_range(change.interval)}, {wording.percent(change.level)} interval"
        words = "points" if scale.in_points else scale.unit
        line = Against(scale.signed(change.value), words, interval if change.interval else "", detail)
    return Figure(scale.title, (line,), change.word, scale.verdict(change) if change.word else "")


def _speed(comparison: Comparison, row: Row) -> Figure | None:
    condition = comparison.headline
    if condition is None:
        return None
    lines = [_faster(comparison, row.speeds[condition].ratio, comparison.baseline, row, "fp32 ONNX")]
    if torch_row(comparison):
        ratio = times_torch(comparison, row, condition)
        lines.append(_faster(comparison, ratio, torch_row(comparison), row, "torch"))
    return Figure(f"Speed, {condition.words}", tuple(lines))


def _faster(comparison: Comparison, ratio: Value, other: Row | None, row: Row, name: str) -> Against:
    condition = comparison.headline
    if condition is None:
        return Against(wording.DASH, f"as fast as {name}")
    mine = row.speeds[condition].time.value
    detail = _from_to(other.speeds[condition].time.value if other else None, mine, unit_of_times(comparison))
    if ratio.value is None:
        return Against(wording.DASH, f"as fast as {name}", detail=detail, absent=ratio.absent or "")
    return Against(wording.times(ratio.value), f"as fast as {name}", wording.times_range(ratio.interval), detail)


def _size(comparison: Comparison, row: Row) -> Figure:
    size = row.disk.value
    others = [(comparison.baseline, "fp32 ONNX"), (torch_row(comparison), "torch")]
    lines = []
    for other, name in others:
        of_it = other.disk.value if other else None
        if size is None:
            lines.append(Against(wording.DASH, f"smaller than {name}", absent=row.disk.absent or ""))
        elif of_it is not None:
            is_smaller = of_it >= size
            ratio = wording.times(of_it / size if is_smaller else size / of_it)
            words = f"{'smaller than' if is_smaller else 'the size of'} {name}"
            lines.append(Against(ratio, words, detail=_from_to(of_it, size, wording.megabytes)))
    return Figure("Size on disk", tuple(lines))


def _from_to(before: float | None, after: float | None, shown: object) -> str:
    """`1.99 ms → 0.642 ms`."""
    if not callable(shown) or after is None:
        return ""
    return f"{shown(before)} → {shown(after)}" if before is not None else str(shown(after))


def _warnings(comparison: Comparison, row: Row) -> Iterator[str]:
    amiss = collapse.warning(comparison, row)
    if amiss:
        yield amiss
