"""The report as CSV: a row for each artifact, with units in the columns' names, in an order that never changes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compress.report import memory, wording
from compress.report.budget import BROKEN, KEPT, NOT_SETTLED, Verdict
from compress.report.comparison import Comparison, Row
from compress.report.lineage import MadeStep, steps
from compress.report.obstacles import obstacles
from compress.report.pages import Document
from compress.report.scales import Scale, scale_of_metric
from compress.report.section import Section
from compress.report.values import Condition, Value

GROUPS = ("artifact", "quality", "speed", "size", "memory", "weights", "generation", "teacher", "zeros", "remarks")
"""The order of the columns. A run of another task has other metrics and conditions; they keep within their group."""
MILLISECONDS, MEGABYTES, POINTS = 1e3, 1e-6, 100.0
"""What seconds, bytes and shares are multiplied by."""


@dataclass(frozen=True)
class Column:
    """One quantity of an artifact."""

    name: str
    """With its unit."""
    value: Value
    factor: float = 1.0
    """What the value is multiplied by."""
    has_interval: bool = False
    """Whether the ends of its interval have columns too."""

    @property
    def cells(self) -> dict[str, Any]:
        """By column: the value, then the ends of its interval."""
        found = {self.name: times(self.value.value, self.factor)}
        return found | (ends(self.name, self.value.interval, self.factor) if self.has_interval else {})


def as_csv(document: Document) -> str:
    """The file's text; an empty cell where a value is absent, with the reason in the column `absent`."""
    lines = [line for section in document.sections for line in _lines(section)]
    columns = [name for group in GROUPS for name in dict.fromkeys(name for line in lines for name in line[group])]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _safe_cell(value) for group in line.values() for name, value in group.items()})
    return stream.getvalue()


def times(value: float | None, factor: float) -> float | None:
    """A value in another unit, without the rounding of binary numbers: 0.0069 seconds are 6.9 ms."""
    return value if value is None or factor == 1 else float(f"{value * factor:.12g}")


def ends(name: str, interval: tuple[float, float] | None, factor: float = 1.0) -> dict[str, Any]:
    """The two columns of an interval."""
    low, high = interval or (None, None)
    return {f"{name}_low": times(low, factor), f"{name}_high": times(high, factor)}


_Line = dict[str, dict[str, Any]]
"""Cells by group and column."""


def _lines(section: Section) -> Iterator[_Line]:
    comparison = section.comparison
    for row in comparison.rows:
        columns = {
            "speed": list(_speed(comparison, row)),
            "size": list(_size(row)),
            "memory": list(_memory(row)),
            "weights": [Column("parameters", row.parameters), Column("zeros_share", row.zeros)],
            "generation": list(_generation(comparison, row)) if comparison.is_generative else [],
        }
        line: _Line = {group: {} for group in GROUPS}
        line |= {group: _cells(found) for group, found in columns.items()}
        line["artifact"] = _artifact(section, row)
        line["quality"] = _quality(comparison, row)
        line["size"]["times_smaller"] = row.smaller
        line["weights"]["zeros"] = row.zeros_count
        line["teacher"] = _teacher(steps(row.artifact.manifest))
        line["zeros"] = _zeros(section, row)
        values = [*_scores(comparison, row), *(one for found in columns.values() for one in found)]
        line["remarks"] = {
            "absent": "; ".join(f"{one.name}: {one.value.absent}" for one in values if one.value.absent),
            "notes": "; ".join(dict.fromkeys(note for one in values for note in one.value.notes)),
        }
        yield line
    for baseline in comparison.baselines:
        line = {group: {} for group in GROUPS}
        line["artifact"] = {"run": wording.path(str(section.file)), "name": baseline.name, "role": "no model"}
        line["quality"] = {name: one for name, one in baseline.values.items() if name in comparison.scales}
        yield line


def _cells(columns: Iterable[Column]) -> dict[str, Any]:
    return {name: cell for one in columns for name, cell in one.cells.items()}


def _artifact(section: Section, row: Row) -> dict[str, Any]:
    comparison = section.comparison
    places = {one.name: place for place, one in enumerate(comparison.ranked, 1)}
    titles = {one.row.name: one.title.lower() for one in section.recommendations}
    cells = {
        "run": wording.path(str(section.file)),
        "name": row.name,
        "role": row.artifact.role,
        "rank": places.get(row.name),
        "recommendation": titles.get(row.name, ""),
        "obstacles": "; ".join(one.words for one in obstacles(comparison, row)) if row.is_variant else "",
        "made": row.made,
        "precision": row.precision,
        "folder": wording.path(row.artifact.folder),
        "fingerprint": row.artifact.fingerprint,
    }
    return cells | ({"budget": _state(section.budget, row.name)} if section.budget else {})


def _state(budget: Verdict, name: str) -> str:
    """All limits in one word: broken if one is, kept if all are; empty for the uncompressed model and its export."""
    states = {one.state for one in budget.checks if one.variant == name}
    return next((one for one in (BROKEN, NOT_SETTLED, KEPT) if one in states), "")


def _scores(comparison: Comparison, row: Row) -> Iterator[Column]:
    for metric in comparison.metrics:
        yield Column(metric, row.quality[metric].value, has_interval=True)
    yield Column("agreement_share", row.agreement, has_interval=True)


