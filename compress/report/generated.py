"""How an artifact writes: whether its outputs differ, how fast tokens come, what each takes in memory; what copying scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compress.core.measurement import Measured, Measurements
from compress.report.values import Condition, Figure, Lookup, condition_of, figure_of, order

PACES = ("time_to_first_token_seconds", "time_per_output_token_seconds", "output_tokens_per_second")
DISTINCT = "distinct_outputs"


@dataclass(frozen=True)
class Pace:
    """How fast tokens come under one condition."""

    first_token: Figure
    """Seconds from the prompt to the first token."""
    per_token: Figure
    """Seconds of each further one."""
    per_second: Figure
    """Tokens a second, over all sequences of the batch."""


@dataclass(frozen=True)
class Generated:
    """What is told of an artifact that writes."""

    distinct: Figure
    """The share of its outputs that differ from one another."""
    output_tokens: Figure
    """How many tokens an output has in the mean."""
    same: Figure
    """The share of rows after which it writes what the uncompressed model writes, to the letter."""
    paces: Mapping[Condition, Pace]
    growth: Figure
    """Bytes that each generated token adds to the peak memory."""
    peaks: Mapping[int, Figure]
    """The peak resident memory by how many tokens were generated, in bytes."""


@dataclass(frozen=True)
class Baseline:
    """What takes no model at all, on the same rows: the beginning of each text as its summary."""

    name: str
    """`Lead-3`"""
    values: Mapping[str, float]
    """By metric, as measured."""


def pace_conditions(index: Lookup) -> tuple[Condition, ...]:
    """What the pace was read under: batch 1 first; at equal batches real lengths first."""
    measured = [one for one in index.measurements.measurements if one.name in PACES]
    found = {condition_of(one) for one in measured if one.value is not None} or {condition_of(one) for one in measured}
    choices = [str(one) for one in index.measurements.suite.get("options", ())]
    first = min((choices.index(one.options) if one.options in choices else 99 for one in found), default=0)
    kept = [one for one in found if (choices.index(one.options) if one.options in choices else 99) == first]
    return tuple(sorted(kept, key=lambda one: (one.batch, one.length != "real", *order(one))))


def generated(index: Lookup, artifact: Measured, conditions: tuple[Condition, ...]) -> Generated:
    """What was measured of one artifact."""

    def pace(condition: Condition) -> Pace:
        def under(name: str) -> Figure:
            return figure_of(next((one for one in index.named(artifact, name) if condition_of(one) == condition), None))

        return Pace(*(under(name) for name in PACES))

    return Generated(
        distinct=index.figure(artifact, DISTINCT),
        output_tokens=_output_tokens(index, artifact),
        same=index.figure(artifact, "agreement_with_root"),
        paces={condition: pace(condition) for condition in conditions},
        growth=index.figure(artifact, "memory_growth_bytes_per_token"),
        peaks=dict(sorted(_peaks(index, artifact))),
    )


def _output_tokens(index: Lookup, artifact: Measured) -> Figure:
    """Of the whole split; the rows that were timed are few of them."""
    named = list(index.named(artifact, "output_tokens"))
    return figure_of(next((one for one in named if "batch" not in one.condition), None))


def _peaks(index: Lookup, artifact: Measured) -> Iterator[tuple[int, Figure]]:
    for one in index.named(artifact, "peak_memory_bytes"):
        tokens = one.condition.get("new_tokens")
        if isinstance(tokens, int):
            yield tokens, figure_of(one)


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
    """By which rule the scored texts were written: `greedy decoding, at most 64 new tokens`; empty where none is told."""
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
