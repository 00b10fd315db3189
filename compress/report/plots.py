"""The charts of a run, with titles, captions and descriptions for screen readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from compress.report import wording
from compress.report.charts import dot_plots, pareto
from compress.report.comparison import Comparison, Row
from compress.report.limits import Budget
from compress.report.recommendations import latency_front
from compress.report.scales import Scale
from compress.report.values import Condition

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


def dot_plots_of(comparison: Comparison, limits: Budget | None) -> tuple[Plot, ...]:
    """Differences in quality, sizes, and speeds under each condition; what was not measured is left out."""
    made = [_differences(comparison, limits), _sizes(comparison)]
    made += [_speeds(comparison, condition) for condition in comparison.conditions]
    return tuple(plot for plot in made if plot)


def _kind(row: Row) -> str:
    return row.artifact.role if row.artifact.role in {"root", "baseline"} else "variant"


def points_of(comparison: Comparison, limits: Budget | None) -> Plot | None:
    """Quality against latency, with the front; None where nothing has both."""
    condition, metric, scale = comparison.headline, comparison.metric, comparison.scale
    if condition is None or metric is None:
        return None
    front = {row.name for row in latency_front(comparison)}
    root = comparison.root
    root_score = root.quality[metric].value.value if root else None
    base = comparison.baseline.speeds[condition].time.value if comparison.baseline else None
    drawn = [_spot(row, scale, condition, base, root_score, row.name in front) for row in comparison.rows]
    spots = [spot for spot in drawn if spot]
    if not spots:
        return None
    spots.sort(key=lambda spot: spot.latency)
    drop, faster = (limits.max_drop, limits.min_speedup) if limits else (None, None)
    lines = pareto.Limits(
        base_latency=base,
        root_score=scale.number(root_score) if root_score is not None else None,
        least_score=scale.number(root_score) - scale.gain(drop)
        if root_score is not None and drop is not None
        else None,
        most_latency=base / faster if base and faster else None,
    )
    time = "total time" if any(row.speeds[condition].total for row in comparison.rows) else "median latency"
    title = f"{scale.title} against {time.removeprefix('median ')}"
    left_out = len(comparison.rows) - len(spots)
    caption = (
        f"Up is better{'' if scale.higher_is_better else ' (the scale grows downwards)'}, left is faster. The line is the Pareto "
        f"front: no other artifact is both faster and at least as good in {scale.name}. Hollow circles lie behind it. The "
        "diamond is the uncompressed model in torch, the square its fp32 ONNX export, and the dashed line the uncompressed "
        "model's score. "
        "Vertical whiskers are 95 % intervals of the paired difference to it, horizontal ones those of the speed ratio."
        + (f" {left_out} are left out because they lack one of the two values." if left_out else "")
    )
    told = ", ".join(
        f"{s.name}: {wording.seconds(s.latency)}, {s.score:.4g}{' points' if scale.in_points else ''}" for s in spots
    )

    def draw(width: float, height: float, numbered: bool) -> Markup:
        return pareto.draw(
            spots,
            lines,
            title,
            told,
            metric=f"{scale.name}, {scale.unit}",
            condition=condition.words,
            width=width,
            height=height,
            numbered=numbered,
            lower_is_better=not scale.higher_is_better,
            time=time,
        )

    names = tuple(spot.name for spot in spots)
    return Plot(title, caption, draw(POINTS_WIDE, 520, False), draw(NARROW, 400, True), names)


def _spot(
    row: Row, scale: Scale, condition: Condition, base: float | None, root_score: float | None, on_front: bool
) -> pareto.Spot | None:
    """A row's position and intervals; None without its score or latency."""
    quality, median = row.quality[scale.metric], row.speeds[condition].time
    score, change = quality.value.value, quality.difference.interval
    if score is None or median.value is None:
        return None
    ratio, across = row.speeds[condition].ratio, median.interval
    if base and ratio.interval and ratio.value and _kind(row) != "baseline":
        # The ratio's interval comes from paired rounds, so it is the one that tells artifacts apart.
        told = median.value * ratio.value
        across = (told / ratio.interval[1], told / ratio.interval[0]) if ratio.interval[0] > 0 else None
    around = (
        (scale.number(root_score + change[0]), scale.number(root_score + change[1]))
        if change and root_score is not None
        else None
    )
    return pareto.Spot(row.name, median.value, scale.number(score), across, around, _kind(row), on_front)


