"""The distillation gain in the report: a sentence, a table by seed, and two charts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress.metrics import verdicts
from compress.report import wording
from compress.report.charts import dot_plots, seeds
from compress.report.plots import NARROW, WIDE, Plot, dot_plot
from compress.report.scales import Scale, scale_of_metric

WITH, WITHOUT = "with its teacher", "without"


@dataclass(frozen=True)
class Effect:
    """One step's `teacher_effect` (`compress.distillation.ablation.effect`), ready to be shown."""

    text: str
    word: str | None
    """`better`, `not worse`, `worse` or `not enough seeds or examples`, in older manifests `no difference shown`; None where
    nothing could be judged."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Each seed and, from two on, their mean and their spread; the first cell names the row."""
    covers: str
    """How it was tested, and what the intervals cover."""
    plots: tuple[Plot, ...]
    units: str
    """What the table's numbers are in."""


def shown(facts: Mapping[str, Any]) -> Effect:
    """The facts as a table, plots and sentences.

    Args:
        facts: what `compress.distillation.ablation.effect` gave.
    """
    return Effect(
        text=str(facts["text"]),
        word=facts.get("word"),
        columns=_columns(facts),
        rows=tuple(_rows(facts)),
        covers=_covers(facts),
        plots=tuple(plot for plot in (_values(facts), _differences(facts)) if plot),
        units="points of 100"
        if all(scale_of_metric(one).in_points for one in facts["metrics"])
        else "the metric's own units",
    )


def _columns(facts: Mapping[str, Any]) -> tuple[str, ...]:
    columns = ["Seed"]
    for metric in facts["metrics"]:
        columns += [f"{scale_of_metric(metric).title} {WITH}", WITHOUT.capitalize(), "Difference"]
    if "only_taught_right" in facts:
        columns += ["Right only with it", "Right only without", "McNemar p"]
    return tuple(columns)


