"""The accuracy-latency chart: a point with intervals for every artifact, the Pareto front, labels without overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report.charts import svg
from compress.report.charts.dot_plots import point

LEFT, RIGHT, TOP, FOOT = 56.0, 18.0, 52.0, 48.0
TICK_RATIOS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
SECONDS = 2.0
"""Where the plot reaches this far, latencies are written in seconds."""


@dataclass(frozen=True)
class Spot:
    """One artifact in the plot."""

    name: str
    latency: float
    """In seconds."""
    score: float
    """In points, or on the metric's own scale."""
    latency_interval: tuple[float, float] | None = None
    score_interval: tuple[float, float] | None = None
    kind: str = "variant"
    on_front: bool = False


@dataclass(frozen=True)
class Limits:
    """What the plot draws beside the spots."""

    base_latency: float | None = None
    """Of the fp32 ONNX export, in seconds: gives the upper axis."""
    root_score: float | None = None
    least_score: float | None = None
    """The budget's, as the scores."""
    most_latency: float | None = None
    """The budget's, in seconds."""


@dataclass(frozen=True)
class Box:
    """A rectangle that a label must not cover."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """The area both cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return across * down if across > 0 and down > 0 else 0.0


def draw(
    spots: Sequence[Spot],
    limits: Limits,
    title: str,
    description: str,
    *,
    metric: str,
    condition: str,
    width: float,
    height: float,
    numbered: bool = False,
    lower_is_better: bool = False,
    time: str = "median latency",
) -> Markup:
    """The plot; up is better, so scores of which lower ones are better grow downwards.

    `metric` heads the axis of the scores, with their unit. `numbered` writes each spot's number (from 1) instead of its
    name, where names have no room.
    """
    x, y = _scales(spots, limits, width, height, lower_is_better)
    parts = [*_axes(x, y, limits, metric, time, condition), *_limits(x, y, limits), *_front(spots, x, y)]
    for spot in spots:
        at, up = x(spot.latency), y(spot.score)
        if spot.latency_interval:
            parts.append(svg.whisker((x(spot.latency_interval[0]), up), (x(spot.latency_interval[1]), up)))
        if spot.score_interval:
            parts.append(svg.whisker((at, y(spot.score_interval[0])), (at, y(spot.score_interval[1]))))
    for spot in spots:
        hollow = spot.kind == "variant" and not spot.on_front
        marker = point(x(spot.latency), y(spot.score), spot.kind, hollow=hollow)
        parts.append(svg.element("g", svg.element("title", spot.name), marker))
    names = [str(n) if numbered else svg.shorten(spot.name, 26) for n, spot in enumerate(spots, 1)]
    parts += _labels(spots, names, x, y, Box(LEFT + 2, TOP + 2, width - LEFT - RIGHT - 4, height - TOP - FOOT - 4))
    return svg.plot(width, height, title, description, parts)


def place(
    points: Sequence[tuple[float, float]], widths: Sequence[float], taken: Sequence[Box], inside: Box
) -> list[Box]:
    """A box for each point's label, near it and, where there is room, over nothing else.

    Labels are placed one after the other at the nearest of many places round their point; covering another label
    costs most, leaving the frame next, then covering points and whiskers, then distance.
    """
    placed: list[Box] = []
    for (x, y), width in zip(points, widths, strict=True):
        candidates: list[tuple[float, int, Box]] = []
        for far in (10.0, 18.0, 30.0, 44.0, 60.0, 80.0, 104.0):
            for rightwards, down in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)):
                left = x + far if rightwards > 0 else x - far - width if rightwards < 0 else x - width / 2
                box = Box(left, y - 8 + down * (far + 2), width, 16)
                covered = sum(box.overlap(other) for other in placed)
                touched = sum(box.overlap(other) for other in taken)
                outside = box.width * box.height - box.overlap(inside)
                candidates.append((1000 * covered + 300 * outside + 12 * touched + far, len(candidates), box))
        placed.append(min(candidates)[2] if candidates else Box(x, y, width, 16))
    return placed


def _scales(
    spots: Sequence[Spot], limits: Limits, width: float, height: float, lower_is_better: bool
) -> tuple[svg.Scale, svg.Scale]:
    across = [end for spot in spots for end in (spot.latency, *(spot.latency_interval or ()))]
    across += [one for one in (limits.most_latency,) if one]
    up = [end for spot in spots for end in (spot.score, *(spot.score_interval or ()))]
    up += [one for one in (limits.root_score, limits.least_score) if one is not None]
    pad = (max(up) - min(up)) * 0.1 or 1.0
    x = svg.Scale(min(across) / 1.22, max(across) * 1.22, LEFT, width - RIGHT, logarithmic=True)
    ends = (TOP, height - FOOT) if lower_is_better else (height - FOOT, TOP)
    return x, svg.Scale(min(up) - pad, max(up) + pad, *ends)


