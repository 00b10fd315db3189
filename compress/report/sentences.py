"""The verdict in sentences: what a variant saves, what it costs, and how certain that is."""

from __future__ import annotations

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
    if change.word == "no difference shown":
        worst = scale.worst(change.interval)
        left = f" (up to {scale.amount(worst)} not ruled out)" if worst > 0 else ""
        return (
            f"no loss of {scale.name} shown{left}" if scale.higher_is_better else f"no rise in {scale.name} shown{left}"
        )
    if change.value is None:
        return f"{scale.name} not compared"
    return scale.change_of_it(change.value)


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
    interval = f" (95 % interval {scale.signed_range(change.interval)})" if change.interval else ""
    told = f"{scale.change(change.value)}{interval}"
    return [f"{found}: {told}, {change.word} ({wording.tested(change)}).", *_limits(scale, change)]


def _limits(scale: Scale, change: Difference) -> list[str]:
    """What *no difference shown* leaves open."""
    if change.word != "no difference shown":
        return []
    said = []
    if change.smallest is not None:
        said.append(f"These examples could have shown a difference of {scale.amount(change.smallest)} or more")
    worst = scale.worst(change.interval)
    if worst > 0:
        loss = "a loss" if scale.higher_is_better else "a rise"
        said.append(f"{loss} of {scale.amount(worst)} is not ruled out")
    return ["; ".join(said) + "."] if said else []
