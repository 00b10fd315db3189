"""Beyond the metric: how far probabilities can be believed, what is confused with what, the slices, and the examples lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.metrics.intervals import LEVEL
from compress.metrics.metric import find
from compress.metrics.verdicts import MARGIN
from compress.report.comparison import Comparison, Row
from compress.report.scales import Scale
from compress.report.significance import Difference, difference
from compress.report.values import Lookup, Value, value_of

LOST = "lost_examples.json"
"""What the benchmark writes beside the measurements, see `compress.measure.lost_examples`."""
FEWEST = 30
"""Examples of a slice below which nothing is said of it."""
MOST_LABELS = 20
"""Labels of a confusion matrix; of more the pairs that are most often confused are listed."""
PAIRS = 10
SHOWN = 2
"""Variants whose matrices, slices and lost examples are shown."""


@dataclass(frozen=True)
class Calibration:
    """How far one artifact's probabilities can be believed; lower is better in both."""

    name: str
    error: Value
    """Expected calibration error, 0 to 1."""
    brier: Value
    change: Difference | None
    """The Brier score minus the uncompressed model's; None for that itself."""


@dataclass(frozen=True)
class Confusion:
    """How often each right label (row) was answered by each label (column)."""

    name: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """[labels][labels]; empty where there are more than 20."""
    pairs: tuple[tuple[str, str, int], ...]
    """(right, answered, examples) of the most frequent mistakes."""


@dataclass(frozen=True)
class Slice:
    """One artifact on some of the examples, beside the uncompressed model."""

    by: str
    """`label`, `length`, or a column of the data."""
    name: str
    examples: int
    value: float
    uncompressed: float
    difference: Difference
    """Its interval holds for all slices of the run at once."""


@dataclass(frozen=True)
class Sliced:
    """One artifact's slices."""

    name: str
    metric: str
    slices: tuple[Slice, ...]
    worst: Slice
    """The one that loses most against the uncompressed model."""
    left_out: int
    """Slices of fewer than 30 examples."""
    level: float


