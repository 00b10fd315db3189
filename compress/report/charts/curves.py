"""Learning curves: a loss and its terms, or a metric, by training step, with labels at the lines' ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report.charts import svg

WIDTH, HEIGHT = 400.0, 230.0
LEFT, RIGHT, TOP, FOOT = 48.0, 14.0, 22.0, 34.0
NAME, BETWEEN = 11.0, 13.0
"""The size of a line's name, and the least distance from one name to the next."""
STYLES = 6
"""How many colours and dashes the style sheet has (`term-0` and on); more terms than these share them."""
LEAST_POINTS, LEAST_SPAN = 4.0, 0.02
"""What the axis of a score shows at least, in points, and of any other quantity, as a part of it: one held-out row of 300 is
a third of a point, and must not become a cliff."""
DECADES = 30.0
"""From this ratio of the largest to the smallest value on, an even scale would press the small ones flat."""


@dataclass(frozen=True)
class Line:
    """One quantity over the training."""

    name: str
    points: Sequence[tuple[float, float]]
    """(optimizer step, value) in order, at least two."""
    style: int | None = None
    """Which of the styles; None is the plain one, for a quantity alone or for the sum of the others."""


def draw(lines: Sequence[Line], title: str, *, in_points: bool = False) -> Markup:
    """The lines in one plot; `in_points` shows shares as 0 to 100. A line alone needs no name: the title is one."""
    factor = 100.0 if in_points else 1.0
    shown = [Line(one.name, [(at, value * factor) for at, value in one.points], one.style) for one in lines]
    names = [svg.shorten(one.name, 18) for one in shown] if len(shown) > 1 else []
    beside = max((svg.text_width(name, NAME) for name in names), default=0.0) + (26.0 if names else 0.0)
    x, y = _scales(shown, WIDTH - RIGHT - beside, LEAST_POINTS if in_points else 0.0)
    parts = _axes(x, y)
    # The sum is drawn last, over its terms.
    for one in sorted(shown, key=lambda line: line.style is None):
        parts += _line(one, _class(one, len(shown)), x, y)
    parts += _names(names, shown, x, y)
    return svg.plot(WIDTH, HEIGHT, title, " ".join(_description(one) for one in shown), parts)


def _scales(lines: Sequence[Line], end: float, least: float) -> tuple[svg.Scale, svg.Scale]:
    """Of the steps and the values; the latter spans at least so much, and a little of the values' own size."""
    ats = [at for one in lines for at, _ in one.points]
    values = [value for one in lines for _, value in one.points]
    low, high = min(values), max(values)
    x = svg.Scale(min(ats), max(ats), LEFT, end)
    if low > 0 and high / low > DECADES:
        return x, svg.Scale(low / 1.15, high * 1.15, HEIGHT - FOOT, TOP, logarithmic=True)
    lacking = max(0.0, max(least, LEAST_SPAN * abs(high)) - (high - low))
    pad = (high - low) * 0.1 + lacking / 2 or 1.0
    return x, svg.Scale(low - pad, high + pad, HEIGHT - FOOT, TOP)


def _axes(x: svg.Scale, y: svg.Scale) -> list[Markup]:
    parts = [svg.line(x.start, y.start, x.end, y.start, "axis")]
    above = y.start + BETWEEN
    for tick in y.ticks(4):
        # Many decades have more round values than there is room for.
        if above - y(tick) >= BETWEEN:
            above = y(tick)
            parts.append(svg.line(x.start, above, x.end, above, "grid"))
            parts.append(svg.text(x.start - 6, above + 4, f"{tick:g}".replace("-", "−"), anchor="end", class_="tick"))
    for tick in x.ticks(4):
        parts.append(svg.text(x(tick), y.start + 16, f"{tick:g}", anchor="middle", class_="tick"))
    parts.append(svg.text(x.end, HEIGHT - 2, "optimizer step", anchor="end", class_="label"))
    if y.logarithmic:
        parts.append(svg.text(4, 11, "logarithmic", class_="label"))
    return parts


def _line(one: Line, class_: str, x: svg.Scale, y: svg.Scale) -> list[Markup]:
    path = "M" + "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in one.points)
    parts = [svg.element("path", svg.element("title", one.name), d=path, class_=f"curve {class_}".rstrip())]
    if len(one.points) <= 12:
        point = f"curve-point {class_}".rstrip()
        parts += [svg.element("circle", cx=x(at), cy=y(value), r=3, class_=point) for at, value in one.points]
    return parts


def _names(names: Sequence[str], lines: Sequence[Line], x: svg.Scale, y: svg.Scale) -> list[Markup]:
    """Each name where its line ends, joined to it by a piece of the line itself; names that would touch move apart."""
    ends = sorted((y(one.points[-1][1]), n) for n, one in enumerate(lines)) if names else []
    parts = []
    for (up, n), place in zip(ends, _apart([up for up, _ in ends], y.end, y.start), strict=True):
        one = lines[n]
        last = x(one.points[-1][0])
        path = f"M{last:.1f} {up:.1f}L{x.end + 8:.1f} {place:.1f}H{x.end + 20:.1f}"
        parts.append(svg.element("path", d=path, class_=f"curve {_class(one, len(lines))}"))
        parts.append(svg.text(x.end + 24, place + 4, names[n], class_="line-name"))
    return parts


def _apart(places: Sequence[float], least: float, most: float) -> list[float]:
    """The places in order, at least `BETWEEN` from one to the next, and within the limits as far as there is room."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + BETWEEN) if moved else max(place, least))
    floor = max(most, least + BETWEEN * (len(moved) - 1))
    for n in range(len(moved) - 1, -1, -1):
        moved[n] = min(moved[n], floor)
        floor = moved[n] - BETWEEN
    return moved


def _class(one: Line, lines: int) -> str:
    if one.style is not None:
        return f"term-{one.style % STYLES}"
    return "sum" if lines > 1 else ""


def _description(one: Line) -> str:
    (first_at, first), (last_at, last) = one.points[0], one.points[-1]
    return (
        f"{one.name}: {len(one.points)} values from {first:.4g} at step {first_at:g} to {last:.4g} at step {last_at:g}."
    )
