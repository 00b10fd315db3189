"""What the JSON and the CSV tell of models that write, beside what they tell of every model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from compress.report import wording
from compress.report.comparison import Row
from compress.report.section import Section
from compress.report.values import Condition, Figure


def of_run(section: Section) -> dict[str, Any] | None:
    """Of the run as a whole; None where its models do not write."""
    comparison = section.comparison
    if not comparison.is_generative:
        return None
    return {
        "pace": asdict(comparison.pace) if comparison.pace else None,
        "agreement": comparison.agreement,
        "decoding": comparison.decoding,
        "signatures": comparison.signatures,
        "baselines": {one.name: one.values for one in comparison.baselines},
        "warnings": section.warnings,
        "examples": [{**asdict(one), "outputs": dict(one.outputs)} for one in section.examples],
    }


def of_artifact(row: Row) -> dict[str, Any] | None:
    """Of one artifact; None where it does not write."""
    told = row.generated
    if told is None:
        return None
    return {
        "distinct_outputs_share": asdict(told.distinct),
        "output_tokens_count": asdict(told.output_tokens),
        "same_outputs_share": asdict(told.same),
        "paces": [
            {
                **asdict(condition),
                "time_to_first_token_seconds": asdict(pace.first_token),
                "time_per_output_token_seconds": asdict(pace.per_token),
                "output_tokens_per_second": asdict(pace.per_second),
            }
            for condition, pace in told.paces.items()
        ],
        "memory_growth_bytes_per_token": asdict(told.growth),
        "peak_memory_bytes_by_new_tokens": {str(tokens): asdict(one) for tokens, one in told.peaks.items()},
    }


def figures(row: Row) -> Iterator[tuple[str, Figure]]:
    """Names of columns, with their units, and what stands in them; nothing for an artifact that does not write."""
    told = row.generated
    if told is None:
        return
    yield "distinct_outputs_share", told.distinct
    yield "output_tokens_count", told.output_tokens
    yield "same_outputs_share", told.same
    for condition, speed in row.speeds.items():
        if speed.total:
            yield f"total_seconds_{column(condition)}", speed.total
    for condition, pace in told.paces.items():
        where = column(condition)
        yield f"time_to_first_token_seconds_{where}", pace.first_token
        yield f"time_per_output_token_seconds_{where}", pace.per_token
        yield f"output_tokens_per_second_{where}", pace.per_second
    yield "memory_growth_bytes_per_token", told.growth
    for tokens, peak in told.peaks.items():
        yield f"peak_memory_bytes_{tokens}_new_tokens", peak


def lines_of_baselines(section: Section) -> Iterator[dict[str, Any]]:
    """A line of the CSV for what takes no model."""
    comparison = section.comparison
    for baseline in comparison.baselines:
        line: dict[str, Any] = {"run": wording.path(str(section.file)), "name": baseline.name, "role": "no model"}
        scores = {metric: one for metric, one in baseline.values.items() if metric in comparison.scales}
        yield line | {comparison.scales[metric].column: one for metric, one in scores.items()}


def column(condition: Condition) -> str:
    """A condition as a part of a column's name: `b1_real_ours`, `1x128+32_ours`."""
    where = condition.short.replace("×", "x").replace(" ", "_")
    return f"{where}_{condition.options}" if condition.options else where
