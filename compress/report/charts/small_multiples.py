"""Small multiples: a row for each artifact, a panel of bars for each condition, one logarithmic scale for all panels."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report.charts import svg

HEIGHT = 300.0
"""The picture is no higher than this while its rows can still be read."""
ROW, LEAST_ROW, NAME_ROW = 24.0, 15.0, 15.0
TOP, FOOT, BETWEEN = 34.0, 24.0, 14.0
SMALL = 11.0


@dataclass(frozen=True)
class Bar:
    """One artifact under one condition."""

    value: float | None
    words: str
    """The value as text, or a dash."""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Panel:
    """One condition: a bar for each artifact, in the order of the names."""

    title: str
    bars: Sequence[Bar]


def draw(
    names: Sequence[tuple[str, str]],
    panels: Sequence[Panel],
    title: str,
    description: str,
    *,
    width: float,
    reference: float = 1.0,
) -> Markup:
    """Bars from the line of reference, rightwards where faster; names are beside them where there is room, else above.

    Args:
        names: of each artifact the name and a class for its bars (`root`, `baseline`, `variant`, `winner`).
        panels: the conditions.
        title: for screen readers.
        description: for screen readers.
        width: of the picture.
        reference: the value of the dashed line.
    """
    beside = width >= 560
    row = min(ROW, max(LEAST_ROW, (HEIGHT - TOP - FOOT) / max(len(names), 1))) if beside else ROW + NAME_ROW
    left = min(150.0, max((svg.text_width(name) for name, _ in names), default=0.0) + 14) if beside else 0.0
    across = (width - left - BETWEEN * (len(panels) - 1)) / len(panels)
    height = TOP + row * len(names) + FOOT
    ends = [reference, *(end for panel in panels for bar in panel.bars for end in _ends(bar))]
    parts: list[Markup] = []
    for number, (name, _) in enumerate(names):
        top = TOP + row * number
        label = svg.shorten(name, int((left - 10) / (svg.FONT * svg.CHARACTER)) if beside else 44)
        at = top + row / 2 + 4 if beside else top + NAME_ROW - 3
        parts.append(svg.element("text", svg.element("title", name), label, x=0, y=at, class_="name"))
    for number, panel in enumerate(panels):
        start = left + number * (across + BETWEEN)
        room = max((svg.text_width(bar.words, SMALL) for bar in panel.bars), default=0.0) + 8
        x = svg.Scale(min(ends) / 1.1, max(ends) * 1.1, start, start + across - room, logarithmic=True)
        parts += _frame(panel, x, start, across, height)
        for line, (bar, (_, kind)) in enumerate(zip(panel.bars, names, strict=True)):
            top = TOP + row * line + (0.0 if beside else NAME_ROW)
            parts += _bar(bar, kind, x, top, row if beside else row - NAME_ROW, start + across, reference)
    return svg.plot(width, height, title, description, parts)


def _ends(bar: Bar) -> list[float]:
    return [] if bar.value is None else [one for one in (bar.value, *(bar.interval or ())) if one > 0]


def _frame(panel: Panel, x: svg.Scale, start: float, across: float, height: float) -> list[Markup]:
    """The panel's title in at most two lines, and its axis."""
    lines = textwrap.wrap(panel.title, max(8, int(across / (SMALL * svg.CHARACTER))))[:2]
    parts = [svg.text(start, 12 + 13 * n, line, class_="panel") for n, line in enumerate(lines)]
    base = height - FOOT
    parts.append(svg.line(x.start, base, x.end, base, "axis"))
    last = x.start - 100.0
    for tick in _ticks(x):
        words = f"{tick:g}×"
        half = svg.text_width(words, SMALL) / 2
        at = max(x(tick), start + half)
        if at - last > 2 * half + 8:
            last = at
            parts.append(svg.text(at, base + 15, words, anchor="middle", class_="tick"))
    return parts


def _ticks(x: svg.Scale) -> list[float]:
    """Powers of ten where there are three, else as many round values as fit."""
    found = x.ticks()
    tens = [tick for tick in found if math.isclose(math.log10(tick) % 1, 0, abs_tol=1e-9)]
    return tens if len(tens) > 2 else found


def _bar(bar: Bar, kind: str, x: svg.Scale, top: float, row: float, end: float, reference: float) -> list[Markup]:
    """The bar, its interval, the dashed line across this row alone, and the value at the panel's end."""
    middle, thick = top + row / 2, min(12.0, row - 5)
    parts = [svg.text(end, middle + 4, bar.words, anchor="end", class_="value small")]
    if bar.value is not None:
        left, right = sorted((x(bar.value), x(reference)))
        long, at = max(right - left, 1.0), middle - thick / 2
        parts.append(svg.element("rect", x=left, y=at, width=long, height=thick, rx=1.0, class_=f"bar {kind}"))
    parts.append(svg.line(x(reference), top + 2, x(reference), top + row - 2, "reference"))
    if bar.interval and bar.interval[0] > 0:
        parts.append(svg.whisker((x(bar.interval[0]), middle), (x(bar.interval[1]), middle)))
    return parts
