"""Places labels near points: over nothing else, and within the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LINE = 16.0
"""The height of a label."""
REACHES = (9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 66.0, 84.0, 104.0, 130.0)
"""How far from its point a label may lie, in the order they are tried."""


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


def place(
    points: Sequence[tuple[float, float]], widths: Sequence[float], taken: Sequence[Box], inside: Box
) -> list[Box]:
    """A box for each point's label, near it and, where there is room, over nothing else.

    Labels are placed one after the other at the nearest of many places round their point; covering another label or
    leaving the frame costs most, then covering points and lines, then distance.
    """
    placed: list[Box] = []
    for (x, y), width in zip(points, widths, strict=True):
        best = min(enumerate(_candidates(x, y, width)), key=lambda one: (_cost(one[1], placed, taken, inside), one[0]))
        placed.append(best[1][1])
    return placed


def is_clear(box: Box, others: Sequence[Box], inside: Box) -> bool:
    """Whether a label covers no other and lies within the frame."""
    return not any(box.overlap(other) for other in others) and box.overlap(inside) >= box.width * box.height - 0.01


def _candidates(x: float, y: float, width: float) -> list[tuple[float, Box]]:
    found = []
    for far in REACHES:
        for rightwards, down in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)):
            left = x + far if rightwards > 0 else x - far - width if rightwards < 0 else x - width / 2
            found.append((far, Box(left, y - LINE / 2 + down * (far + 3), width, LINE)))
    return found


def _cost(candidate: tuple[float, Box], placed: Sequence[Box], taken: Sequence[Box], inside: Box) -> float:
    far, box = candidate
    covered = sum(box.overlap(other) for other in placed)
    outside = box.width * box.height - box.overlap(inside)
    touched = sum(box.overlap(other) for other in taken)
    return 1000 * covered + 1000 * outside + 12 * touched + far
