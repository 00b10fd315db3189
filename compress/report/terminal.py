"""The comparison as a table for the terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compress.core.measurement import Measurements
from compress.core.printable import lines, one_line
from compress.metrics import verdicts
from compress.report import degenerate_outputs as collapse
from compress.report import lineage, memory, wording
from compress.report.comparison import Comparison, Row, compare
from compress.report.limits import Budget
from compress.report.recommendations import recommendations
from compress.report.sparsity import sparse

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

NAME_WIDTH, WORD_WIDTH = 22, 10
_STYLES = {verdicts.BETTER: "green", verdicts.NOT_WORSE: "green", verdicts.WORSE: "red"}


def table(measurements: Measurements, *, budget: Budget | Mapping[str, Any] | None = None) -> Table:
    """A row for each artifact: the deciding metric with its difference and word, speed, size, memory.

    Recommended variants carry a star; the caption says what is compared with what.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    comparison = compare(measurements, budget)
    starred = {one.row.name for one in recommendations(comparison)[:1] if one.recommended}
    shown = Table(
        box=box.SIMPLE_HEAD,
        caption=Text(lines(_caption(comparison, bool(starred)))),
        caption_justify="left",
        pad_edge=False,
    )
    condition = comparison.headline
    shown.add_column("artifact", max_width=NAME_WIDTH, overflow="fold")
    shown.add_column(comparison.scale.name, justify="right", no_wrap=True)
    shown.add_column("change", justify="right", no_wrap=True)
    shown.add_column("verdict", max_width=WORD_WIDTH)
    shown.add_column("times\nas fast" if condition else "speed", justify="right", no_wrap=True)
    shown.add_column("MB\ndisk", justify="right", no_wrap=True)
    # At 80 columns there is room for one more: of a generative model, how fast it generates.
    shown.add_column("tokens\n/s" if comparison.pace else "MB\nmemory", justify="right", no_wrap=True)
    for row in (*(one for one in comparison.rows if not one.is_variant), *comparison.ranked):
        name = Text("★ " if row.name in starred else "")
        name.append(one_line(row.name))
        name.stylize("bold" if row.name in starred else "" if row.is_variant else "dim")
        last = _decoding_speed(comparison, row) if comparison.pace else _memory(row)
        shown.add_row(name, *_quality(comparison, row), _speed(comparison, row), _size(row), last)
    for baseline in comparison.baselines:
        score = baseline.values.get(comparison.metric or "")
        if score is not None:
            dashes = [wording.DASH] * 3
            name = Text(one_line(baseline.name), style="dim")
            shown.add_row(name, comparison.scale.shown(score), "", Text("no model", style="dim"), *dashes)
    return shown


def _caption(comparison: Comparison, has_stars: bool) -> str:
    of_zeros = [f"{one.row.name}: {one.words}" for one in sparse(comparison) if one.words]
    amiss = [words for row in comparison.rows if (words := collapse.warning(comparison, row))]
    told = [*_refused(comparison), *_distinct(comparison), *amiss, *_distillation_gain(comparison), *of_zeros]
    return "\n".join(["; ".join(_columns(comparison, has_stars)) + ".", *told])


def _columns(comparison: Comparison, has_stars: bool) -> Iterator[str]:
    """What the columns hold and how the verdicts were reached."""
    if has_stars:
        yield "★ recommended"
    if comparison.metric:
        scale = comparison.scale
        unit = "in points of 100" if scale.in_points else f"({scale.unit})"
        on = f" on {comparison.examples:,} examples" if comparison.examples else ""
        yield f"{scale.name} {unit}, change against the uncompressed model{on}"
        if comparison.variants:
            margin = scale.margin(comparison.margins[comparison.metric])
            yield f"margin of the verdicts {margin}, intervals of {wording.level(comparison.level)}"
    if comparison.headline:
        yield f"times as fast as the fp32 ONNX export, {comparison.headline.words}"
    if comparison.pace:
        yield f"tokens generated a second, {comparison.pace.words}"
    elif comparison.phases:
        yield "memory: the peak of a serving process"


def _refused(comparison: Comparison) -> Iterator[str]:
    """Why there is no ratio where a latency was measured, once for all artifacts of the same reason."""
    by_reason: dict[str, list[str]] = {}
    for row in comparison.variants:
        speed = row.speeds[comparison.headline] if comparison.headline else None
        if speed and speed.time.value is not None and speed.ratio.value is None and speed.ratio.absent:
            by_reason.setdefault(speed.ratio.absent, []).append(row.name)
    for reason, names in by_reason.items():
        yield f"no ratio of speed for {', '.join(names)}: {reason.rstrip('.')}."


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


def _quality(comparison: Comparison, row: Row) -> tuple[str, str, Text]:
    """The deciding metric, its change, and the verdict's word."""
    from rich.text import Text

    if comparison.metric is None:
        return wording.DASH, wording.DASH, Text(wording.DASH)
    quality, scale = row.quality[comparison.metric], comparison.scale
    change = quality.difference
    value = wording.value_or_dash(quality.value, scale.shown)
    if row is comparison.root:
        return value, "", Text("")
    if change.value is None:
        return value, wording.DASH, Text(wording.DASH)
    if row is comparison.baseline:
        return value, scale.signed(change.value), Text("")
    return (
        value,
        scale.signed(change.value),
        Text(change.word or "not tested", style=_STYLES.get(change.word or "", "dim")),
    )


def _speed(comparison: Comparison, row: Row) -> str:
    if row is comparison.baseline:
        return "1×"
    condition = comparison.headline
    return wording.value_or_dash(row.speeds[condition].ratio, wording.times) if condition else wording.DASH


def _size(row: Row) -> str:
    return wording.value_or_dash(row.disk, lambda size: f"{size / 1e6:.1f}")


def _decoding_speed(comparison: Comparison, row: Row) -> str:
    if comparison.pace is None:
        return wording.DASH
    return wording.value_or_dash(row.speeds[comparison.pace].per_second, lambda rate: f"{rate:,.0f}")


def _memory(row: Row) -> str:
    return wording.value_or_dash(memory.peak(row), lambda size: f"{size / 1e6:.0f}")
