"""The report as data: JSON and CSV, of the same comparison as the pages. What only generative models have is an optional part."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from compress.core.printable import json_text
from compress.report import wording
from compress.report.comparison import Row
from compress.report.obstacles import obstacles
from compress.report.pages import Document
from compress.report.recommendations import RULE
from compress.report.scales import scale_of_metric
from compress.report.section import NumberedStep, Section
from compress.report.significance import MARGIN, Difference
from compress.report.values import PACES, Condition, Value

SCHEMA_VERSION = 2
"""Of `report.json`; `compress.report.schema` describes it, and `reports/report.schema.json` is made of that."""


def as_json(document: Document) -> str:
    """The machine-readable comparison; never NaN, `null` with a reason for what is absent."""
    whole = {
        "format": "compress-report",
        "schema_version": SCHEMA_VERSION,
        "title": document.title,
        "created": document.created,
        "command": document.command,
        "runs": [_run(section) for section in document.sections],
        "unmeasured": [
            {"folder": str(one.folder), "fingerprint": one.manifest.get("fingerprint")} for one in document.unmeasured
        ],
    }
    return json_text(_portable(whole), indent=1) + "\n"


def as_csv(document: Document) -> str:
    """One line for each artifact of each run; units in the columns' names, an empty cell where a value is absent."""
    lines = [line for section in document.sections for line in _flat(section)]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    if "absent" in columns:
        columns = [name for name in columns if name not in {"absent", "notes"}] + ["absent", "notes"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _safe_cell(value) for name, value in line.items()})
    return stream.getvalue()


def _run(section: Section) -> dict[str, Any]:
    comparison, given = section.comparison, section.measurements
    return {
        "source": str(section.file),
        "created": given.created,
        "task": given.task,
        "split": given.split,
        "suite": given.suite,
        "machine": given.machine,
        "notes": given.notes,
        "metrics": comparison.metrics,
        "level": comparison.level,
        "margins": {metric: comparison.margins.get(metric, MARGIN) for metric in comparison.metrics},
        "headline": asdict(comparison.headline) if comparison.headline else None,
        "busy": section.busy,
        "lead": section.lead,
        "confirmation": section.confirmation,
        "rule": RULE,
        "recommendations": [
            {
                "title": one.title,
                "name": one.row.name,
                "recommended": one.recommended,
                "folder": one.folder,
                "reason": one.reason,
                "tied": one.tied,
                "story": told,
            }
            for one, told in section.recommendations
        ],
        "budget": asdict(section.budget) if section.budget else None,
        "trivial_baselines": [
            {"name": one.name, "words": one.words, "values": one.values} for one in comparison.baselines
        ],
        "artifacts": [_artifact(section, row) for row in comparison.rows],
        "breakdown": section.breakdown.to_json() if section.breakdown else None,
        "tests": [
            {"name": one.name, "against": one.against, "metric": one.metric, **asdict(one.result)}
            for one in section.tests
        ],
        "zeros": [
            {"name": one.row.name, "without_zeros": one.twin.name if one.twin else None, "words": one.words}
            | {
                "times_as_fast_as_without_zeros": [
                    {**asdict(condition), **asdict(ratio)} for condition, ratio in (one.beside or {}).items()
                ]
            }
            for one in section.zeros
            if one.words
        ],
        "steps": [{"number": one.number, "artifact": one.key, **asdict(one.step)} for one in section.steps],
        "generation": _generation(section),
    }


