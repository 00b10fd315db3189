"""Markers: one shape and one colour for each verdict, so that neither is needed to read the other."""

from __future__ import annotations

from markupsafe import Markup

from compress.metrics import verdicts
from compress.report.charts import svg

ROOT, BASELINE, UNTESTED = "root", "baseline", "not tested"
KINDS = {
    verdicts.BETTER: "better",
    verdicts.NOT_WORSE: "not worse",
    verdicts.NOT_ENOUGH: "not enough examples",
    verdicts.WORSE: "worse",
    UNTESTED: "not tested",
    ROOT: "uncompressed",
    BASELINE: "fp32 ONNX",
}
"""Each kind of marker, and what a legend calls it."""
_OUTLINES: dict[str, list[tuple[float, float]]] = {
    ROOT: [(0, -7), (7, 0), (0, 7), (-7, 0)],
    BASELINE: [(-5, -5), (5, -5), (5, 5), (-5, 5)],
    verdicts.BETTER: [(0, -7), (6.5, 5), (-6.5, 5)],
    verdicts.WORSE: [(0, 7), (6.5, -5), (-6.5, -5)],
}
RING = 11.0
"""The radius of the ring round the recommended variant."""


def marker(x: float, y: float, kind: str) -> Markup:
    """Diamond: uncompressed; square: its export; triangle up: better, down: worse; circle: not worse; empty circle: unknown."""
    class_ = f"point {css(kind)}"
    if kind not in _OUTLINES:
        return svg.element("circle", cx=x, cy=y, r=5.5, class_=class_)
    points = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in _OUTLINES[kind])
    return svg.element("polygon", points=points, class_=class_)


def ring(x: float, y: float) -> Markup:
    """Round the recommended variant."""
    return svg.element("circle", cx=x, cy=y, r=RING, class_="ring")


def css(kind: str) -> str:
    """A kind as one class of the style sheet."""
    return kind.replace(" ", "-")


def legend(kinds: list[str], x: float, y: float, width: float, *, has_ring: bool) -> tuple[list[Markup], float]:
    """The shapes that occur, each with its name, in as many lines as they need; and the height they take."""
    entries = [(kind, words) for kind, words in KINDS.items() if kind in kinds]
    entries += [("ring", "recommended")] if has_ring else []
    parts: list[Markup] = []
    at, line = x, y
    for kind, words in entries:
        wide = 18 + svg.text_width(words, 11) + 14
        if at + wide > x + width and at > x:
            at, line = x, line + 18
        shape = svg.element("circle", cx=at + 7, cy=line - 4, r=6.0, class_="ring") if kind == "ring" else None
        parts += [shape or marker(at + 7, line - 4, kind), svg.text(at + 18, line, words, class_="key")]
        at += wide
    return parts, line - y + 18 if entries else 0.0
