"""Seeds chart: one row of dots for each side of a comparison, each seed's two dots connected, with the means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report.charts import svg
from compress.report.charts.markers import marker

LANE, TOP, FOOT = 58.0, 14.0, 30.0
LEAST_SPAN = 0.02
"""What the axis shows at least, as a part of the values."""
REACH = 18.0
"""How far a seed's dot lies from its lane's middle at most: dots of equal value lie below each other."""


@dataclass(frozen=True)
class Lane:
    """One side."""

    name: str
    values: Sequence[float]
    """One for each seed, in the order of the other lane's."""
    words: str
    """The mean and the spread as text."""
    kind: str
    """`variant` (circles) or `baseline` (squares)."""


def draw(lanes: Sequence[Lane], seeds: Sequence[int], title: str, description: str, *, width: float) -> Markup:
    """The plot; names and verdicts are beside the lanes if there is room, else above them."""
    beside = width >= 560
    lane = LANE if beside else LANE + 18
    left = max(svg.text_width(one.name) for one in lanes) + 16 if beside else 12.0
    right = width - (max(svg.text_width(one.words) for one in lanes) + 16 if beside else 12.0)
    height = TOP + lane * len(lanes) + FOOT
    every = [value for one in lanes for value in one.values]
    # Students that differ by a row or two must not seem to lie far apart.
    lacking = max(0.0, LEAST_SPAN * max(map(abs, every)) - (max(every) - min(every)))
    pad = (max(every) - min(every)) * 0.08 + lacking / 2 or 0.5
    x = svg.Scale(min(every) - pad, max(every) + pad, left, right)
    middles = [TOP + lane * (n + 1) - LANE / 2 for n in range(len(lanes))]
    parts = _axis(x, height)
    for n in range(len(seeds)):
        for above, below in zip(range(len(lanes) - 1), range(1, len(lanes)), strict=True):
            ends = [(x(lanes[m].values[n]), middles[m] + _aside(n, len(seeds))) for m in (above, below)]
            parts.append(svg.line(*ends[0], *ends[1], "pair"))
    for one, middle in zip(lanes, middles, strict=True):
        mean = x(sum(one.values) / len(one.values))
        parts.append(svg.line(mean, middle - REACH - 6, mean, middle + REACH + 6, "mean"))
        for n, (seed, value) in enumerate(zip(seeds, one.values, strict=True)):
            words = svg.element("title", f"{one.name}, seed {seed}: {value:.2f}")
            parts.append(svg.element("g", words, marker(x(value), middle + _aside(n, len(seeds)), one.kind)))
        words_y = middle + 4 if beside else middle - LANE / 2 + 2
        parts.append(svg.text(0, words_y, one.name, class_="name"))
        parts.append(svg.text(width, words_y, one.words, anchor="end", class_="value"))
    return svg.plot(width, height, title, description, parts)


def _aside(n: int, seeds: int) -> float:
    return 0.0 if seeds == 1 else (n / (seeds - 1) * 2 - 1) * min(REACH, 7.0 * (seeds - 1))


def _axis(x: svg.Scale, height: float) -> list[Markup]:
    base = height - FOOT + 4
    parts = [svg.line(x.start, base, x.end, base, "axis")]
    for tick in x.ticks(max(2, int((x.end - x.start) / 90))):
        parts.append(svg.line(x(tick), TOP - 4, x(tick), base, "grid"))
        parts.append(svg.text(x(tick), base + 16, f"{tick:g}".replace("-", "−"), anchor="middle", class_="tick"))
    return parts
