"""The cards of the first screen: quality, speed and size of the recommended variant and the runner-up."""

from __future__ import annotations

from collections.abc import Callable
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
    """`2.9 to 3.4, 95 % interval`"""
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
    warning: str
    """Of its outputs; empty if they are fine."""


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
        warning=collapse.warning(comparison, row),
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
    compared = [(row.speeds[condition].ratio, comparison.baseline, "fp32 ONNX")]
    if torch_row(comparison):
        compared.append((times_torch(comparison, row, condition), torch_row(comparison), "torch"))
    lines = []
    for ratio, other, name in compared:
        before = other.speeds[condition].time.value if other else None
        detail = _from_to(before, row.speeds[condition].time.value, unit_of_times(comparison))
        lines.append(_faster(ratio, name, detail))
    return Figure(f"Speed, {condition.words}", tuple(lines))


def _faster(ratio: Value, name: str, detail: str) -> Against:
    if ratio.value is None:
        return Against(wording.DASH, f"not measured against {name}", detail=detail, absent=ratio.absent or "")
    interval = f"{wording.times_range(ratio.interval)}, 95\u00a0% interval" if ratio.interval else ""
    return Against(wording.times(ratio.value), f"as fast as {name}", interval, detail)


def _size(comparison: Comparison, row: Row) -> Figure:
    size = row.disk.value
    others = [(comparison.baseline, "fp32 ONNX"), (torch_row(comparison), "torch")]
    lines = []
    for other, name in others:
        of_it = other.disk.value if other else None
        if size is None:
            lines.append(Against(wording.DASH, f"not measured against {name}", absent=row.disk.absent or ""))
        elif of_it and size:
            ratio, words = wording.size(of_it / size)
            words += f" {'than' if words == 'smaller' else 'of'} {name}"
            lines.append(Against(ratio, words, detail=_from_to(of_it, size, wording.megabytes)))
    return Figure("Size on disk", tuple(lines))


def _from_to(before: float | None, after: float | None, shown: Callable[[float], str]) -> str:
    """`1.99 ms → 0.642 ms`."""
    if after is None:
        return ""
    return f"{shown(before)} → {shown(after)}" if before is not None else shown(after)