def _rows(facts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    scales = [scale_of_metric(metric) for metric in facts["metrics"]]
    sides = list(facts["metrics"].values())
    pairs = [list(zip(one["taught"]["values"], one["plain"]["values"], strict=True)) for one in sides]
    counts = [facts.get(name, ()) for name in ("only_taught_right", "only_plain_right", "mcnemar_p_values")]
    rows = []
    for n, seed in enumerate(facts["seeds"]):
        cells = [cell for scale, pair in zip(scales, pairs, strict=True) for cell in _three(scale, *pair[n])]
        counted = [f"{one[n]:,}" for one in counts[:2] if one] + [_p(one[n]) for one in counts[2:] if one]
        rows.append((str(seed), *cells, *counted))
    if len(rows) == 1:
        return rows
    nothing = [""] * sum(bool(one) for one in counts)
    means = [
        cell
        for scale, one in zip(scales, sides, strict=True)
        for cell in _three(scale, one["taught"].get("mean"), one["plain"].get("mean"))
    ]
    spreads = [cell for scale, pair in zip(scales, pairs, strict=True) for cell in _spreads(scale, pair)]
    return [*rows, ("mean", *means, *nothing), ("standard deviation", *spreads, *nothing)]


def _p(value: float) -> str:
    """In a column that is headed p."""
    return wording.p_value(value).removeprefix("p = ").removeprefix("p ")


def _three(scale: Scale, taught: float | None, plain: float | None) -> tuple[str, str, str]:
    if taught is None or plain is None:
        shown = [wording.DASH if one is None else scale.shown(one) for one in (taught, plain)]
        return shown[0], shown[1], wording.DASH
    return scale.shown(taught), scale.shown(plain), scale.signed(taught - plain)


def _spreads(scale: Scale, pairs: Sequence[tuple[float | None, float | None]]) -> list[str]:
    whole = [(a, b) for a, b in pairs if a is not None and b is not None]
    if len(whole) < len(pairs):
        return [wording.DASH] * 3
    sides = [[a for a, _ in whole], [b for _, b in whole], [a - b for a, b in whole]]
    return [scale.shown(statistics.stdev(one)) for one in sides]


def _covers(facts: Mapping[str, Any]) -> str:
    if "word" not in facts:
        return f"Not judged: {facts.get('absent', 'no reason was recorded')}"
    scale = scale_of_metric(facts["metric"])

    def ends(name: str) -> str:
        return scale.change_range(tuple(facts[name]))

    how = f"The interval of the difference, {ends('interval')} ({facts['test']}, on {facts['rows']:,} rows), covers"
    flips = facts.get("p_value")
    p_value = "" if flips is None else f"; sign-flip test on the rows' differences: {wording.p_value(flips)}"
    if "rows_interval" in facts:
        said = [
            f"{how} other rows and other seeds",
            f"Over rows alone, for the students that were trained, it is {ends('rows_interval')}{p_value}",
        ]
    else:
        said = [f"{how} other rows for the students that were trained{p_value}"]
        if "seeds_interval" in facts:  # of a manifest that an older version wrote
            several = f"Student's interval of the {len(facts['seeds'])} differences"
            said.append(f"Over seeds, {several} is {ends('seeds_interval')}")
        else:
            said.append("One seed does not show how much another would differ: use --seeds 3 or more")
    if facts.get("smallest") is not None:
        several = " and seeds" if "rows_interval" in facts else ""
        said.append(f"With 80 % power these rows{several} would show a difference of {scale.amount(facts['smallest'])}")
    return ". ".join(said) + "."


def _values(facts: Mapping[str, Any]) -> Plot | None:
    """Each seed's two values."""
    scale = scale_of_metric(facts["metric"])
    sides = facts["metrics"][scale.metric]
    if any("mean" not in sides[side] for side in ("taught", "plain")):
        return None
    lanes = []
    for side, name, kind in (("taught", WITH, "variant"), ("plain", WITHOUT, "baseline")):
        spread = sides[side].get("standard_deviation")
        words = scale.shown(sides[side]["mean"]) + (f" ± {scale.shown(spread)}" if spread is not None else "")
        lanes.append(seeds.Lane(name, [scale.number(value) for value in sides[side]["values"]], words, kind))
    title = f"{scale.title} {WITH} and {WITHOUT}, {scale.unit}"
    told = ", ".join(f"{one.name}: {one.words}" for one in lanes)
    several = len(facts["seeds"]) > 1
    caption = "Circles: with its teacher; squares: without. " + (
        "A line joins the two students of one seed; the upright lines are the means, beside them ± the standard deviation."
        if several
        else "One seed."
    )
    drawn = [seeds.draw(lanes, facts["seeds"], title, told, width=width) for width in (WIDE, NARROW)]
    return Plot(title, caption, drawn[0], drawn[1])


def _differences(facts: Mapping[str, Any]) -> Plot | None:
    """The difference with its intervals, and each seed's own."""
    if "word" not in facts:
        return None
    scale = scale_of_metric(facts["metric"])
    both = "over rows and seeds" if "rows_interval" in facts else "over rows"
    made = [_item(scale, both, facts["difference"], facts["interval"], facts["word"])]
    for name, alone in (("rows_interval", "over rows alone"), ("seeds_interval", "over seeds alone")):
        if name in facts:
            made.append(_item(scale, alone, facts["difference"], facts[name], None))
    if len(facts["seeds"]) > 1:
        pairs = zip(facts["seeds"], facts["differences"], strict=True)
        made += [_item(scale, f"seed {seed}", one, None, None) for seed, one in pairs]
    title = f"Difference that the teacher made, {'points of ' if scale.in_points else ''}{scale.name}"
    caption = (
        f"The mean difference with its 95 % interval {both}"
        + (", and each seed's own" if len(facts["seeds"]) > 1 else "")
        + ". Upward triangle: better; downward triangle: worse; filled circle: not worse; "
        "empty circle: not enough seeds or examples."
    )
    return dot_plot(made, title, caption, [dot_plots.Mark(0.0, "no effect")])


def _item(scale: Scale, name: str, value: float, interval: Sequence[float] | None, word: str | None) -> dot_plots.Item:
    words = f"{scale.signed(value)}{f' {word}' if word else ''}"
    ends = (scale.number(interval[0]), scale.number(interval[1])) if interval else None
    return dot_plots.Item(name, scale.number(value), words, ends, _MARKERS.get(word or "", "variant"))


_MARKERS = {
    **{word: word for word in (verdicts.BETTER, verdicts.NOT_WORSE, verdicts.WORSE)},
    verdicts.NOT_ENOUGH_SEEDS: verdicts.NOT_ENOUGH,
}
"""A plain circle where nothing is judged, or by an older version's word."""
