"""The page's part on what lies beyond the metric: small tables and the sentences above them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compress.report import wording
from compress.report.breakdown import Breakdown, Calibration, Confusion, Sliced
from compress.report.page.details import Grid
from compress.report.scales import scale_of_metric

CHARACTERS = 300


@dataclass(frozen=True)
class Part:
    """A heading, what is to be said, and the tables below it."""

    title: str
    sentences: tuple[str, ...]
    grids: tuple[Grid, ...] = ()


def parts(found: Breakdown | None, uncompressed: str) -> tuple[Part, ...]:
    """The parts that have something to show.

    Args:
        found: of one run.
        uncompressed: the name of the uncompressed model.
    """
    if found is None:
        return ()
    made = (_calibration(found), _confusions(found), _slices(found, uncompressed), _lost(found, uncompressed))
    return tuple(part for part in made if part is not None)


def _calibration(found: Breakdown) -> Part | None:
    if not found.calibration:
        return None
    notes = [f"{one.name}: {note}." for one in found.calibration[:1] for note in one.error.notes]
    said = (
        "Expected calibration error is the mean gap between how sure a model is and how often it is right (Guo et al. 2017). "
        "The Brier score is the squared distance between probabilities and the right answer (Brier 1950). Lower is better.",
        *notes,
    )
    rows = tuple(tuple(_line_of(one)) for one in found.calibration)
    columns = ("Model", "Calibration error", "Interval", "Brier score", "Interval", "Change", "Interval of the change")
    return Part("Calibration", said, (Grid("Calibration error and Brier score", columns, rows),))


def _line_of(one: Calibration) -> Iterator[str]:
    yield one.name
    for value in (one.error, one.brier):
        yield "–" if value.value is None else f"{value.value:.4f}"
        yield f"{value.interval[0]:.4f} to {value.interval[1]:.4f}" if value.interval else "–"
    change = one.change
    yield "–" if change is None or change.value is None else _signed(change.value)
    yield f"{_signed(change.interval[0])} to {_signed(change.interval[1])}" if change and change.interval else "–"


def _signed(value: float) -> str:
    text = f"{value:+.4f}".replace("-", wording.MINUS)
    return text if float(f"{value:.4f}") else "0.0000"


def _confusions(found: Breakdown) -> Part | None:
    if not found.confusions:
        return None
    if found.confusions[0].counts:
        said = "Rows are the right labels, columns the answers, in examples."
        return Part("Confusion matrices", (said,), tuple(map(_matrix, found.confusions)))
    return Part("Most confused labels", ("In examples.",), tuple(map(_pairs, found.confusions)))


def _matrix(one: Confusion) -> Grid:
    rows = tuple((label, *(f"{n:,}" for n in counts)) for label, counts in zip(one.labels, one.counts, strict=True))
    return Grid(one.name, ("Right label", *one.labels), rows)


def _pairs(one: Confusion) -> Grid:
    return Grid(one.name, ("Right label", "Answered", "Examples"), tuple((a, b, f"{n:,}") for a, b, n in one.pairs))


def _slices(found: Breakdown, uncompressed: str) -> Part | None:
    if not found.slices:
        return None
    return Part(
        "Slices", tuple(_worst(one, uncompressed) for one in found.slices), tuple(map(_table_of_slices, found.slices))
    )


def _worst(one: Sliced, uncompressed: str) -> str:
    """The slice that loses most, with the interval that its choice asks for."""
    scale, worst = scale_of_metric(one.metric), one.worst
    interval = worst.difference.interval
    left_out = f" {one.left_out} slices of fewer than 30 examples are left out." if one.left_out else ""
    between = f", {scale.signed_range(interval)}" if interval else ""
    return (
        f"{one.name} fares worst beside {uncompressed} where {worst.by} is “{worst.name}” ({worst.examples:,} examples): "
        f"{scale.name} {scale.shown(worst.value)} against {scale.shown(worst.uncompressed)} "
        f"({scale.change(worst.difference.value or 0.0)}{between}). It is the worst of {len(one.slices)} slices, so intervals "
        f"are at {wording.percent(one.level)}, which covers the choice.{left_out}"
    )


def _table_of_slices(one: Sliced) -> Grid:
    scale = scale_of_metric(one.metric)
    rows = tuple(
        (
            f"{part.by}: {part.name}",
            f"{part.examples:,}",
            scale.shown(part.uncompressed),
            scale.shown(part.value),
            "–" if part.difference.value is None else scale.signed(part.difference.value),
            scale.signed_range(part.difference.interval) or "–",
        )
        for part in one.slices
    )
    columns = ("Slice", "Examples", "Uncompressed", scale.title, "Difference", "Interval")
    return Grid(one.name, columns, rows, tuple(part.difference.word for part in one.slices))


def _lost(found: Breakdown, uncompressed: str) -> Part | None:
    if not found.lost:
        return None
    said = tuple(
        f"{one.name} alone gets {one.lost:,} examples wrong that {uncompressed} gets right, and {one.gained:,} right that it "
        "gets wrong."
        for one in found.lost
    )
    if any(len(one.rows) < one.lost for one in found.lost):
        said = (*said, "The most confident mistakes are shown; where confidence is not known, the first ones.")
    columns = ("Text", "Row", "Label", "Uncompressed", "Answer", "Confidence")
    grids = tuple(Grid(one.name, columns, tuple(map(_example, one.rows))) for one in found.lost if one.rows)
    return Part("Examples that only the compressed model gets wrong", said, grids)


def _example(row: Mapping[str, Any]) -> tuple[str, ...]:
    sure = row.get("confidence")
    text = str(row.get("text", ""))
    return (
        text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…",
        str(row.get("row", "–")),
        str(row.get("label", "–")),
        str(row.get("uncompressed", "–")),
        str(row.get("answer", "–")),
        wording.percent(sure) if isinstance(sure, int | float) else "–",
    )
