"""Building blocks of charts: escaped elements, scales, round tick marks, text widths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

FONT = 12.0
CHARACTER = 0.6
"""A letter's mean width as a part of the font size, in the system fonts the page asks for."""


def element(tag: str, *inside: Markup | str, **attributes: str | float | None) -> Markup:
    """One SVG element, everything in it escaped; `class_` becomes `class`, `text_anchor` becomes `text-anchor`."""
    written = [
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _short(value))
        for name, value in attributes.items()
        if value is not None
    ]
    content = Markup("").join(escape(one) for one in inside)
    return Markup("<{}{}>{}</{}>").format(Markup(tag), Markup("").join(written), content, Markup(tag))


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def plot(width: float, height: float, title: str, description: str, parts: Iterable[Markup]) -> Markup:
    """A complete SVG that scales with the page; screen readers read its title and description."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        aria_label=f"{title}. {description}",
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str | None = None) -> Markup:
    """A line of text with its baseline at y."""
    return element("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def whisker(low: tuple[float, float], high: tuple[float, float]) -> Markup:
    """An interval between two points on a horizontal or vertical line, with short caps."""
    (x1, y1), (x2, y2) = low, high
    across = (0.0, 4.0) if y1 == y2 else (4.0, 0.0)
    caps = [line(x - across[0], y - across[1], x + across[0], y + across[1], "whisker") for x, y in (low, high)]
    return Markup("").join([line(x1, y1, x2, y2, "whisker"), *caps])


def text_width(words: str, size: float = FONT) -> float:
    """About how wide a text is, in the plot's units."""
    return len(words) * CHARACTER * size


def shorten(words: str, most: int) -> str:
    """At most so many characters, the end replaced by an ellipsis."""
    return words if len(words) <= most else words[: most - 1] + "…"


@dataclass(frozen=True)
class Scale:
    """A value's place on an axis."""

    low: float
    high: float
    start: float
    """Where `low` lies, in the plot's units."""
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        change: Callable[[float], float] = math.log if self.logarithmic else float
        low, high = change(self.low), change(self.high)
        share = (change(value) - low) / (high - low) if high != low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within the scale: 1, 2, 5 and so on where it is logarithmic, else evenly spaced."""
        return _log_ticks(self.low, self.high) if self.logarithmic else _even_ticks(self.low, self.high, about)


def _even_ticks(low: float, high: float, about: int) -> list[float]:
    if not high > low:
        return [low]
    rough = (high - low) / max(about, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    for factors in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(n / 4 for n in range(4, 40))):
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [factor * 10.0**power for power in powers for factor in factors]
        inside = sorted({round(value, 12) for value in found if low <= value <= high})
        if len(inside) >= 3:
            return inside
    return inside
