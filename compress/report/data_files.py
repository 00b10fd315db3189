"""The report as JSON, of the same comparison as the pages. What only generative models have is an optional part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from compress.core.printable import json_text
from compress.metrics.verdicts import MARGIN
from compress.report import wording
from compress.report.comparison import Row
from compress.report.obstacles import obstacles
from compress.report.pages import Document
from compress.report.recommendations import RULE
from compress.report.section import NumberedStep, Section
from compress.report.sentences import story
from compress.report.values import PACES

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
        "confirmation": asdict(section.confirmation) if section.confirmation else None,
        "rule": RULE,
        "recommendations": [
            {
                "title": one.title,
                "name": one.row.name,
                "recommended": one.recommended,
                "folder": one.folder,
                "reason": one.reason,
                "tied": one.tied,
                "story": _story(section, one.row),
            }
            for one in section.recommendations
        ],
        "budget": asdict(section.budget) if section.budget else None,
        "trivial_baselines": [
            {"name": one.name, "words": one.words, "values": one.values} for one in comparison.baselines
        ],
        "artifacts": [_artifact(section, row) for row in comparison.rows],
        "breakdown": asdict(section.breakdown) if section.breakdown else None,
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


def _story(section: Section, row: Row) -> str:
    """A variant in two or three sentences, and what its zeros save."""
    of_zeros = [wording.capitalized(one.words) for one in section.zeros if one.row is row and one.words]
    return " ".join([story(section.comparison, row), *of_zeros])


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
