"""The charts of a run, with titles, captions and descriptions for screen readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report import wording
from compress.report.charts import dot_plots, markers, pareto, small_multiples
from compress.report.comparison import Comparison, Row
from compress.report.limits import Budget
from compress.report.values import Condition, Value

POINTS_WIDE, WIDE, NARROW = 1120.0, 580.0, 372.0
"""Each plot is drawn twice, for a desktop's width and for a phone's: scaling one down would make its texts illegible."""


@dataclass(frozen=True)
class Plot:
    """One plot at both widths."""

    title: str
    caption: str
    wide: Markup
    narrow: Markup
    legend: tuple[str, ...] = ()
    """The names behind the numbers in the narrow one."""


def dot_plots_of(comparison: Comparison, winner: str | None = None) -> tuple[Plot, ...]:
    """Differences in quality, and speeds under every condition; what was not measured is left out.

    Args:
        comparison: the run.
        winner: the name of the recommended variant.
    """
    return tuple(plot for plot in (_differences(comparison), _speeds(comparison, winner)) if plot)


def points_of(comparison: Comparison, limits: Budget | None, winner: str | None = None) -> Plot | None:
    """Quality against speed; None where nothing has both.

    Args:
        comparison: the run.
        limits: the budget, whose least speed is drawn.
        winner: the name of the recommended variant, which is ringed.
    """
    condition, metric, scale = comparison.headline, comparison.metric, comparison.scale
    if condition is None or metric is None:
        return None
    is_latency = all(
        row.speeds[condition].ratio.value is None for row in _in_order(comparison) if _kind(row) != "baseline"
    )
    drawn = [_spot(comparison, row, condition, winner, is_latency=is_latency) for row in _in_order(comparison)]
    spots = sorted((spot for spot in drawn if spot), key=lambda spot: spot.x, reverse=is_latency)
    if not spots:
        return None
    root = comparison.root.quality[metric].value.value if comparison.root else None
    margin = comparison.margins[metric]
    axes = pareto.Axes(
        metric=f"{scale.name}, {scale.unit}",
        condition=condition.words,
        root_score=scale.number(root) if root is not None else None,
        least_score=scale.number(root - scale.gain(margin)) if root is not None else None,
        margin=f"margin {scale.margin(margin)}",
        least_speed=limits.min_speedup if limits and not is_latency else None,
        span=4.0 if scale.in_points else 0.02 * abs(root or 0.0),
        lower_is_better=not scale.higher_is_better,
        is_latency=is_latency,
    )
    title = f"{scale.title} against speed"
    told = "; ".join(spot.told.replace("\n", ", ") for spot in spots)
    wide = pareto.draw(spots, axes, title, told, width=POINTS_WIDE, height=480)
    narrow = pareto.draw(spots, axes, title, told, width=NARROW, height=420, numbers=True)
    caption = _points_caption(comparison, len(comparison.rows) - len(spots))
    if wide.numbered:
        caption += " Numbers: " + ", ".join(f"{n} {name}" for n, name in wide.numbered) + "."
    return Plot(title, caption, wide.drawing, narrow.drawing, tuple(spot.name for spot in spots))


def _points_caption(comparison: Comparison, left_out: int) -> str:
    scale = comparison.scale
    return (
        f"Up is better{'' if scale.higher_is_better else ' (the scale grows downwards)'}, right is faster; point at a marker for "
        "its figures and how it was made. The dashed line is the uncompressed model's score, the dotted one lies the margin "
        f"below it. Upright whiskers: {wording.level(comparison.level)} intervals of the difference to it; level ones: 95 % "
        "intervals of the ratio."
        + (
            f" {left_out} {'is' if left_out == 1 else 'are'} left out for lack of one of the two values."
            if left_out
            else ""
        )
    )


def _in_order(comparison: Comparison) -> tuple[Row, ...]:
    """As the table has them: the uncompressed model, its export, and the variants by rank."""
    return (*(row for row in comparison.rows if not row.is_variant), *comparison.ranked)


def _kind(row: Row) -> str:
    return row.artifact.role if row.artifact.role in {"root", "baseline"} else "variant"


def _verdict(comparison: Comparison, row: Row) -> str:
    """The marker's kind: the word of the deciding metric's verdict."""
    if not row.is_variant or comparison.metric is None:
        return _kind(row) if not row.is_variant else markers.UNTESTED
    return row.quality[comparison.metric].difference.word or markers.UNTESTED


def _spot(
    comparison: Comparison, row: Row, condition: Condition, winner: str | None, *, is_latency: bool
) -> pareto.Spot | None:
    """A row's position and intervals; None without its score or speed."""
    scale, speed = comparison.scale, row.speeds[condition]
    quality = row.quality[scale.metric]
    score, change = quality.value.value, quality.difference
    across = speed.time if is_latency else speed.ratio
    if row is comparison.baseline and not is_latency:
        across = Value(1.0)
    root = comparison.root.quality[scale.metric].value.value if comparison.root else None
    if score is None or across.value is None or across.value <= 0:
        return None
    around = None
    if change.interval and root is not None and row.is_variant:
        low, high = sorted((scale.number(root + change.interval[0]), scale.number(root + change.interval[1])))
        around = (low, high)
    ends = across.interval if across.interval and across.interval[0] > 0 else None
    return pareto.Spot(
        row.name,
        across.value,
        scale.number(score),
        ends,
        around,
        _verdict(comparison, row),
        _told(comparison, row, condition),
        row.name == winner,
    )


