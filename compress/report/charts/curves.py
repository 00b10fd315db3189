"""A learning curve: one quantity against the optimizer's steps, its best and its last value written beside it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from compress.report.charts import svg

WIDTH, HEIGHT = 340.0, 190.0
LEFT, RIGHT, TOP, FOOT = 48.0, 14.0, 14.0, 34.0


def draw(points: Sequence[tuple[float, float]], title: str, *, in_points: bool = False) -> Markup:
    """The curve; `in_points` shows shares as 0 to 100."""
    factor = 100.0 if in_points else 1.0
    shown = [(at, value * factor) for at, value in points]
    ats, values = [at for at, _ in shown], [value for _, value in shown]
    pad = (max(values) - min(values)) * 0.1 or abs(values[0]) * 0.1 or 1.0
    x = svg.Scale(min(ats), max(ats), LEFT, WIDTH - RIGHT)
    y = svg.Scale(min(values) - pad, max(values) + pad, HEIGHT - FOOT, TOP)
    parts = [svg.line(LEFT, HEIGHT - FOOT, WIDTH - RIGHT, HEIGHT - FOOT, "axis")]
    for tick in y.ticks(4):
        parts.append(svg.line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
        parts.append(svg.text(LEFT - 6, y(tick) + 4, f"{tick:g}".replace("-", "−"), anchor="end", class_="tick"))
    for tick in x.ticks(4):
        parts.append(svg.text(x(tick), HEIGHT - FOOT + 16, f"{tick:g}", anchor="middle", class_="tick"))
    parts.append(svg.text(WIDTH - RIGHT, HEIGHT - 2, "optimizer step", anchor="end", class_="label"))
    path = "M" + "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in shown)
    parts.append(svg.element("path", d=path, class_="curve"))
    if len(shown) <= 12:
        parts += [svg.element("circle", cx=x(at), cy=y(value), r=3, class_="curve-point") for at, value in shown]
    last = f"{values[-1]:.4g}"
    description = f"{len(shown)} values from {values[0]:.4g} at step {ats[0]:g} to {last} at step {ats[-1]:g}."
    return svg.picture(WIDTH, HEIGHT, title, description, parts)
