"""The comparison as a table for the terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compress.core.measurement import Measurements
from compress.core.printable import lines, one_line
from compress.metrics import verdicts
from compress.report import degenerate_outputs as collapse
from compress.report import lineage, wording
from compress.report.budget import judge
from compress.report.comparison import Comparison, Row, compare
from compress.report.limits import Budget
from compress.report.recommendations import recommendations
from compress.report.sparsity import sparse

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

NAME_WIDTH = 22
_STYLES = {verdicts.BETTER: "green", verdicts.NOT_WORSE: "green", verdicts.WORSE: "red"}


def table(measurements: Measurements, *, budget: Budget | Mapping[str, Any] | None = None) -> Table:
    """A row for each artifact: the deciding metric with its difference and word, speed, size, memory.

    Recommended variants carry a star; the caption says what is compared with what.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    comparison = compare(measurements, budget)
    keeping = judge(comparison, budget).winners if budget else None
    starred = {one.row.name for one in recommendations(comparison, keeping) if one.recommended}
    shown = Table(
        box=box.SIMPLE_HEAD,
        caption=Text(lines(_caption(comparison, bool(starred)))),
        caption_justify="left",
        pad_edge=False,
    )
    condition = comparison.headline
    shown.add_column("artifact", max_width=NAME_WIDTH, overflow="fold")
    shown.add_column(comparison.scale.name, justify="right", no_wrap=True)
    shown.add_column("change")
    shown.add_column(f"speed\n{condition.short}" if condition else "speed", justify="right", no_wrap=True)
    shown.add_column("MB\ndisk", justify="right", no_wrap=True)
    # At 80 columns there is room for one more: of a generative model, how fast it generates.
    shown.add_column("tokens\n/s" if comparison.pace else "MB peak\nmemory", justify="right", no_wrap=True)
    for row in comparison.rows:
        name = Text("★ " if row.name in starred else "", style="bold")
        name.append(one_line(row.name), style="" if row.is_variant else "dim")
        last = _decoding_speed(comparison, row) if comparison.pace else _memory(comparison, row)
        shown.add_row(name, *_quality(comparison, row), _speed(comparison, row), _size(row), last)
    for baseline in comparison.baselines:
        score = baseline.values.get(comparison.metric or "")
        if score is not None:
            dashes = [wording.DASH] * 3
            shown.add_row(
                Text(one_line(baseline.name), style="dim"), comparison.scale.shown(score), Text("no model"), *dashes
            )
    return shown


def _caption(comparison: Comparison, has_stars: bool) -> str:
    parts = []
    if comparison.metric:
        scale = comparison.scale
        unit = "in points of 100" if scale.in_points else f"({scale.unit})"
        parts.append(f"{scale.name} {unit}, change against the uncompressed model")
    if comparison.examples:
        parts[-1:] = [f"{part} on {comparison.examples:,} examples" for part in parts[-1:]]
    if comparison.headline:
        parts.append(f"speed against the fp32 ONNX export, {comparison.headline.words}")
    if comparison.pace:
        parts.append(f"tokens generated a second, {comparison.pace.words}")
    if has_stars:
        parts.append("★ recommended")
    of_zeros = [f"{one.row.name}: {one.words}" for one in sparse(comparison) if one.words]
    amiss = [words for row in comparison.rows if (words := collapse.warning(comparison, row))]
    return "\n".join(
        ["; ".join(parts) + ".", *_distinct(comparison), *amiss, *_distillation_gain(comparison), *of_zeros]
    )


def _distinct(comparison: Comparison) -> Iterator[str]:
    """The number of distinct outputs of each artifact, for which the table has no room."""
    shares = {row.name: row.distinct.value for row in comparison.rows}
    known = {name: share for name, share in shares.items() if share is not None}
    if known and len(set(known.values())) == 1 == len(set(shares.values())):
        yield f"distinct outputs: {wording.percent(next(iter(known.values())))} of each."
    elif known:
        yield f"distinct outputs: {', '.join(f'{name} {wording.percent(share)}' for name, share in known.items())}."


def _distillation_gain(comparison: Comparison) -> Iterator[str]:
    """The gain from each distillation, once, at the first artifact that came of the student."""
    told = set()
    for row in comparison.rows:
        for step in lineage.steps(row.artifact.manifest):
            text = str((step.teacher_effect or {}).get("text", ""))
            if text and text not in told:
                told.add(text)
                yield f"{row.name}: {text}"


def _quality(comparison: Comparison, row: Row) -> tuple[str, Text]:
    from rich.text import Text

    if comparison.metric is None:
        return wording.DASH, Text(wording.DASH)
    quality, scale = row.quality[comparison.metric], comparison.scale
    change = quality.difference
    value = wording.value_or_dash(quality.value, scale.shown)
    if row is comparison.root:
        return value, Text("", style="dim")
    if change.value is None:
        return value, Text(wording.DASH)
    word = "too few examples" if change.word == verdicts.NOT_ENOUGH else change.word or "not tested"
    return value, Text(f"{scale.signed(change.value)} {word}", style=_STYLES.get(change.word or "", "dim"))


def _speed(comparison: Comparison, row: Row) -> str:
    condition = comparison.headline
    return wording.value_or_dash(row.speeds[condition].ratio, wording.times) if condition else wording.DASH


def _size(row: Row) -> str:
    return wording.value_or_dash(row.disk, lambda size: f"{size / 1e6:.1f}")


def _decoding_speed(comparison: Comparison, row: Row) -> str:
    if comparison.pace is None:
        return wording.DASH
    return wording.value_or_dash(row.speeds[comparison.pace].per_second, lambda rate: f"{rate:,.0f}")


def _memory(comparison: Comparison, row: Row) -> str:
    peaks = [row.memory[phase].peak.value for phase in comparison.phases]
    known = [peak for peak in peaks if peak is not None]
    return f"{max(known) / 1e6:.0f}" if known else wording.DASH
