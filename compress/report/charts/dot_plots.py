"""Dot plots: a row for each artifact, bars for sizes and speeds, dots with intervals for differences, one reference line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report.charts import svg


@dataclass(frozen=True)
class Item:
    """One line of the plot: an artifact."""

    name: str
    value: float | None
    words: str
    """The value as text, or why there is none."""
    interval: tuple[float, float] | None = None
    kind: str = "variant"
    """`root`, `baseline`, `variant`, `better` or `worse`: decides colour and, for dots, shape."""


@dataclass(frozen=True)
class Mark:
    """A reference line across all items."""

    value: float
    words: str
    class_: str = "reference"


ROW, TOP, FOOT = 34.0, 26.0, 26.0
BAR = 14.0


def bars(items: Sequence[Item], title: str, description: str, *, width: float, marks: Sequence[Mark] = ()) -> Markup:
    """Horizontal bars from zero."""
    return _draw(items, title, description, width, marks, from_zero=True)


def dots(items: Sequence[Item], title: str, description: str, *, width: float, marks: Sequence[Mark] = ()) -> Markup:
    """Dots with whiskers, on an axis that need not hold zero."""
    return _draw(items, title, description, width, marks, from_zero=False)


def _draw(
    items: Sequence[Item], title: str, description: str, width: float, marks: Sequence[Mark], *, from_zero: bool
) -> Markup:
    beside = width >= 560
    row = ROW if beside else ROW + 16
    left = min(230.0, max(svg.text_width(item.name) for item in items) + 16) if beside else 8.0
    room = max((svg.text_width(item.words) for item in items), default=0.0) + 14
    right = width - room if beside else width - 12.0
    height = TOP + row * len(items) + FOOT
    scale = svg.Scale(*_extent(items, marks, from_zero), left, right)
    parts = [*_axis(scale, height), *_marks(marks, scale, height)]
    for number, item in enumerate(items):
        middle = TOP + row * number + (row / 2 if beside else row - 13)
        label_y = middle + 4 if beside else middle - BAR / 2 - 6
        most = int((left - 12) / (svg.FONT * svg.CHARACTER)) if beside else 30
        label = svg.element(
            "text", svg.element("title", item.name), svg.shorten(item.name, most), x=0, y=label_y, class_="name"
        )
        parts += [label, *_item(item, scale, middle, from_zero)]
        if beside:
            parts.append(svg.text(width, middle + 4, item.words, anchor="end", class_="value"))
        else:
            parts.append(svg.text(width, label_y, item.words, anchor="end", class_="value"))
    return svg.plot(width, height, title, description, parts)


def _extent(items: Sequence[Item], marks: Sequence[Mark], from_zero: bool) -> tuple[float, float]:
    ends = [end for item in items if item.value is not None for end in (item.interval or (item.value,))]
    ends += [item.value for item in items if item.value is not None] + [mark.value for mark in marks]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    if from_zero:
        return min(0.0, low), (high or 1.0) * 1.02
    pad = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - pad, high + pad


def _item(item: Item, scale: svg.Scale, middle: float, from_zero: bool) -> list[Markup]:
    if item.value is None:
        return [svg.text(scale.start + 4, middle + 4, "–", class_="absent")]
    at = scale(item.value)
    parts: list[Markup] = []
    if from_zero:
        length = max(at - scale(0), 1.0)
        top, kind = middle - BAR / 2, f"bar {item.kind}"
        parts.append(svg.element("rect", x=scale(0), y=top, width=length, height=BAR, rx=2.0, class_=kind))
    if item.interval:
        parts.append(svg.whisker((scale(item.interval[0]), middle), (scale(item.interval[1]), middle)))
    if not from_zero:
        parts.append(point(at, middle, item.kind))
    return parts


def point(x: float, y: float, kind: str, *, hollow: bool = False) -> Markup:
    """A marker whose shape shows the kind without colour: diamond, square, triangle up or down, circle."""
    class_ = f"point {kind}{' hollow' if hollow else ''}"
    outlines: dict[str, list[tuple[float, float]]] = {
        "root": [(0, -7), (7, 0), (0, 7), (-7, 0)],
        "baseline": [(-5, -5), (5, -5), (5, 5), (-5, 5)],
        "better": [(0, -7), (6.5, 5), (-6.5, 5)],
        "worse": [(0, 7), (6.5, -5), (-6.5, -5)],
    }
    if kind not in outlines:
        return svg.element("circle", cx=x, cy=y, r=5.5, class_=class_)
    return svg.element("polygon", points=" ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in outlines[kind]), class_=class_)


def _axis(scale: svg.Scale, height: float) -> list[Markup]:
    base = height - FOOT
    about = max(2, int((scale.end - scale.start) / 90))
    parts = [svg.line(scale.start, base, scale.end, base, "axis")]
    for tick in scale.ticks(about):
        x = scale(tick)
        parts.append(svg.line(x, TOP - 4, x, base, "grid"))
        parts.append(svg.text(x, base + 16, f"{tick:g}".replace("-", "−"), anchor="middle", class_="tick"))
    return parts


def _marks(marks: Sequence[Mark], scale: svg.Scale, height: float) -> list[Markup]:
    parts, ordered = [], sorted(marks, key=lambda mark: mark.value)
    places = _side_by_side(
        [scale(mark.value) for mark in ordered], [svg.text_width(mark.words, 11) for mark in ordered]
    )
    for mark, place in zip(ordered, places, strict=True):
        x = scale(mark.value)
        parts.append(svg.line(x, TOP - 4, x, height - FOOT, mark.class_))
        parts.append(svg.text(place, TOP - 10, mark.words, anchor="middle", class_=f"mark {mark.class_}"))
    return parts


def _side_by_side(middles: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The middles of the words, each over its line where they do not touch, else moved apart from left to right."""
    placed = list(middles)
    for n in range(1, len(placed)):
        overlap = placed[n - 1] + (widths[n - 1] + widths[n]) / 2 + 12 - placed[n]
        if overlap > 0:
            placed[n - 1] -= overlap / 2
            placed[n] += overlap / 2
    return placed
