"""Quality against speed: up is better, right is faster; a point for every artifact, shaped and coloured by its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from compress.report.charts import svg
from compress.report.charts.labels import Box, is_clear, place
from compress.report.charts.markers import RING, legend, marker, ring

LEFT, RIGHT, FOOT = 52.0, 20.0, 46.0
RATIOS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
SECONDS = 2.0
"""Where the plot reaches this far, latencies are written in seconds."""
MOST = 26
"""Characters of a name in the picture; the whole name is in the marker's title."""


@dataclass(frozen=True)
class Spot:
    """One artifact in the plot."""

    name: str
    x: float
    """Times as fast as the fp32 ONNX export; a latency in seconds where `Axes.is_latency`."""
    score: float
    """In points, or on the metric's own scale."""
    x_interval: tuple[float, float] | None = None
    score_interval: tuple[float, float] | None = None
    kind: str = "not tested"
    """One of `markers.KINDS`."""
    told: str = ""
    """What the marker says when it is pointed at."""
    is_winner: bool = False


@dataclass(frozen=True)
class Axes:
    """What the axes show, and the lines across the plot."""

    metric: str
    """Heads the axis of the scores, with their unit."""
    condition: str
    """In words: `one text at a time`."""
    root_score: float | None = None
    least_score: float | None = None
    """The uncompressed model's score less the margin."""
    margin: str = ""
    """In words: `margin 1 point`."""
    least_speed: float | None = None
    """The budget's, in times as fast."""
    span: float = 0.0
    """The scores that the axis shows at least: a row of few must not become a cliff."""
    lower_is_better: bool = False
    is_latency: bool = False
    """Whether x is a latency, which then grows to the left: where nothing is known of ratios."""


@dataclass(frozen=True)
class Picture:
    """The plot, and the names that are numbers in it."""

    drawing: Markup
    numbered: tuple[tuple[int, str], ...] = ()


def draw(
    spots: Sequence[Spot],
    axes: Axes,
    title: str,
    description: str,
    *,
    width: float,
    height: float,
    numbers: bool = False,
) -> Picture:
    """The plot; up is better, so scores of which lower ones are better grow downwards.

    Args:
        spots: the artifacts.
        axes: what is drawn beside them.
        title: for screen readers.
        description: for screen readers.
        width: of the picture.
        height: of the picture.
        numbers: whether names are written as numbers, from 1, where there is no room for them; the winner's name is
            always written, and a name that would cover another becomes its number too.
    """
    kinds = [spot.kind for spot in spots]
    has_ring = any(spot.is_winner for spot in spots)
    keys, tall = legend(kinds, LEFT, 38.0, width - LEFT - RIGHT, has_ring=has_ring)
    top = 38.0 + tall
    x, y = _scales(spots, axes, width, height, top)
    frame = Box(LEFT + 2, top + 2, width - LEFT - RIGHT, height - top - FOOT - 4)
    lines, taken = _limits(spots, axes, x, y, frame)
    parts = [*keys, *_axes(x, y, axes), *lines]
    for spot in spots:
        at, up = x(spot.x), y(spot.score)
        if spot.x_interval:
            parts.append(svg.whisker((x(spot.x_interval[0]), up), (x(spot.x_interval[1]), up)))
        if spot.score_interval:
            parts.append(svg.whisker((at, y(spot.score_interval[0])), (at, y(spot.score_interval[1]))))
    for spot in sorted(spots, key=lambda one: one.is_winner):
        at, up = x(spot.x), y(spot.score)
        shapes = [ring(at, up)] if spot.is_winner else []
        told = svg.element("title", spot.told or spot.name)
        parts.append(svg.element("g", told, *shapes, marker(at, up, spot.kind)))
    names, boxes = _names(spots, x, y, taken, frame, numbers=numbers)
    parts += _labels(spots, names, boxes, x, y)
    numbered = tuple((n, spot.name) for n, spot in enumerate(spots, 1) if names[n - 1] == str(n))
    return Picture(svg.plot(width, height, title, description, parts), numbered)


def _scales(spots: Sequence[Spot], axes: Axes, width: float, height: float, top: float) -> tuple[svg.Scale, svg.Scale]:
    across = [end for spot in spots for end in (spot.x, *(spot.x_interval or ()))]
    across += [axes.least_speed] if axes.least_speed else []
    up = [end for spot in spots for end in (spot.score, *(spot.score_interval or ()))]
    up += [one for one in (axes.root_score, axes.least_score) if one is not None]
    lacking = max(0.0, axes.span - (max(up) - min(up)))
    pad = (max(up) - min(up)) * 0.1 + lacking / 2 or 1.0
    sides = (width - RIGHT, LEFT) if axes.is_latency else (LEFT, width - RIGHT)
    x = svg.Scale(min(across) / 1.22, max(across) * 1.22, *sides, logarithmic=True)
    ends = (top, height - FOOT) if axes.lower_is_better else (height - FOOT, top)
    return x, svg.Scale(min(up) - pad, max(up) + pad, *ends)