def _differences(comparison: Comparison, limits: Budget | None) -> Plot | None:
    metric, scale = comparison.metric, comparison.scale
    rows = [row for row in comparison.rows if row is not comparison.root]
    if metric is None or not any(row.quality[metric].difference.value is not None for row in rows):
        return None
    made = []
    for row in rows:
        change = row.quality[metric].difference
        value = scale.number(change.value) if change.value is not None else None
        interval = (scale.number(change.interval[0]), scale.number(change.interval[1])) if change.interval else None
        words = f"{scale.signed(change.value)} {change.word or 'not tested'}" if change.value is not None else "–"
        kind = change.word if change.word in {"better", "worse"} else "variant"
        made.append(dot_plots.Item(row.name, value, words, interval, str(kind)))
    marks = [dot_plots.Mark(0.0, "uncompressed")]
    if limits and limits.max_drop:
        at = scale.gain(-limits.max_drop)
        marks.append(dot_plots.Mark(at, f"budget {'+' if at > 0 else '−'}{limits.max_drop:g}", "budget"))
    title = f"Difference in {scale.name} to the uncompressed model, {scale.unit}"
    caption = (
        "Whiskers are 95 % intervals of the paired difference. Triangles: the test says better (up) or worse (down)."
    )
    return both_widths(dot_plots.dots, made, title, caption, marks)


def _sizes(comparison: Comparison) -> Plot | None:
    made = []
    for row in comparison.rows:
        size = row.disk.value
        smaller = f", {wording.times(row.smaller)} smaller" if row.smaller and _kind(row) == "variant" else ""
        words = f"{wording.megabytes(size)}{smaller}" if size is not None else "–"
        made.append(dot_plots.Item(row.name, size / 1e6 if size is not None else None, words, None, _kind(row)))
    if not any(one.value is not None for one in made):
        return None
    title = "Size on disk, MB"
    caption = "The model's own files, without tokenizer and config. MB are 1,000,000 bytes."
    return both_widths(dot_plots.bars, made, title, caption)


def _speeds(comparison: Comparison, condition: Condition) -> Plot | None:
    made = []
    for row in comparison.rows:
        ratio = row.speeds[condition].ratio
        interval = f" ({wording.times_range(ratio.interval)})" if ratio.interval else ""
        words = f"{wording.times(ratio.value)}{interval}" if ratio.value is not None else "–"
        made.append(dot_plots.Item(row.name, ratio.value, words, ratio.interval, _kind(row)))
    if sum(one.value is not None for one in made) < 2:
        return None
    title = f"Times as fast as the fp32 ONNX export: {condition.words}"
    what = "total times" if any(row.speeds[condition].total for row in comparison.rows) else "latencies"
    caption = f"Ratio of {what} in interleaved rounds of one run; whiskers are its 95 % interval."
    return both_widths(dot_plots.bars, made, title, caption, [dot_plots.Mark(1.0, "fp32 ONNX")])


def both_widths(
    draw: Callable[..., Markup],
    items: Sequence[dot_plots.Item],
    title: str,
    caption: str,
    marks: Sequence[dot_plots.Mark] = (),
) -> Plot:
    """A plot by `dot_plots.dots` or `dot_plots.bars`; screen readers get each item's name and words."""
    told = ", ".join(f"{one.name}: {one.words}" for one in items)
    wide, narrow = (draw(items, title, told, width=width, marks=marks) for width in (WIDE, NARROW))
    return Plot(title, caption, wide, narrow)
