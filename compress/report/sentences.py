"""The verdict in sentences: what a variant saves, what it costs, and how certain that is."""

from __future__ import annotations

from compress.report import degenerate_outputs as collapse
from compress.report import wording
from compress.report.comparison import Comparison, Row
from compress.report.differences import interval, left_open, verdict
from compress.report.obstacles import LOSS, NOT_ENOUGH, obstacles
from compress.report.ranking import fastest_elsewhere, speed
from compress.report.recommendations import Recommendation, fine_tuned
from compress.report.values import Value


def lead(comparison: Comparison, chosen: tuple[Recommendation, ...]) -> str:
    """The one sentence or two that somebody reads who reads no more.

    Args:
        comparison: the run.
        chosen: its recommendations.
    """
    if not comparison.variants:
        return "Nothing was compressed in this run: it holds the baselines alone."
    if not chosen:
        return "No variant could be tested against the uncompressed model, so none is recommended."
    row = chosen[0].row
    if chosen[0].recommended:
        said = [f"Take {row.name}: {savings(comparison, row)}, {_quality_of(comparison, row)}."]
        reason = chosen[0].reason if chosen[0].tied else ""
        return " ".join(
            part for part in (*said, reason, _elsewhere(comparison, row), fine_tuned(comparison, row)) if part
        )
    return _none(comparison, chosen[0])


def _elsewhere(comparison: Comparison, row: Row) -> str:
    """`For 32 texts of 64 tokens take other (openvino): 3.4× the speed of the fp32 ONNX export, against 2.9×.`"""
    said = []
    for condition, best in fastest_elsewhere(comparison, row):
        ratio, mine = (wording.times(one.speeds[condition].ratio.value or 0.0) for one in (best, row))
        said.append(
            f"For {condition.words} take {best.name}: {ratio} the speed of the fp32 ONNX export, against {mine}."
        )
    return " ".join(said)


def _none(comparison: Comparison, closest: Recommendation) -> str:
    """Why nothing is recommended, by the variant that comes closest."""
    gravest = {row.name: obstacles(comparison, row)[0] for row in comparison.variants}
    mine = gravest[closest.row.name]
    if mine.kind == NOT_ENOUGH:
        said = f"No recommendation yet: {mine.words}."
    elif {one.kind for one in gravest.values()} == {LOSS}:
        lost = "loses more than the margin" if len(gravest) == 1 else "every variant loses more than the margin"
        row = closest.row
        told = f"{savings(comparison, row)}, {_quality_of(comparison, row)}"
        if len(gravest) == 1:
            return f"No recommendation: {row.name} {lost}: {told}."
        return f"No recommendation: {lost}. {row.name} loses least: {told}."
    else:
        said = f"No recommendation: {mine.words}."
    if comparison.judged and not comparison.judged.met:
        return f"No variant is shown to keep the budget. {said}"
    return said


def _quality_of(comparison: Comparison, row: Row) -> str:
    """`accuracy not worse than 1 point (−0.11 points, 98.8 % interval −0.69 to +0.34)`; of further metrics the words alone."""
    if comparison.metric is None:
        return "quality not compared"
    first = verdict(comparison.scale, row.quality[comparison.metric].difference)
    others = [
        f"{comparison.scales[metric].name} {comparison.scales[metric].verdict(row.quality[metric].difference)}"
        for metric in comparison.metrics[1:]
        if row.quality[metric].difference.word is not None
    ]
    return ", ".join([first, *others])


def savings(comparison: Comparison, row: Row) -> str:
    """`3.97× smaller and 2.31× faster than the fp32 ONNX export`."""
    size, ratio = row.smaller, speed(comparison, row)
    parts, comparatives = [], True
    if size is not None:
        comparatives &= size >= wording.SAME
        parts.append(" ".join(wording.size(size)))
    if ratio is not None:
        known = comparison.headline and row.speeds[comparison.headline].ratio.interval
        is_shown = not known or not known[0] <= 1 <= known[1]
        faster = ratio >= wording.SAME and is_shown
        comparatives &= faster
        parts.append(f"{wording.times(ratio)} {'faster' if faster else 'the speed'}{'' if is_shown else _NOT_SHOWN}")
    if not parts:
        return "its size and speed beside the fp32 ONNX export were not measured"
    return f"{' and '.join(parts)}{' than' if comparatives else ', compared with'} the fp32 ONNX export"


_NOT_SHOWN = " (no difference shown)"


def story(comparison: Comparison, row: Row) -> str:
    """Size, speed and quality of one variant in two or three sentences, with intervals and the test: for `report.json`."""
    saved, condition = savings(comparison, row), comparison.headline
    ratio = row.speeds[condition].ratio if condition else Value()
    where = ""
    if condition and ratio.value is not None:
        known = f", 95 % interval of the ratio {wording.times_range(ratio.interval)}" if ratio.interval else ""
        where = f" ({condition.words}{known})"
    sentences = [f"{wording.capitalized(saved)}{where}."]
    if ratio.absent:
        sentences.append(f"Its speed ratio is absent: {ratio.absent}.")
    if ratio.notes:
        sentences.append(f"Of these timings: {'; '.join(ratio.notes)}.")
    if comparison.metric:
        sentences += quality(comparison, row, comparison.metric)
    return " ".join([*sentences, collapse.warning(comparison, row)]).rstrip()


def quality(comparison: Comparison, row: Row, metric: str) -> list[str]:
    """A metric's value and verdict, and what too few examples leave open."""
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
    said = [f"{found}: {interval(scale, change)}, {scale.verdict(change)} ({wording.tested(change)})."]
    left = left_open(scale, change)
    return [*said, f"{wording.capitalized(left)}."] if left else said