def _quality(comparison: Comparison, row: Row) -> dict[str, Any]:
    """Each metric with its difference to the uncompressed model and the verdict."""
    *scores, agreement = _scores(comparison, row)
    cells: dict[str, Any] = {"difference_interval_level": comparison.level}
    for score in scores:
        scale, change = comparison.scales[score.name], row.quality[score.name].difference
        unit, factor = _unit(scale)
        name = f"{score.name}_difference{unit}"
        cells |= score.cells | {name: times(change.value, factor)} | ends(name, change.interval, factor)
        cells |= {
            f"{score.name}_margin{unit}": times(change.margin, factor),
            f"{score.name}_verdict": change.word,
            f"{score.name}_examples_needed": change.enough,
            f"{score.name}_p_value": change.p_value,
        }
    return cells | agreement.cells


def _unit(scale: Scale) -> tuple[str, float]:
    """How a difference's column ends, and what it is multiplied by."""
    return ("_points", POINTS) if scale.in_points else ("", 1.0)


def _speed(comparison: Comparison, row: Row) -> Iterator[Column]:
    for condition, speed in row.speeds.items():
        where = _where(comparison, condition)
        yield Column(f"speedup_{where}", speed.ratio, has_interval=True)
        yield Column(f"latency_ms_{where}", speed.median, MILLISECONDS, has_interval=True)
        yield Column(f"latency_p90_ms_{where}", speed.p90, MILLISECONDS)
        yield Column(f"latency_p99_ms_{where}", speed.p99, MILLISECONDS)
        yield Column(f"examples_per_second_{where}", speed.throughput)


def _where(comparison: Comparison, condition: Condition) -> str:
    """`batch_1_real_lengths`, `batch_32_64_tokens`, `batch_1_128_tokens_32_new`, and what sets it apart within its run."""
    everywhere = (*comparison.conditions, *comparison.other_conditions)
    words = [f"batch_{condition.batch}"]
    words.append("real_lengths" if condition.length == "real" else f"{condition.length}_tokens")
    if condition.new_tokens is not None:
        words.append(f"{condition.new_tokens}_new")
    if len({one.threads for one in everywhere}) > 1:
        words.append(f"{condition.threads}_threads")
    if condition.options != everywhere[0].options:
        words.append(f"{condition.options}_options")
    return "_".join(words).replace(" ", "_")


def _size(row: Row) -> Iterator[Column]:
    yield Column("size_mb", row.disk, MEGABYTES)
    yield Column("compressed_size_mb", row.compressed, MEGABYTES)


def _memory(row: Row) -> Iterator[Column]:
    """The peak of all phases, then each phase, then a GPU's."""
    yield Column("peak_memory_mb", memory.peak(row), MEGABYTES)
    for phase, one in memory.phases(row).items():
        yield Column(f"peak_memory_mb_{phase}", one.peak, MEGABYTES)
        yield Column(f"memory_above_empty_mb_{phase}", one.above_empty, MEGABYTES)
    for where, value in row.device_memory.items():
        name = where.removeprefix("GPU ").replace(", ", "_").replace(" ", "_")
        yield Column(f"peak_gpu_memory_mb_{name}", value, MEGABYTES)


def _generation(comparison: Comparison, row: Row) -> Iterator[Column]:
    yield Column("distinct_outputs_share", row.distinct)
    yield Column("output_tokens", row.output_tokens, has_interval=True)
    yield Column("same_outputs_share", row.same, has_interval=True)
    for condition, speed in row.speeds.items():
        if speed.total:
            yield Column(f"total_seconds_{_where(comparison, condition)}", speed.total, has_interval=True)
    for condition in comparison.paces:
        speed, where = row.speeds[condition], _where(comparison, condition)
        yield Column(f"time_to_first_token_ms_{where}", speed.first_token, MILLISECONDS, has_interval=True)
        yield Column(f"time_per_output_token_ms_{where}", speed.per_token, MILLISECONDS, has_interval=True)
        yield Column(f"output_tokens_per_second_{where}", speed.per_second, has_interval=True)
    yield Column("memory_growth_mb_per_token", row.growth, MEGABYTES)
    for tokens, peak in row.peaks.items():
        yield Column(f"peak_memory_mb_{tokens}_new_tokens", peak, MEGABYTES)


def _teacher(made: tuple[MadeStep, ...]) -> dict[str, Any]:
    """The gain from distillation of the last step that was also run without its teacher."""
    effect: Mapping[str, Any] | None = next((one.teacher_effect for one in reversed(made) if one.teacher_effect), None)
    if effect is None:
        return {}
    unit, factor = _unit(scale_of_metric(effect["metric"]))
    metric, interval = effect["metric"], effect.get("interval")
    name = f"teacher_effect_{metric}{unit}"
    return {
        name: times(effect.get("difference"), factor),
        **ends(name, (interval[0], interval[1]) if interval else None, factor),
        f"teacher_effect_{metric}_verdict": effect.get("word"),
        f"teacher_effect_{metric}_p_value": effect.get("p_value"),
        "teacher_effect_seeds": len(effect["seeds"]),
    }


def _zeros(section: Section, row: Row) -> dict[str, Any]:
    """The speed of an artifact with many zeros beside the same model without them."""
    cells: dict[str, Any] = {}
    for one in section.zeros:
        if one.row is row and one.twin:
            cells["without_zeros"] = one.twin.name
            for condition, ratio in (one.beside or {}).items():
                where = _where(section.comparison, condition)
                cells |= Column(f"speedup_over_without_zeros_{where}", ratio, has_interval=True).cells
    return cells


def _safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV injection)."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"}:
        return "'" + value
    return value
