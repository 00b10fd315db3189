"""One run as a page shows it: the judged comparison, its pictures, the tests in a list, and each step told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compress.measurement import Measurements
from compress.report import lineage, wording
from compress.report.budget import Budget, Verdict, judge
from compress.report.charts import curves, pareto, strips
from compress.report.comparison import Comparison, Condition, Row, compare
from compress.report.paired import Difference
from compress.report.picks import Pick, picks, picture_front
from compress.report.sentences import lead, story

POINTS_WIDE, WIDE, NARROW = 1120.0, 580.0, 372.0
"""Each picture is drawn twice, for a desktop's width and for a phone's: scaling one down would make its texts illegible."""


@dataclass(frozen=True)
class Picture:
    """One picture at both widths."""

    title: str
    caption: str
    wide: Markup
    narrow: Markup
    legend: tuple[str, ...] = ()
    """The names behind the numbers in the narrow one."""


@dataclass(frozen=True)
class Test:
    """One artifact's metric against another's."""

    name: str
    against: str
    metric: str
    result: Difference


@dataclass(frozen=True)
class Told:
    """A step as the page tells it, once, however many artifacts passed through it."""

    key: str
    number: int
    step: lineage.MadeStep


@dataclass(frozen=True)
class Chain:
    """The way to one artifact."""

    row: Row
    origin: Mapping[str, Any]
    steps: tuple[Told, ...]


@dataclass(frozen=True)
class Section:
    """Everything about one run."""

    file: Path
    comparison: Comparison
    lead: str
    picks: tuple[tuple[Pick, str], ...]
    """Each with its story."""
    budget: Verdict | None
    front: frozenset[str]
    """The names on the picture's front."""
    points: Picture | None
    """Quality against latency."""
    strips: tuple[Picture, ...]
    """Differences, sizes, speeds."""
    tests: tuple[Test, ...]
    chains: tuple[Chain, ...]
    steps: tuple[Told, ...]
    curves: tuple[tuple[Told, str, Markup], ...]

    @property
    def measurements(self) -> Measurements:
        """What it was made from."""
        return self.comparison.measurements


def section(file: Path, measurements: Measurements, budget: Budget | Mapping[str, Any] | None) -> Section:
    """Compare, judge and draw one run.

    Raises:
        CompressError: the budget cannot be read.
    """
    comparison = compare(measurements)
    limits = Budget.read(budget, comparison.metrics) if isinstance(budget, Mapping) else budget
    judged = judge(comparison, limits) if limits else None
    chosen = picks(comparison, judged.winners if judged else None)
    told, chains = _lineages(comparison)
    return Section(
        file=file,
        comparison=comparison,
        lead=lead(comparison, chosen, met=judged.met if judged else None),
        picks=tuple((pick, story(comparison, pick.row)) for pick in chosen),
        budget=judged,
        front=frozenset(row.name for row in picture_front(comparison)),
        points=_pareto(comparison, limits),
        strips=_strips(comparison, limits),
        tests=_tests(comparison),
        chains=chains,
        steps=told,
        curves=tuple(_curves(told, comparison.metrics)),
    )


def _tests(comparison: Comparison) -> tuple[Test, ...]:
    root = comparison.root
    found = [
        Test(row.name, root.name, metric, row.quality[metric].difference)
        for row in comparison.rows
        for metric in comparison.metrics
        if root and row is not root
    ]
    for row in comparison.variants:
        if row.parent and row.against_parent and comparison.metric:
            found.append(Test(row.name, row.parent.name, comparison.metric, row.against_parent))
    return tuple(found)


def _lineages(comparison: Comparison) -> tuple[tuple[Told, ...], tuple[Chain, ...]]:
    told: dict[str, Told] = {}
    chains = []
    for row in comparison.rows:
        manifest = row.artifact.manifest
        ancestors = [one.get("fingerprint", "") for one in manifest.get("ancestors", ())]
        # The artifact after step k is the ancestor at k + 1, or the artifact itself after the last step.
        keys = [*ancestors[1:], row.artifact.fingerprint]
        mine = []
        for number, step in enumerate(lineage.steps(manifest)):
            key = keys[number] if number < len(keys) else f"{row.artifact.fingerprint}-{number}"
            told.setdefault(key, Told(key, len(told) + 1, step))
            mine.append(told[key])
        chains.append(Chain(row, manifest.get("origin", {}), tuple(mine)))
    return tuple(told.values()), tuple(chains)


def _curves(told: tuple[Told, ...], metrics: tuple[str, ...]) -> list[tuple[Told, str, Markup]]:
    drawn = []
    for one in told:
        for name, points in one.step.curves.items():
            if len(points) > 1:
                in_points = any(metric in name for metric in metrics)
                title = f"Step {one.number}, {one.step.words}: {name}{', points' if in_points else ''}"
                drawn.append((one, title, curves.draw(points, title, in_points=in_points)))
    return drawn


def _strips(comparison: Comparison, limits: Budget | None) -> tuple[Picture, ...]:
    made = [_differences(comparison, limits), _sizes(comparison)]
    made += [_speeds(comparison, condition) for condition in comparison.conditions]
    return tuple(picture for picture in made if picture)


def _kind(row: Row) -> str:
    return row.artifact.role if row.artifact.role in {"root", "baseline"} else "variant"


