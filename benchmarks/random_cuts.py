"""How often fewer rows would have recommended a variant that all rows show to lose more than the margin.

python benchmarks/random_cuts.py MEASUREMENTS [--rows 20 100 200] [--cuts 200] [--max-drop 1]

Cuts a `measurements.json` to random rows, without putting them back, and asks each cut for its recommendation. Speeds and
sizes stay as they were measured. Prints a line for each number of rows; the aim is at most 5 % of wrong recommendations.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compress.core.measurement import Measurement, Measurements
from compress.metrics.metric import Undefined, find
from compress.report.comparison import Comparison, compare
from compress.report.limits import Budget
from compress.report.recommendations import recommendations


@dataclass(frozen=True)
class Counted:
    """Of so many cuts to so many rows."""

    rows: int
    cuts: int
    recommended: int
    """Cuts that recommend any variant."""
    wrong: int
    """Cuts that recommend a variant whose loss on all rows is greater than the margin, in any metric."""


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurements", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[20, 100, 200])
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--max-drop", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    whole = Measurements.open(given.measurements)
    budget = Budget(max_drop=given.max_drop)
    losing = losers(compare(whole, budget))
    print(f"All {len(whole.references):,} rows: {', '.join(sorted(losing)) or 'no variant'} lost more than the margin.")
    for rows in given.rows:
        one = count(whole, budget, rows, given.cuts, given.seed)
        print(f"{one.rows} rows: {one.recommended} of {one.cuts} cuts recommend a variant, {one.wrong} a wrong one.")


def count(whole: Measurements, budget: Budget, rows: int, cuts: int, seed: int) -> Counted:
    """Cut the measurements so often, and count the recommendations.

    Args:
        whole: the measurements on all rows.
        budget: whose `max_drop` is the margin.
        rows: how many are kept.
        cuts: how often.
        seed: of the rows drawn.
    """
    losing = losers(compare(whole, budget))
    random = np.random.default_rng(seed)
    recommended = wrong = 0
    for _ in range(cuts):
        drawn = np.sort(random.choice(len(whole.references), rows, replace=False))
        chosen = [one for one in recommendations(compare(cut(whole, drawn.tolist()), budget)) if one.recommended]
        recommended += bool(chosen)
        wrong += any(one.row.name in losing for one in chosen[:1])
    return Counted(rows, cuts, recommended, wrong)


def losers(comparison: Comparison) -> set[str]:
    """The variants whose measured loss is greater than the margin, in any metric."""
    return {
        row.name
        for row in comparison.variants
        for metric, margin in comparison.margins.items()
        if comparison.scales[metric].gain(row.quality[metric].difference.value or 0.0) < -margin
    }


def cut(whole: Measurements, rows: Sequence[int]) -> Measurements:
    """The same measured on these rows alone: what is made of examples is made again, all else stays."""
    count, references = len(whole.references), tuple(whole.references[row] for row in rows)

    def kept(one: Measurement) -> Measurement:
        each, predictions, sums = (
            tuple(values[row] for row in rows) if len(values) == count else ()
            for values in (one.per_example, one.predictions, one.statistics)
        )
        if not (each or predictions or sums):
            return one
        few = replace(one, per_example=each, predictions=predictions, statistics=sums, samples=len(rows), interval=None)
        value = _value(few, references)
        return replace(few, value=value, absent=None if value is not None else "undefined on these rows")

    return replace(
        whole,
        references=references,
        measurements=tuple(map(kept, whole.measurements)),
        without_model=tuple(map(kept, whole.without_model)),
        slices={},
    )


def _value(one: Measurement, references: Sequence[float]) -> float | None:
    """A metric of these rows; None where it is undefined."""
    if one.per_example:
        return float(np.mean(one.per_example))
    try:
        if one.statistics:
            value = find(one.name).of_sums(np.sum(one.statistics, axis=0))
        else:
            value = find(one.name).scorer(one.predictions, references)(np.arange(len(references)))
    except Undefined:
        return None
    return float(value) if np.isfinite(value) else None


if __name__ == "__main__":
    main()