def _told(comparison: Comparison, row: Row, condition: Condition) -> str:
    """Name, how it was made, and its figures, a line each."""
    scale, speed = comparison.scale, row.speeds[condition]
    quality = row.quality[scale.metric]
    said = f"{scale.name} {wording.value_or_dash(quality.value, scale.shown)}"
    change = quality.difference
    if row.is_variant and change.value is not None:
        ends = f" ({scale.signed_range(change.interval)})" if change.interval else ""
        said += f": {scale.signed(change.value)}{ends}, {scale.verdict(change) or 'not tested'}"
    lines = [row.name, row.made, said]
    if row is not comparison.baseline and speed.ratio.value is not None:
        ends = f" ({wording.times_range(speed.ratio.interval)})" if speed.ratio.interval else ""
        lines.append(f"{wording.times(speed.ratio.value)} as fast as fp32 ONNX{ends}")
    figures = [(speed.time, wording.seconds), (row.disk, wording.megabytes)]
    lines.append(", ".join(shown(one.value) for one, shown in figures if one.value is not None))
    return "\n".join(line for line in lines if line)


def _differences(comparison: Comparison) -> Plot | None:
    metric, scale = comparison.metric, comparison.scale
    rows = [row for row in _in_order(comparison) if row is not comparison.root]
    if metric is None or not any(row.quality[metric].difference.value is not None for row in rows):
        return None
    made = []
    for row in rows:
        change = row.quality[metric].difference
        value = scale.number(change.value) if change.value is not None else None
        interval = (scale.number(change.interval[0]), scale.number(change.interval[1])) if change.interval else None
        word = f" {change.word or 'not tested'}" if row.is_variant else ""
        words = f"{scale.signed(change.value)}{word}" if change.value is not None else "–"
        made.append(dot_plots.Item(row.name, value, words, interval, _verdict(comparison, row)))
    margin = comparison.margins[metric]
    marks = [
        dot_plots.Mark(0.0, "uncompressed"),
        dot_plots.Mark(scale.number(scale.gain(-margin)), f"margin {scale.margin(margin)}", "budget"),
    ]
    title = f"Difference in {scale.name} to the uncompressed model, {scale.unit}"
    caption = (
        f"Whiskers: {wording.level(comparison.level)} intervals of the difference on the same examples. Not worse: the whole "
        "interval lies on the better side of the margin. Worse: it lies wholly below zero, and some of it beyond the margin."
    )
    return dot_plot(made, title, caption, marks)


def _speeds(comparison: Comparison, winner: str | None) -> Plot | None:
    """One picture for all conditions."""
    rows = [row for row in _in_order(comparison) if row is not comparison.baseline]
    panels, told = [], []
    for condition in comparison.conditions:
        bars = [_speed_bar(row, condition) for row in rows]
        if any(bar.value is not None and bar.value > 0 for bar in bars):
            panels.append(small_multiples.Panel(condition.words, bars))
            told.append(
                f"{condition.words}: " + ", ".join(f"{r.name} {b.words}" for r, b in zip(rows, bars, strict=True))
            )
    if not panels:
        return None
    names = [(row.name, "winner" if row.name == winner else _kind(row)) for row in rows]
    title = "Times as fast as the fp32 ONNX export"
    what = "total times" if comparison.has_totals else "latencies"
    caption = (
        f"Ratios of {what} in interleaved rounds of one run, with 95 % intervals, on a logarithmic scale; the dashed line is "
        "the export itself."
    )
    wide, narrow = (
        small_multiples.draw(names, panels, title, "; ".join(told), width=width) for width in (WIDE, NARROW)
    )
    return Plot(title, caption, wide, narrow)


def _speed_bar(row: Row, condition: Condition) -> small_multiples.Bar:
    ratio = row.speeds[condition].ratio
    value = ratio.value if ratio.value and ratio.value > 0 else None
    return small_multiples.Bar(value, wording.value_or_dash(ratio, wording.times), ratio.interval)


def dot_plot(items: Sequence[dot_plots.Item], title: str, caption: str, marks: Sequence[dot_plots.Mark] = ()) -> Plot:
    """A dot plot at both widths; screen readers get each item's name and words."""
    told = ", ".join(f"{one.name}: {one.words}" for one in items)
    wide, narrow = (dot_plots.dots(items, title, told, width=width, marks=marks) for width in (WIDE, NARROW))
    return Plot(title, caption, wide, narrow)