def _pareto(comparison: Comparison, limits: Budget | None) -> Picture | None:
    condition, metric = comparison.headline, comparison.metric
    if condition is None or metric is None:
        return None
    front = {row.name for row in picture_front(comparison)}
    root = comparison.root
    root_score = root.quality[metric].value.value if root else None
    base = comparison.baseline.speeds[condition].median.value if comparison.baseline else None
    spots = []
    for row in comparison.rows:
        score, median = row.quality[metric].value.value, row.speeds[condition].median
        if score is None or median.value is None:
            continue
        change, ratio = row.quality[metric].difference.interval, row.speeds[condition].ratio
        if base and ratio.interval and ratio.value and _kind(row) != "baseline":
            # The ratio's interval comes from paired rounds, so it is the one that tells artifacts apart.
            across = tuple(median.value * ratio.value / end for end in reversed(ratio.interval))
        else:
            across = median.interval or ()
        spots.append(
            pareto.Spot(
                row.name,
                median.value,
                score * 100,
                (across[0], across[1]) if len(across) == 2 else None,
                tuple((root_score + end) * 100 for end in change) if change and root_score is not None else None,  # type: ignore[arg-type]
                _kind(row),
                row.name in front,
            )
        )
    if not spots:
        return None
    spots.sort(key=lambda spot: spot.latency)
    drop, faster = (limits.max_drop, limits.min_speedup) if limits else (None, None)
    lines = pareto.Limits(
        base_latency=base,
        root_score=root_score * 100 if root_score is not None else None,
        least_score=root_score * 100 - drop if root_score is not None and drop is not None else None,
        most_latency=base / faster if base and faster else None,
    )
    title = f"{metric.capitalize()} against latency"
    left_out = len(comparison.rows) - len(spots)
    caption = (
        f"Up is better, left is faster. The line joins the front: no other artifact is both faster and at least as "
        f"good in {metric}; hollow circles lie behind it. Diamond: uncompressed in torch; square: its fp32 ONNX "
        "export. Upright whiskers are the 95 % interval of the paired difference to the uncompressed model (the dashed "
        "line), level ones that of the speed ratio."
        + (f" {left_out} without both values are left out." if left_out else "")
    )
    told = ", ".join(f"{s.name}: {wording.seconds(s.latency)}, {s.score:.2f} points" for s in spots)

    def draw(width: float, height: float, numbered: bool) -> Markup:
        return pareto.draw(
            spots,
            lines,
            title,
            told,
            metric=metric,
            condition=condition.words,
            width=width,
            height=height,
            numbered=numbered,
        )

    names = tuple(spot.name for spot in spots)
    return Picture(title, caption, draw(POINTS_WIDE, 520, False), draw(NARROW, 400, True), names)


def _differences(comparison: Comparison, limits: Budget | None) -> Picture | None:
    metric = comparison.metric
    rows = [row for row in comparison.rows if row is not comparison.root]
    if metric is None or not any(row.quality[metric].difference.value is not None for row in rows):
        return None
    made = []
    for row in rows:
        change = row.quality[metric].difference
        value = change.value * 100 if change.value is not None else None
        interval = (change.interval[0] * 100, change.interval[1] * 100) if change.interval else None
        words = (
            f"{wording.signed_points(change.value)} {change.word or 'not tested'}" if change.value is not None else "–"
        )
        kind = change.word if change.word in {"better", "worse"} else "variant"
        made.append(strips.Strip(row.name, value, words, interval, str(kind)))
    marks = [strips.Mark(0.0, "uncompressed")]
    if limits and limits.max_drop:
        marks.append(strips.Mark(-limits.max_drop, f"budget −{limits.max_drop:g}", "budget"))
    title = f"Difference in {metric} to the uncompressed model, points"
    told = ", ".join(f"{one.name}: {one.words}" for one in made)
    caption = (
        "Whiskers are 95 % intervals of the paired difference. Triangles: the test says better (up) or worse (down)."
    )
    return Picture(
        title,
        caption,
        strips.dots(made, title, told, width=WIDE, marks=marks),
        strips.dots(made, title, told, width=NARROW, marks=marks),
    )


def _sizes(comparison: Comparison) -> Picture | None:
    made = []
    for row in comparison.rows:
        size = row.disk.value
        smaller = f", {wording.times(row.smaller)} smaller" if row.smaller and _kind(row) == "variant" else ""
        words = f"{wording.megabytes(size)}{smaller}" if size is not None else "–"
        made.append(strips.Strip(row.name, size / 1e6 if size is not None else None, words, None, _kind(row)))
    if not any(one.value is not None for one in made):
        return None
    title = "Size on disk, MB"
    told = ", ".join(f"{one.name}: {one.words}" for one in made)
    caption = "The model's own files, without tokenizer and config. MB are 1,000,000 bytes."
    return Picture(
        title, caption, strips.bars(made, title, told, width=WIDE), strips.bars(made, title, told, width=NARROW)
    )


def _speeds(comparison: Comparison, condition: Condition) -> Picture | None:
    made = []
    for row in comparison.rows:
        ratio = row.speeds[condition].ratio
        interval = f" ({wording.times_range(ratio.interval)})" if ratio.interval else ""
        words = f"{wording.times(ratio.value)}{interval}" if ratio.value is not None else "–"
        made.append(strips.Strip(row.name, ratio.value, words, ratio.interval, _kind(row)))
    if sum(one.value is not None for one in made) < 2:
        return None
    title = f"Times as fast as the fp32 ONNX export: {condition.words}"
    told = ", ".join(f"{one.name}: {one.words}" for one in made)
    caption = "Ratio of latencies in interleaved rounds of one run; whiskers are its 95 % interval."
    marks = [strips.Mark(1.0, "fp32 ONNX")]
    return Picture(
        title,
        caption,
        strips.bars(made, title, told, width=WIDE, marks=marks),
        strips.bars(made, title, told, width=NARROW, marks=marks),
    )
