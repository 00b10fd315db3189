"""How often the interval of a distillation gain is right about students of any seed, by how much luck a seed has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import populations
from scipy.stats import t

from compress.metrics import statistics
from compress.metrics.crossed import with_seeds
from compress.metrics.intervals import LEVEL, mean_interval
from compress.metrics.resampling import FEW
from compress.metrics.verdicts import BETTER, MARGIN, WORSE, word

LUCK = (0.0, 0.003, 0.005, 0.01)
"""The standard deviation of a student's accuracy over seeds, as a share."""
UNEQUAL = ((0.006, 0.001), (0.01, 0.0))
"""The same of either side."""
SEEDS, EXAMPLES, AGREEMENT = (2, 3, 5), (872, 2693), (0.9, 0.95)


@dataclass(frozen=True)
class Cell:
    """Shares of samples of two sides that are equally good on the mean over all seeds."""

    luck: tuple[float, float]
    """Of either side's students."""
    seeds: int
    examples: int
    agreement: float
    coverage: float
    """Of the difference between the expected students, 0."""
    false: float
    """With a false word, *better* or *worse*."""
    false_of_rows: float
    """The same where the word is read from the interval over examples alone."""
    false_of_satterthwaite: float
    """The same of one variance with Satterthwaite's degrees of freedom."""
    half_width: float
    """Half the interval, its mean over samples, in points."""


def cell(luck: tuple[float, float], seeds: int, examples: int, agreement: float, repetitions: int) -> Cell:
    """One cell; its seed is its own, and always the same."""
    generator = np.random.default_rng([*(round(1000 * one) for one in luck), seeds, examples, round(100 * agreement)])
    found = np.array([_sample(generator, luck, seeds, examples, agreement) for _ in range(repetitions)])
    low, high = found[:, 0].T
    false = [np.mean([word(*ends, MARGIN) in (BETTER, WORSE) for ends in found[:, number]]) for number in range(3)]
    held = float(np.mean((low <= 0) & (high >= 0)))
    return Cell(luck, seeds, examples, agreement, held, *map(float, false), 50 * float(np.mean(high - low)))


def _sample(generator: Any, luck: tuple[float, float], seeds: int, examples: int, agreement: float) -> Any:
    """The intervals by three methods, [3, 2]: over examples and seeds, over examples alone, Satterthwaite's."""
    sides = populations.students(generator, examples, seeds, agreement, luck, 0.0)
    apart = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    difference = float(apart.mean())
    # What `statistics.compare` gives of means, and much faster; where few examples differ it adds some.
    over_examples = (np.count_nonzero(apart) >= FEW and mean_interval(apart)) or statistics.compare(
        *(side.mean(axis=0).tolist() for side in sides)
    ).interval
    return with_seeds(difference, over_examples, sides), over_examples, satterthwaite(difference, sides)


def satterthwaite(difference: float, sides: Sequence[np.ndarray]) -> tuple[float, float]:
    """The usual interval of such studies (Hillis, Statistics in Medicine 26, 2007), from both sides' spread over seeds."""
    seeds, examples = sides[0].shape
    apart = sides[0] - sides[1]
    rows = seeds * float(apart.mean(axis=0).var(ddof=1))
    between = examples * sum(float(side.mean(axis=1).var(ddof=1)) for side in sides)
    left = [side - side.mean(axis=1, keepdims=True) - side.mean(axis=0) + side.mean() for side in sides]
    residual = sum(float(np.square(one).sum()) for one in left) / ((seeds - 1) * (examples - 1))
    whole = between + max(rows - residual, 0.0)
    if not whole or not between:
        return difference, difference
    degrees = whole**2 / (between**2 / (2 * (seeds - 1)))
    half = float(t.ppf((1 + LEVEL) / 2, degrees)) * np.sqrt(whole / (seeds * examples))
    return difference - half, difference + half


def grid(repetitions: int) -> Iterator[tuple[Any, ...]]:
    """The arguments of every cell."""
    for examples in EXAMPLES:
        for agreement in AGREEMENT:
            for seeds in SEEDS:
                yield from (((luck, luck), seeds, examples, agreement, repetitions) for luck in LUCK)
    for luck in UNEQUAL:
        yield from ((luck, seeds, EXAMPLES[-1], AGREEMENT[-1], repetitions) for seeds in SEEDS)


def run(given: tuple[Any, ...]) -> Cell:
    """One cell, by its arguments."""
    return cell(*given)


def table(found: Sequence[Cell]) -> str:
    """A line for each cell."""
    lines = [
        "| seeds | examples | agree | luck of a seed (points) | coverage | half width (points) | false words "
        "| over examples alone | Satterthwaite |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        lines.append(
            f"| {one.seeds} | {one.examples:,} | {one.agreement:.0%} | {_luck(one.luck)} | {one.coverage:.3f} "
            f"| {one.half_width:.2f} | {one.false:.1%} | {one.false_of_rows:.1%} | {one.false_of_satterthwaite:.1%} |"
        )
    return "\n".join(lines)


def _luck(luck: tuple[float, float]) -> str:
    return " and ".join(f"{100 * one:g}" for one in dict.fromkeys(luck))