@dataclass(frozen=True)
class Lost:
    """The examples that only one artifact gets wrong."""

    name: str
    lost: int
    gained: int
    """Those that only it gets right."""
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Breakdown:
    """Everything about one run."""

    calibration: tuple[Calibration, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    slices: tuple[Sliced, ...] = ()
    lost: tuple[Lost, ...] = ()


def breakdown(
    file: Path, comparison: Comparison, recommended: Sequence[Row], *, with_examples: bool = True
) -> Breakdown | None:
    """What was measured beyond the metrics; None where there is nothing.

    Args:
        file: of the measurements, beside which the lost examples lie.
        comparison: the run.
        recommended: the variants of the cards, the first of which are shown in detail.
        with_examples: whether texts of the evaluation split may be shown.
    """
    root = comparison.root
    if root is None:
        return None
    index = Lookup(comparison.measurements)
    shown = list({row.name: row for row in (*recommended, *comparison.ranked)}.values())[:SHOWN]
    found = Breakdown(
        calibration=_calibration(comparison, index, root),
        confusions=tuple(matrix for row in (root, *shown) if (matrix := _confusion(index, row)) is not None),
        slices=tuple(sliced for row in shown if (sliced := _sliced(comparison, index, root, row)) is not None),
        lost=_lost(file.parent / LOST, shown) if with_examples else (),
    )
    return found if found != Breakdown() else None


def _measured(index: Lookup, row: Row, name: str) -> Measurement | None:
    return index.within(row.artifact, row.runtime).get(row.artifact, name)


def _calibration(comparison: Comparison, index: Lookup, root: Row) -> tuple[Calibration, ...]:
    of_root = _measured(index, root, "brier_score")
    found = []
    for row in comparison.rows:
        error, brier = (_measured(index, row, name) for name in ("calibration_error", "brier_score"))
        if error is None or error.value is None:
            continue
        change = None if row is root else difference(brier, of_root, (), level=comparison.level)
        found.append(Calibration(row.name, value_of(error), value_of(brier), change))
    return tuple(found)


def _answers(index: Lookup, row: Row) -> tuple[float, ...]:
    """The class that it gave each example; empty where examples have something else."""
    measurements = index.measurements
    labels, references = measurements.task.get("label_names") or (), measurements.references
    mine = [_measured(index, row, name) for name in index.metrics()]
    given = next((one.predictions for one in mine if one is not None and one.predictions), ())
    whole = all(one == int(one) and 0 <= one < len(labels) for one in (*given, *references))
    return given if labels and whole and len(given) == len(references) else ()


def _confusion(index: Lookup, row: Row) -> Confusion | None:
    given = _answers(index, row)
    if not given:
        return None
    labels = tuple(str(one) for one in index.measurements.task["label_names"])
    counted = Counter(zip(map(int, index.measurements.references), map(int, given), strict=True))
    counts = tuple(tuple(counted[right, said] for said in range(len(labels))) for right in range(len(labels)))
    wrong = sorted(((n, pair) for pair, n in counted.items() if pair[0] != pair[1]), key=lambda one: (-one[0], one[1]))
    pairs = tuple((labels[right], labels[said], n) for n, (right, said) in wrong[:PAIRS])
    return Confusion(row.name, labels, counts if len(labels) <= MOST_LABELS else (), pairs)


def _sliced(comparison: Comparison, index: Lookup, root: Row, row: Row) -> Sliced | None:
    here, there = (_scored(comparison, index, one) for one in (row, root))
    if here is None or there is None:
        return None
    parts = [
        (by, name, [place for place, of in enumerate(one["rows"]) if of == number])
        for by, one in comparison.measurements.slices.items()
        for number, name in enumerate(one["names"])
    ]
    kept = [one for one in parts if len(one[2]) >= FEWEST]
    if not kept:
        return None
    level = 1 - (1 - LEVEL) / len(kept)
    margin = comparison.margins.get(here.name, MARGIN)
    found = []
    for by, name, rows in kept:
        ours, theirs, right = _part(here, index, rows), _part(there, index, rows), _of(index, rows)
        if ours is not None and theirs is not None and ours.value is not None and theirs.value is not None:
            change = difference(ours, theirs, right, margin=margin, level=level)
            found.append(Slice(by, str(name), len(rows), ours.value, theirs.value, change))
    if not found:
        return None
    scale = Scale(here.name, higher_is_better=here.higher_is_better)
    worst = min(found, key=lambda one: scale.gain(one.difference.value or 0.0))
    return Sliced(row.name, here.name, tuple(found), worst, len(parts) - len(kept), level)


def _scored(comparison: Comparison, index: Lookup, row: Row) -> Measurement | None:
    """What slices are compared by: of classes whether each answer is right, else the metric that decides."""
    given, references = _answers(index, row), index.measurements.references
    if given:
        each = tuple(float(said == right) for said, right in zip(given, references, strict=True))
        return Measurement(row.artifact.fingerprint, "accuracy", sum(each) / len(each), "share", True, per_example=each)
    found = _measured(index, row, comparison.metric) if comparison.metric else None
    sizes = [len(one["rows"]) for one in comparison.measurements.slices.values()]
    if found is None or found.value is None or not sizes:
        return None
    per_row = found.per_example or found.statistics or found.predictions
    return found if len(per_row) == sizes[0] else None


def _of(index: Lookup, rows: Sequence[int]) -> tuple[float, ...]:
    references = index.measurements.references
    return tuple(references[place] for place in rows) if references else ()


def _part(one: Measurement, index: Lookup, rows: Sequence[int]) -> Measurement | None:
    """The same on some of the examples; None where it does not exist there."""
    import numpy as np

    each = tuple(one.per_example[place] for place in rows) if one.per_example else ()
    sums = tuple(one.statistics[place] for place in rows) if one.statistics else ()
    given = tuple(one.predictions[place] for place in rows) if one.predictions else ()
    try:
        if each:
            value = sum(each) / len(each)
        elif sums:
            value = find(one.name).score_of(np.asarray(sums, dtype=float))
        else:
            value = find(one.name).score(given, _of(index, rows))
    except CompressError:
        return None
    return replace(one, value=value, per_example=each, statistics=sums, predictions=given, interval=None)


def _lost(file: Path, shown: Sequence[Row]) -> tuple[Lost, ...]:
    """From the file beside the measurements; nothing where it cannot be read, since it is beside the point of a report."""
    try:
        whole = json.loads(file.read_text(encoding="utf-8"))
        return tuple(
            Lost(row.name, int(one["lost"]), int(one["gained"]), tuple(map(dict, one["rows"])))
            for row in shown
            if isinstance(one := whole.get(row.name), dict)
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ()
