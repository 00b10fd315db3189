"""Simulate every interval that a report prints, and write docs/statistics.md: `make simulate`.

The whole grid takes under an hour on two cores at 1,000 repetitions a cell.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

import cells
import seeds
from cells import Cell

from compress.metrics import resampling

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
REPETITIONS = 1000
"""Samples a cell, of `make simulate`."""
OF_SEEDS = 1000
"""The same of students of several seeds."""


def main() -> None:
    """Run the grid and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="Samples a cell.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--to", type=Path, default=PAGE, help="The page to write.")
    given = parser.parse_args()
    began = time.monotonic()
    # At the level of one variant 500 draws of a posterior are enough; a report makes twenty times as many.
    resampling.DRAWS = 500
    todo = list(cells.grid(given.repetitions))
    found = []
    with Pool(given.processes) as pool:
        of_seeds = pool.map(seeds.run, list(seeds.grid(OF_SEEDS)), chunksize=1)
        for number, cell in enumerate(pool.imap(cells.run, todo), 1):
            found.append(cell)
            print(
                f"{number} of {len(todo)} cells, {(time.monotonic() - began) / 60:.0f} min", end="\r", file=sys.stderr
            )
    minutes = (time.monotonic() - began) / 60
    given.to.write_text(page(found, of_seeds, given.repetitions, minutes), encoding="utf-8")


def page(found: Sequence[Cell], of_seeds: Sequence[seeds.Cell], repetitions: int, minutes: float) -> str:
    """The page: what is required, which cells miss it, and every number."""
    text = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
    missed = [one for one in found if not one.holds]
    by_hand = f"python benchmarks/simulate/simulate.py --repetitions {repetitions}"
    return text.format(
        command="make simulate" if repetitions == REPETITIONS else by_hand,
        usual=f"{REPETITIONS:,}",
        repetitions=f"{repetitions:,}",
        minutes=f"{minutes:.0f}",
        cells=len(found),
        held=len(found) - len(missed),
        missed=table(missed) if missed else "None.",
        words=_words(repetitions),
        of_seeds=f"{OF_SEEDS:,}",
        seeds=seeds.table(of_seeds),
        most_false=_most_false(of_seeds, equal=True),
        most_false_unequal=_most_false(of_seeds, equal=False),
        power=_power(repetitions),
        table=table(found),
    )


def _most_false(of_seeds: Sequence[seeds.Cell], *, equal: bool) -> str:
    """Of the cells in which both sides have the same luck, or not."""
    return f"{max(one.false for one in of_seeds if (one.luck[0] == one.luck[1]) == equal):.1%}"


def table(some: Sequence[Cell]) -> str:
    """Cells by metric and setting in rows, the numbers of examples in columns."""
    lines = ["| interval | examples | population | coverage | differing examples expected |", "|---|---|---|---|---|"]
    for one in sorted(some, key=lambda one: one.of):
        mark = "" if one.holds else " **missed**"
        exact = " (exact)" if one.repetitions is None else ""
        count = f"{one.differing:.0f}" if one.of != "latency ratio" else ""
        lines.append(f"| {one.of} | {one.examples:,} | {one.setting} | {one.coverage:.3f}{exact}{mark} | {count} |")
    return "\n".join(lines)


def _words(repetitions: int) -> str:
    lines = [
        "| variants | " + " | ".join(f"{count:,} examples" for count in cells.EXAMPLES) + " |",
        "|---|---|---|---|---|",
    ]
    for variants in (1, 3, 6, 12):
        shares = [
            cells.false_words(variants, count, 0.9, 50 * repetitions, variants + count) for count in cells.EXAMPLES
        ]
        lines.append(f"| {variants} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    return "\n".join(lines)


def _power(repetitions: int) -> str:
    lines = ["| examples | agree | detectable (points) | shown in |", "|---|---|---|---|"]
    for count in cells.EXAMPLES:
        for agreement in (0.8, 0.9, 0.95, 0.98, 0.99):
            made = cells.power(count, agreement, 20 * repetitions, count)
            cells_of_row = f"{100 * made[0]:.2f} | {made[1]:.1%}" if made else "more than all that differ | –"
            lines.append(f"| {count:,} | {agreement:.0%} | {cells_of_row} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