def _axes(x: svg.Scale, y: svg.Scale, limits: Limits, metric: str, time: str, condition: str) -> list[Markup]:
    parts = []
    foot, head = max(y.start, y.end), min(y.start, y.end)
    for tick in y.ticks(6):
        parts.append(svg.line(x.start, y(tick), x.end, y(tick), "grid"))
        parts.append(svg.text(x.start - 8, y(tick) + 4, f"{tick:g}".replace("-", "−"), anchor="end", class_="tick"))
    unit, size = ("s", 1.0) if x.high >= SECONDS else ("ms", 1e-3)
    for tick, words in _spread([(x(tick), f"{tick / size:.6g}") for tick in x.ticks()]):
        parts.append(svg.line(tick, foot, tick, foot + 5, "axis"))
        parts.append(svg.text(tick, foot + 18, words, anchor="middle", class_="tick"))
    if limits.base_latency:
        ratios = [ratio for ratio in TICK_RATIOS if x.low <= limits.base_latency / ratio <= x.high]
        for tick, words in _spread([(x(limits.base_latency / ratio), f"{ratio:g}×") for ratio in ratios]):
            parts.append(svg.line(tick, head - 5, tick, head, "axis"))
            parts.append(svg.text(tick, head - 9, words, anchor="middle", class_="tick"))
        parts.append(svg.line(x.start, head, x.end, head, "axis"))
        parts.append(svg.text(x.end, 14, "times as fast as the fp32 ONNX export", anchor="end", class_="label"))
    parts.append(svg.line(x.start, foot, x.end, foot, "axis"))
    wide = x.end - x.start > 500
    below = f"{time} in {unit}, {condition}, logarithmic" if wide else f"{unit}, {condition}, logarithmic"
    parts.append(
        svg.text(x.end, foot + 38, f"{below} (left is faster)" if wide else below, anchor="end", class_="label")
    )
    parts.append(svg.text(4, 14, metric, class_="label"))
    return parts


def _spread(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks without those whose words would touch their neighbour's."""
    kept: list[tuple[float, str]] = []
    for at, words in sorted(ticks):
        if not kept or at - kept[-1][0] > (svg.text_width(words, 11) + svg.text_width(kept[-1][1], 11)) / 2 + 10:
            kept.append((at, words))
    return kept


def _limits(x: svg.Scale, y: svg.Scale, limits: Limits) -> list[Markup]:
    parts = []
    if limits.root_score is not None:
        parts.append(svg.line(x.start, y(limits.root_score), x.end, y(limits.root_score), "reference"))
    if limits.least_score is not None:
        parts.append(svg.line(x.start, y(limits.least_score), x.end, y(limits.least_score), "budget"))
        parts.append(svg.text(x.end - 4, y(limits.least_score) + 14, "budget", anchor="end", class_="mark budget"))
    if limits.most_latency is not None:
        parts.append(svg.line(x(limits.most_latency), y.start, x(limits.most_latency), y.end, "budget"))
    return parts


def _front(spots: Sequence[Spot], x: svg.Scale, y: svg.Scale) -> list[Markup]:
    line = sorted((x(spot.latency), y(spot.score)) for spot in spots if spot.on_front)
    if len(line) < 2:
        return []
    path = f"M{line[0][0]:.1f} {line[0][1]:.1f}" + "".join(f"H{at:.1f}V{up:.1f}" for at, up in line[1:])
    return [svg.element("path", d=path, class_="front")]


def _labels(spots: Sequence[Spot], names: Sequence[str], x: svg.Scale, y: svg.Scale, inside: Box) -> list[Markup]:
    points = [(x(spot.latency), y(spot.score)) for spot in spots]
    taken = [Box(at - 8, up - 8, 16, 16) for at, up in points]
    for spot, (at, up) in zip(spots, points, strict=True):
        if spot.score_interval:
            high, low = sorted(y(end) for end in spot.score_interval)
            taken.append(Box(at - 4, high, 8, low - high))
        if spot.latency_interval:
            low, high = x(spot.latency_interval[0]), x(spot.latency_interval[1])
            taken.append(Box(low, up - 4, high - low, 8))
    parts = []
    boxes = place(points, [svg.text_width(name) + 4 for name in names], taken, inside)
    for name, box, (at, up), spot in zip(names, boxes, points, spots, strict=True):
        middle = box.y + 8
        edge = min(max(at, box.x), box.x + box.width)
        if abs(edge - at) + abs(middle - up) > 30:
            parts.append(svg.line(at, up, edge, middle + (-8 if middle > up else 8 if middle < up else 0), "leader"))
        class_ = "name on-front" if spot.on_front else "name"
        parts.append(svg.text(box.x + 2, box.y + 12, name, class_=class_))
    return parts