def _axes(x: svg.Scale, y: svg.Scale, axes: Axes) -> list[Markup]:
    left, right = sorted((x.start, x.end))
    foot = max(y.start, y.end)
    parts = []
    for tick in y.ticks(6):
        parts.append(svg.line(left, y(tick), right, y(tick), "grid"))
        parts.append(svg.text(left - 8, y(tick) + 4, f"{tick:g}".replace("-", "−"), anchor="end", class_="tick"))
    unit, size = ("s", 1.0) if x.high >= SECONDS else ("ms", 1e-3)
    if axes.is_latency:
        ticks = [(x(tick), f"{tick / size:.6g}") for tick in x.ticks()]
        words = f"{unit} (logarithmic); faster →"
    else:
        known = [ratio for ratio in RATIOS if x.low <= ratio <= x.high]
        ticks = [(x(tick), f"{tick:g}×") for tick in (known if len(known) > 2 else x.ticks())]
        words = "times as fast as fp32 ONNX; faster →"
    for tick, told in _spread(ticks):
        parts.append(svg.line(tick, foot, tick, foot + 5, "axis"))
        parts.append(svg.text(tick, foot + 18, told, anchor="middle", class_="tick"))
    parts.append(svg.line(left, foot, right, foot, "axis"))
    whole = f"{axes.condition}: {words}"
    for line, told in enumerate([whole] if svg.text_width(whole, 11) < right - left else [words, axes.condition]):
        parts.append(svg.text(right, foot + 31 + 12 * line, told, anchor="end", class_="label"))
    parts.append(svg.text(4, 14, axes.metric, class_="label"))
    return parts


def _spread(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks without those whose words would touch their neighbour's."""
    kept: list[tuple[float, str]] = []
    for at, words in sorted(ticks):
        if not kept or at - kept[-1][0] > (svg.text_width(words, 11) + svg.text_width(kept[-1][1], 11)) / 2 + 10:
            kept.append((at, words))
    return kept


def _limits(
    spots: Sequence[Spot], axes: Axes, x: svg.Scale, y: svg.Scale, frame: Box
) -> tuple[list[Markup], list[Box]]:
    """The lines across the plot with their words, and what labels must keep off: lines, words, markers and whiskers."""
    left, right = sorted((x.start, x.end))
    points = [(x(spot.x), y(spot.score), spot) for spot in spots]
    taken = [Box(at - 9, up - 9, 18, 18) for at, up, _ in points]
    taken += [Box(at - RING, up - RING, 2 * RING, 2 * RING) for at, up, spot in points if spot.is_winner]
    for at, up, spot in points:
        if spot.score_interval:
            high, low = sorted(y(end) for end in spot.score_interval)
            taken.append(Box(at - 4, high, 8, low - high))
        if spot.x_interval:
            low, high = sorted(x(end) for end in spot.x_interval)
            taken.append(Box(low, up - 4, high - low, 8))
    parts: list[Markup] = []
    for score, class_ in ((axes.root_score, "reference"), (axes.least_score, "budget")):
        if score is not None:
            parts.append(svg.line(left, y(score), right, y(score), class_))
            taken.append(Box(left, y(score) - 2, right - left, 4))
    if axes.least_speed:
        at = x(axes.least_speed)
        parts.append(svg.line(at, y.start, at, y.end, "budget"))
        taken.append(Box(at - 2, frame.y, 4, frame.height))
    if axes.margin and axes.least_score is not None:
        wide, up = svg.text_width(axes.margin, 11), y(axes.least_score)
        free = [Box(end, up + down, wide, 14) for end in (right - wide - 4, left + 4) for down in (3, -17)]
        parts.append(_mark(axes.margin, free, taken))
    if axes.least_speed:
        told = f"budget {axes.least_speed:g}×"
        wide, at = svg.text_width(told, 11), x(axes.least_speed)
        free = [
            Box(side, up, wide, 14) for up in (frame.y, frame.y + frame.height - 16) for side in (at + 5, at - wide - 5)
        ]
        parts.append(_mark(told, [box for box in free if left <= box.x and box.x + wide <= right] or free, taken))
    return parts, taken


def _mark(words: str, places: Sequence[Box], taken: list[Box]) -> Markup:
    """The words of a line, at the place that covers least; which is taken from then on."""
    best = min(places, key=lambda box: sum(box.overlap(other) for other in taken))
    taken.append(best)
    return svg.text(best.x, best.y + 11, words, class_="mark budget")


def _names(
    spots: Sequence[Spot], x: svg.Scale, y: svg.Scale, taken: Sequence[Box], frame: Box, *, numbers: bool
) -> tuple[list[str], list[Box]]:
    """What is written at each spot, and where; the winner is placed first."""
    short = [replace(spot, name=svg.shorten(spot.name, MOST)) for spot in spots]
    names = [str(n) if numbers and not spot.is_winner else spot.name for n, spot in enumerate(short, 1)]
    boxes: list[Box] = []
    for _ in spots:
        order = sorted(range(len(spots)), key=lambda n: (not spots[n].is_winner, n))
        points = [(x(spots[n].x), y(spots[n].score)) for n in order]
        placed = place(points, [svg.text_width(names[n]) * 1.05 + 4 for n in order], taken, frame)
        boxes = [box for _, box in sorted(zip(order, placed, strict=True), key=lambda one: one[0])]
        words = [box for box in taken if box.height == 14]
        crowded = [
            n
            for n, box in enumerate(boxes)
            if not is_clear(box, [*boxes[:n], *boxes[n + 1 :], *words], frame) and names[n] != str(n + 1)
        ]
        losers = [n for n in crowded if not spots[n].is_winner] or crowded
        if not losers:
            break
        names[losers[-1]] = str(losers[-1] + 1)
    return names, boxes


def _labels(
    spots: Sequence[Spot], names: Sequence[str], boxes: Sequence[Box], x: svg.Scale, y: svg.Scale
) -> list[Markup]:
    parts = []
    for name, box, spot in zip(names, boxes, spots, strict=True):
        at, up, middle = x(spot.x), y(spot.score), box.y + 8
        edge = min(max(at, box.x), box.x + box.width)
        if abs(edge - at) + abs(middle - up) > 30:
            parts.append(svg.line(at, up, edge, middle + (-8 if middle > up else 8 if middle < up else 0), "leader"))
        parts.append(svg.text(box.x + 2, box.y + 12, name, class_="name winner" if spot.is_winner else "name"))
    return parts
