"""How the scores of a run were computed: each metric's signature, by which rule texts were decoded, and what takes no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress.core.measurement import Measurements
from compress.report.values import Lookup


@dataclass(frozen=True)
class Baseline:
    """The baseline without a model, on the same rows: the beginning of each text as its summary."""

    name: str
    """`Lead-3`"""
    values: Mapping[str, float]
    """By metric, as measured."""


def signatures(index: Lookup, metrics: tuple[str, ...]) -> dict[str, str]:
    """How each metric was computed, in the words of its authors' tool, as recorded with its measurements."""
    found = {}
    for one in index.measurements.measurements:
        if one.name in metrics and one.name not in found:
            told = one.condition.get("signature") or next((note for note in one.notes if _is_signature(note)), None)
            if isinstance(told, str):
                found[one.name] = told.removeprefix("signature").lstrip(": ")
    return {metric: found[metric] for metric in metrics if metric in found}


def _is_signature(note: str) -> bool:
    """`nrefs:1|case:mixed|...`, with or without the word before it."""
    return note.startswith("signature") or ("|" in note and " " not in note and ":" in note)


def decoding(index: Lookup, metric: str | None) -> str:
    """By which rule the scored texts were generated: `greedy decoding, at most 64 new tokens`; empty if none is given."""
    measured = [one for one in index.measurements.measurements if one.name == metric]
    given = next((one.condition for one in measured if "beams" in one.condition), {})
    beams, most = given.get("beams"), given.get("max_new_tokens")
    if not isinstance(beams, int):
        return ""
    said = ["greedy decoding" if beams == 1 else f"beam search with {beams} beams"]
    said += [f"at most {most:,} new tokens"] if isinstance(most, int) else []
    rules = index.measurements.split.get("decoding")
    said += [f"{name} {value}" for name, value in rules.items()] if isinstance(rules, Mapping) else []
    return ", ".join(said)


def baselines(measurements: Measurements) -> tuple[Baseline, ...]:
    """Those of the file, in its order."""
    return tuple(
        Baseline(name[:1].upper() + name[1:], {metric: float(one) for metric, one in values.items() if _is_number(one)})
        for name, values in measurements.baselines.items()
        if isinstance(values, Mapping)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