def _artifact(section: Section, row: Row) -> dict[str, Any]:
    comparison, steps = section.comparison, _steps(section, row)
    places = {one.name: place for place, one in enumerate(comparison.ranked, 1)}
    return {
        "name": row.name,
        "role": row.artifact.role,
        **({"runtime": row.runtime} if row.runtime else {}),
        "fingerprint": row.artifact.fingerprint,
        "folder": row.artifact.folder,
        "made": row.made,
        "steps": [one.number for one in steps],
        "precision": row.precision,
        "rank": places.get(row.name),
        "obstacles": [one.words for one in obstacles(comparison, row)] if row.is_variant else [],
        "on_front": row.name in section.front,
        "parameters_count": asdict(row.parameters),
        "disk_bytes": asdict(row.disk),
        "compressed_bytes": asdict(row.compressed),
        "zeros_share": asdict(row.zeros),
        "zeros_count": row.zeros_count,
        "times_smaller": row.smaller,
        "quality_share": _quality(section, row, in_points=True),
        "quality_own_scale": _quality(section, row, in_points=False),
        "agreement_share": asdict(row.agreement),
        "against_trivial": asdict(beside) if (beside := comparison.against_trivial.get(row.name)) else None,
        "speeds": [
            {
                **asdict(condition),
                "runtime": speed.runtime,
                "session_options": speed.options,
                "timings": speed.timings,
                "median_seconds": asdict(speed.median),
                "total_seconds": asdict(speed.total) if speed.total else None,
                "p90_seconds": asdict(speed.p90),
                "p99_seconds": asdict(speed.p99),
                "times_as_fast": asdict(speed.ratio),
                "examples_per_second": asdict(speed.throughput),
            }
            for condition, speed in row.speeds.items()
        ],
        "memory_bytes": {phase: asdict(one) for phase, one in row.memory.items()},
        "device_memory_bytes": {where: asdict(one) for where, one in row.device_memory.items()},
        "parent": row.parent.name if row.parent else None,
        "generation": _generation_of(section, row) if comparison.is_generative else None,
    }


def _generation(section: Section) -> dict[str, Any] | None:
    """Of the run as a whole; None where its models do not generate."""
    comparison = section.comparison
    if not comparison.is_generative:
        return None
    return {
        "pace": asdict(comparison.pace) if comparison.pace else None,
        "agreement": comparison.agreement,
        "decoding": comparison.decoding,
        "signatures": comparison.signatures,
        "warnings": section.warnings,
        "examples": [{**asdict(one), "outputs": dict(one.outputs)} for one in section.examples],
    }


def _generation_of(section: Section, row: Row) -> dict[str, Any]:
    """Of one artifact."""
    return {
        "distinct_outputs_share": asdict(row.distinct),
        "output_tokens_count": asdict(row.output_tokens),
        "same_outputs_share": asdict(row.same),
        "paces": [
            {
                **asdict(condition),
                **{quantity: asdict(getattr(row.speeds[condition], name)) for quantity, name in PACES.items()},
            }
            for condition in section.comparison.paces
        ],
        "memory_growth_bytes_per_token": asdict(row.growth),
        "peak_memory_bytes_by_new_tokens": {str(tokens): asdict(one) for tokens, one in row.peaks.items()},
    }


def _quality(section: Section, row: Row, *, in_points: bool) -> dict[str, Any]:
    scales = section.comparison.scales
    return {name: asdict(one) for name, one in row.quality.items() if scales[name].in_points is in_points}


def _steps(section: Section, row: Row) -> tuple[NumberedStep, ...]:
    return next(chain.steps for chain in section.chains if chain.row.artifact is row.artifact)


def _flat(section: Section) -> Iterator[dict[str, Any]]:
    for row in section.comparison.rows:
        values = dict(_values(section, row))
        line: dict[str, Any] = {
            "run": wording.path(str(section.file)),
            "name": row.name,
            "role": row.artifact.role,
            "made": row.made,
            "precision": row.precision,
            "fingerprint": row.artifact.fingerprint,
            "times_smaller": row.smaller,
            "zeros_count": row.zeros_count,
        }
        for name, one in values.items():
            line[name] = one.value
            if one.interval:
                line[f"{name}_low"], line[f"{name}_high"] = one.interval
        for metric, quality in row.quality.items():
            scale = section.comparison.scales[metric]
            line.update(_difference(f"{metric}_difference", quality.difference, "_share" if scale.in_points else ""))
        effect = next(
            (one.step.teacher_effect for one in reversed(_steps(section, row)) if one.step.teacher_effect), None
        )
        line.update(_distillation_gain(effect) if effect else {})
        line |= _beside(section, row)
        line["absent"] = "; ".join(f"{name}: {one.absent}" for name, one in values.items() if one.absent)
        line["notes"] = "; ".join(dict.fromkeys(note for one in values.values() for note in one.notes))
        yield line
    yield from _lines_of_baselines(section)


