"""The verdict in sentences: what a variant saves, what it costs, and how certain that is."""

from __future__ import annotations

from compress.metrics import verdicts
from compress.report import degenerate_outputs as collapse
from compress.report import wording
from compress.report.comparison import Comparison, Row
from compress.report.recommendations import Recommendation, speed
from compress.report.scales import Scale
from compress.report.significance import Difference


def lead(comparison: Comparison, chosen: tuple[Recommendation, ...], *, met: bool | None) -> str:
    """The one sentence or two that somebody reads who reads no more.

    Args:
        comparison: the run.
        chosen: its recommendations.
        met: whether the budget is met; None where there is none.
    """
    if not comparison.variants:
        return "Nothing was compressed in this run: it holds the baselines alone."
    if not chosen:
        return "No variant could be tested against the uncompressed model, so none is recommended."
    row = chosen[0].row
    saved = f"{savings(comparison, row)}, {_change(comparison, row)}"
    if chosen[0].recommended:
        return f"Take {row.name}: {saved}."
    failed = "No variant keeps the budget." if met is False else "No variant is free of loss."
    return f"{failed} {row.name} loses least: {saved}."


def _change(comparison: Comparison, row: Row) -> str:
    """`no loss of accuracy shown (up to 1.03 points not ruled out)`."""
    if comparison.metric is None:
        return "quality not compared"
    scale, change = comparison.scale, row.quality[comparison.metric].difference
    if change.value is None:
        return f"{scale.name} not compared"
    if change.word is None:
        return scale.change_of_it(change.value)
    return f"{scale.name} {scale.verdict(change)} ({interval(scale, change)})"


def interval(scale: Scale, change: Difference) -> str:
    """`+0.34 points, 99.2 % interval −0.91 to +1.59`."""
    ends = f", {wording.level(change.level)} interval {scale.signed_range(change.interval)}" if change.interval else ""
    return f"{scale.change(change.value or 0.0)}{ends}"


def savings(comparison: Comparison, row: Row) -> str:
    """`3.97× smaller and 2.31× faster than the fp32 ONNX export`."""
    size, ratio = row.smaller, speed(comparison, row)
    parts, comparatives = [], True
    if size is not None:
        comparatives &= size >= SAME
        parts.append(f"{wording.times(size)} smaller" if size >= SAME else f"{wording.times(1 / size)} the size")
    if ratio is not None:
        known = comparison.headline and row.speeds[comparison.headline].ratio.interval
        is_shown = not known or not known[0] <= 1 <= known[1]
        comparatives &= ratio >= SAME and is_shown
        faster = ratio >= SAME and is_shown
        parts.append(f"{wording.times(ratio)} {'faster' if faster else 'the speed'}{'' if is_shown else _NOT_SHOWN}")
    if not parts:
        return "its size and speed beside the fp32 ONNX export were not measured"
    return f"{' and '.join(parts)}{' than' if comparatives else ', compared with'} the fp32 ONNX export"


_NOT_SHOWN = " (no difference shown)"
SAME = 1.05
"""From here on a ratio is worth a comparative; below it reads as 1.0."""


def story(comparison: Comparison, row: Row) -> str:
    """Size, speed and quality of one variant in two or three sentences, with intervals and the test."""
    parts = [f"{savings(comparison, row)[:1].upper()}{savings(comparison, row)[1:]}"]
    condition = comparison.headline
    if condition and row.speeds[condition].ratio.value is not None:
        ends = row.speeds[condition].ratio.interval
        known = f", 95 % interval of the ratio {wording.times_range(ends)}" if ends else ""
        parts[0] += f" ({condition.words}{known})"
    sentences = [parts[0] + "."]
    if condition and row.speeds[condition].ratio.absent:
        sentences.append(f"Its speed ratio is absent: {row.speeds[condition].ratio.absent}.")
    if condition and row.speeds[condition].ratio.notes:
        sentences.append(f"Of these timings: {'; '.join(row.speeds[condition].ratio.notes)}.")
    if comparison.metric:
        sentences += quality(comparison, row, comparison.metric)
    return " ".join([*sentences, collapse.warning(comparison, row)]).rstrip()


def quality(comparison: Comparison, row: Row, metric: str) -> list[str]:
    """A metric's value and verdict, and the smallest difference that the test could have shown."""
    here, scale = row.quality[metric], comparison.scales[metric]
    if here.value.value is None:
        return [f"{scale.title}: absent ({here.value.absent})."]
    root = comparison.root.quality[metric].value.value if comparison.root else None
    against = f" against {scale.shown(root)} uncompressed" if root is not None else ""
    lower = "" if scale.higher_is_better else ", lower is better"
    found = f"{scale.title} is {scale.shown(here.value.value)}{against}{lower}"
    change = here.difference
    if change.value is None or change.word is None:
        return [f"{found}; {change.absent or 'not tested'}."]
    verdict = f"{found}: {interval(scale, change)}, {scale.verdict(change)} ({wording.tested(change)})."
    return [verdict, *_open(scale, change)]


def _open(scale: Scale, change: Difference) -> list[str]:
    """What too few examples leave open, and how many would settle it."""
    if change.word != verdicts.NOT_ENOUGH:
        return []
    loss = "loss" if scale.higher_is_better else "rise"
    worst = scale.amount(scale.worst(change.interval))
    said = f"On {change.examples:,} examples a {loss} of up to {worst} cannot be ruled out"
    if change.enough is not None:
        return [f"{said}; about {change.enough:,} examples would settle it."]
    margin = scale.margin(change.margin)
    return [f"{said}; the {loss} measured is so near the margin of {margin} that more examples may not settle it."]
