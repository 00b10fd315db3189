"""The verdict in plain words: what a variant saves, what it costs, and how sure that is."""

from __future__ import annotations

from compress.report import wording
from compress.report.comparison import Comparison, Row
from compress.report.paired import Difference
from compress.report.picks import Pick, speed


def lead(comparison: Comparison, chosen: tuple[Pick, ...], *, met: bool | None) -> str:
    """The one sentence or two that somebody reads who reads no more.

    Args:
        comparison: the run.
        chosen: its picks.
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
    metric = comparison.metric or "quality"
    change = row.quality[metric].difference
    if change.word == "no difference shown":
        low = change.interval[0] if change.interval else 0.0
        left = f" (up to {wording.points(-low)} points not ruled out)" if low < 0 else ""
        return f"no loss of {metric} shown{left}"
    if change.value is None:
        return f"{metric} not compared"
    return f"{wording.signed_points(change.value)} points of {metric}"


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
SAME = 1.005
"""From here on a ratio is worth a comparative; below it reads as 1.00."""


def story(comparison: Comparison, row: Row) -> str:
    """Size, speed and quality of one variant in two or three sentences, with intervals and the test."""
    parts = [f"{savings(comparison, row)[:1].upper()}{savings(comparison, row)[1:]}"]
    condition = comparison.headline
    if condition and row.speeds[condition].ratio.value is not None:
        interval = row.speeds[condition].ratio.interval
        known = f", 95 % interval of the ratio {wording.times_range(interval)}" if interval else ""
        parts[0] += f" ({condition.words}{known})"
    sentences = [parts[0] + "."]
    if condition and row.speeds[condition].ratio.absent:
        sentences.append(f"Its speed ratio is absent: {row.speeds[condition].ratio.absent}.")
    if condition and row.speeds[condition].ratio.notes:
        sentences.append(f"Of these timings: {'; '.join(row.speeds[condition].ratio.notes)}.")
    if comparison.metric:
        sentences += quality(comparison, row, comparison.metric)
    return " ".join(sentences)


def quality(comparison: Comparison, row: Row, metric: str) -> list[str]:
    """What the metric says, and what the test could not have seen."""
    here = row.quality[metric]
    name = metric[:1].upper() + metric[1:]
    if here.value.value is None:
        return [f"{name}: absent ({here.value.absent})."]
    root = comparison.root.quality[metric].value.value if comparison.root else None
    against = f" against {wording.points(root)} uncompressed" if root is not None else ""
    found = f"{name} is {wording.points(here.value.value)}{against}"
    change = here.difference
    if change.value is None or change.word is None:
        return [f"{found}; {change.absent or 'not tested'}."]
    interval = f" (95 % interval {wording.signed_range(change.interval)})" if change.interval else ""
    points = f"{wording.signed_points(change.value)} points{interval}"
    return [f"{found}: {points}, {change.word} ({wording.tested(change)}).", *_limits(change)]


def _limits(change: Difference) -> list[str]:
    """What *no difference shown* leaves open."""
    if change.word != "no difference shown":
        return []
    said = []
    if change.smallest is not None:
        said.append(f"These examples could have shown a difference of {wording.points(change.smallest)} points or more")
    if change.interval and change.interval[0] < 0:
        said.append(f"a loss of {wording.points(-change.interval[0])} points is not ruled out")
    return ["; ".join(said) + "."] if said else []