def _values(section: Section, row: Row) -> Iterator[tuple[str, Value]]:
    """Names of columns, with their units, and what stands in them."""
    comparison = section.comparison
    yield "parameters_count", row.parameters
    yield "disk_bytes", row.disk
    yield "compressed_bytes", row.compressed
    yield "zeros_share", row.zeros
    for metric, quality in row.quality.items():
        yield comparison.scales[metric].column, quality.value
    yield "agreement_share", row.agreement
    for condition, speed in row.speeds.items():
        where = _column(condition)
        yield f"latency_p50_seconds_{where}", speed.median
        yield f"latency_p90_seconds_{where}", speed.p90
        yield f"latency_p99_seconds_{where}", speed.p99
        yield f"times_as_fast_{where}", speed.ratio
        yield f"examples_per_second_{where}", speed.throughput
    for phase, memory in row.memory.items():
        yield f"peak_memory_bytes_{phase}", memory.peak
        yield f"memory_above_empty_bytes_{phase}", memory.above_empty
    if comparison.is_generative:
        yield "distinct_outputs_share", row.distinct
        yield "output_tokens_count", row.output_tokens
        yield "same_outputs_share", row.same
        for condition, speed in row.speeds.items():
            if speed.total:
                yield f"total_seconds_{_column(condition)}", speed.total
        for condition in comparison.paces:
            speed, where = row.speeds[condition], _column(condition)
            yield f"time_to_first_token_seconds_{where}", speed.first_token
            yield f"time_per_output_token_seconds_{where}", speed.per_token
            yield f"output_tokens_per_second_{where}", speed.per_second
        yield "memory_growth_bytes_per_token", row.growth
        for tokens, peak in row.peaks.items():
            yield f"peak_memory_bytes_{tokens}_new_tokens", peak


def _lines_of_baselines(section: Section) -> Iterator[dict[str, Any]]:
    """A CSV row for a score that needs no model."""
    comparison = section.comparison
    for baseline in comparison.baselines:
        line: dict[str, Any] = {"run": wording.path(str(section.file)), "name": baseline.name, "role": "no model"}
        scores = {metric: one for metric, one in baseline.values.items() if metric in comparison.scales}
        yield line | {comparison.scales[metric].column: one for metric, one in scores.items()}


def _column(condition: Condition) -> str:
    """A condition as part of a column's name: `b1_real_ours`, `1x128+32_ours`."""
    where = condition.short.replace("×", "x").replace(" ", "_")
    return f"{where}_{condition.options}" if condition.options else where


def _beside(section: Section, row: Row) -> dict[str, Any]:
    """The speed of an artifact with many zeros beside the same model without them."""
    line: dict[str, Any] = {}
    for one in section.zeros:
        if one.row is row and one.twin:
            line["without_zeros"] = one.twin.name
            for condition, ratio in (one.beside or {}).items():
                name = f"times_as_fast_as_without_zeros_{_column(condition)}"
                low, high = ratio.interval or (None, None)
                line |= {name: ratio.value, f"{name}_low": low, f"{name}_high": high}
    return line


def _difference(name: str, change: Difference, unit: str) -> dict[str, Any]:
    low, high = change.interval or (None, None)
    return {
        f"{name}{unit}": change.value,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_p_value": change.p_value,
        f"{name}_word": change.word,
    }


def _distillation_gain(effect: Mapping[str, Any]) -> dict[str, Any]:
    """The gain from distillation of the last step that was also run without it."""
    name, (low, high) = f"teacher_effect_{effect['metric']}", effect.get("interval", (None, None))
    return {
        f"{name}_share" if scale_of_metric(effect["metric"]).in_points else name: effect.get("difference"),
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_p_value": effect.get("p_value"),
        f"{name}_word": effect.get("word"),
        "teacher_effect_seeds_count": len(effect["seeds"]),
    }


def _safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV injection)."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"}:
        return "'" + value
    return value


def _portable(value: Any) -> Any:
    """Plain JSON values: no NaN, no tuples, no absolute paths."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return wording.path(value)
    if isinstance(value, Mapping):
        return {str(name): _portable(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_portable(one) for one in value]
    return value
