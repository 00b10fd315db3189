"""Dot plots: a row for each artifact, a marker with its interval, and lines of reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report.charts import svg
from compress.report.charts.markers import marker


@dataclass(frozen=True)
class Item:
    """One line of the plot: an artifact."""

    name: str
    value: float | None
    words: str
    """The value as text, or why there is none."""
    interval: tuple[float, float] | None = None
    kind: str = "variant"
    """One of `markers.KINDS`, or `variant` for a plain circle: decides colour and shape."""


@dataclass(frozen=True)
class Mark:
    """A reference line across all items."""

    value: float
    words: str
    class_: str = "reference"


ROW, NAME_ROW, TOP, FOOT = 26.0, 18.0, 26.0, 26.0


def dots(items: Sequence[Item], title: str, description: str, *, width: float, marks: Sequence[Mark] = ()) -> Markup:
    """Markers with whiskers, on an axis that need not hold zero; names and words are above them where there is little room."""
    beside = width >= 560
    row = ROW if beside else ROW + NAME_ROW
    left = min(230.0, max(svg.text_width(item.name) for item in items) + 16) if beside else 8.0
    room = max((svg.text_width(item.words) for item in items), default=0.0) + 14
    right = width - room if beside else width - 12.0
    height = TOP + row * len(items) + FOOT
    scale = svg.Scale(*_extent(items, marks), left, right)
    parts = [*_axis(scale, height, beside=beside), *_marks(marks, scale, height, row, len(items), beside=beside)]
    for number, item in enumerate(items):
        middle = TOP + row * number + (row / 2 if beside else NAME_ROW + ROW / 2 - 2)
        label_y = middle + 4 if beside else TOP + row * number + NAME_ROW - 5
        most = int((left - 12) / (svg.FONT * svg.CHARACTER)) if beside else 30
        label = svg.element(
            "text", svg.element("title", item.name), svg.shorten(item.name, most), x=0, y=label_y, class_="name"
        )
        parts += [label, *_item(item, scale, middle)]
        if beside:
            parts.append(svg.text(width, middle + 4, item.words, anchor="end", class_="value"))
        else:
            parts.append(svg.text(width, label_y, item.words, anchor="end", class_="value"))
    return svg.plot(width, height, title, description, parts)


def _extent(items: Sequence[Item], marks: Sequence[Mark]) -> tuple[float, float]:
    ends = [end for item in items if item.value is not None for end in (item.interval or (item.value,))]
    ends += [item.value for item in items if item.value is not None] + [mark.value for mark in marks]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    pad = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - pad, high + pad


def _item(item: Item, scale: svg.Scale, middle: float) -> list[Markup]:
    if item.value is None:
        return [svg.text(scale.start + 4, middle + 4, "–", class_="absent")]
    parts: list[Markup] = []
    if item.interval:
        parts.append(svg.whisker((scale(item.interval[0]), middle), (scale(item.interval[1]), middle)))
    return [*parts, marker(scale(item.value), middle, item.kind)]


def _axis(scale: svg.Scale, height: float, *, beside: bool) -> list[Markup]:
    """The axis with its ticks; no grid where it would run through names."""
    base = height - FOOT
    about = max(2, int((scale.end - scale.start) / 90))
    parts = [svg.line(scale.start, base, scale.end, base, "axis")]
    for tick in scale.ticks(about):
        x = scale(tick)
        parts += [svg.line(x, TOP - 4, x, base, "grid")] if beside else []
        parts.append(svg.text(x, base + 16, f"{tick:g}".replace("-", "−"), anchor="middle", class_="tick"))
    return parts


def _marks(
    marks: Sequence[Mark], scale: svg.Scale, height: float, row: float, count: int, *, beside: bool
) -> list[Markup]:
    """The lines of reference, which leave out the rows of names, and their words above."""
    parts, ordered = [], sorted(marks, key=lambda mark: mark.value)
    places = _side_by_side(
        [scale(mark.value) for mark in ordered],
        [svg.text_width(mark.words, 11) for mark in ordered],
        (scale.start, scale.end),
    )
    for mark, place in zip(ordered, places, strict=True):
        x = scale(mark.value)
        if beside:
            parts.append(svg.line(x, TOP - 4, x, height - FOOT, mark.class_))
        else:
            tops = [TOP + row * n + NAME_ROW for n in range(count)]
            parts += [svg.line(x, top, x, top + ROW - 4, mark.class_) for top in tops]
        parts.append(svg.text(place, TOP - 10, mark.words, anchor="middle", class_=f"mark {mark.class_}"))
    return parts


def _side_by_side(middles: Sequence[float], widths: Sequence[float], within: tuple[float, float]) -> list[float]:
    """The middles of the words, each over its line, or moved apart where they would touch; within the two ends."""
    placed = list(middles)
    for n in range(1, len(placed)):
        overlap = placed[n - 1] + (widths[n - 1] + widths[n]) / 2 + 12 - placed[n]
        if overlap > 0:
            placed[n - 1] -= overlap / 2
            placed[n] += overlap / 2
    over = max((at + width / 2 - within[1] for at, width in zip(placed, widths, strict=True)), default=0.0)
    placed = [at - max(over, 0.0) for at in placed]
    under = max((within[0] - at + width / 2 for at, width in zip(placed, widths, strict=True)), default=0.0)
    return [at + max(under, 0.0) for at in placed]
