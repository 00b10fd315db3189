"""How the scores of a run were computed, and the trivial baselines that every model must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compress.core.measurement import Measurement, Measurements
from compress.metrics.verdicts import BETTER
from compress.report import wording
from compress.report.scales import Scale
from compress.report.significance import Difference, difference
from compress.report.values import Lookup, is_number

if TYPE_CHECKING:
    from compress.report.comparison import Comparison, Row


@dataclass(frozen=True)
class Baseline:
    """A trivial baseline, on the same rows: the commonest class, or the beginning of each text as its summary."""

    name: str
    """`Lead-3`"""
    values: Mapping[str, float]
    """By metric, as measured."""
    words: str = "the beginning of each text"
    """What it predicts."""
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    """By metric, with its scores for each example, or why it has none; empty where an older version measured it."""


@dataclass(frozen=True)
class AgainstTrivial:
    """An artifact beside the best trivial baseline of its run, by the metric that decides."""

    baseline: str
    """`Commonest class`"""
    words: str
    """What the baseline predicts."""
    value: float
    """The baseline's score."""
    metric: str
    difference: Difference
    """The artifact minus the baseline."""

    @property
    def is_better(self) -> bool:
        """Whether the artifact is shown to be better than the baseline."""
        return self.difference.word == BETTER


def beats_trivial(comparison: Comparison, row: Row) -> AgainstTrivial | None:
    """An artifact beside the trivial baseline that scores best by the deciding metric; None where there is nothing to compare.

    A correlation with a constant does not exist. A model beats the mean where the interval of its own correlation is above 0.
    """
    metric = comparison.metric
    if metric is None or row.quality[metric].value.value is None:
        return None
    scale = comparison.scale
    scored = [one for one in comparison.baselines if metric in one.values]
    best = max(scored, key=lambda one: scale.gain(one.values[metric]), default=None)
    if best is None:
        constant = next((one for one in comparison.baselines if metric in one.measured), None)
        if constant is None or constant.measured[metric].unit != "coefficient":
            return None
        return _beside_a_value(constant, 0.0, metric, row, scale)
    there = best.measured.get(metric)
    if there is None:
        return _beside_a_value(best, best.values[metric], metric, row, scale)
    index = Lookup(comparison.measurements)
    here = index.within(row.artifact, row.runtime).get(row.artifact, metric)
    found = difference(here, there, comparison.measurements.references, level=comparison.level)
    return AgainstTrivial(best.name, best.words, best.values[metric], metric, found)


def _beside_a_value(baseline: Baseline, value: float, metric: str, row: Row, scale: Scale) -> AgainstTrivial:
    """An artifact beside a score without scores for each example: by the interval of its own score."""
    score = row.quality[metric].value
    assert score.value is not None
    interval = (score.interval[0] - value, score.interval[1] - value) if score.interval else None
    is_better = interval is not None and min(map(scale.gain, interval)) > 0
    found = Difference(score.value - value, interval, word=BETTER if is_better else None, examples=score.samples)
    return AgainstTrivial(baseline.name, baseline.words, value, metric, found)


def signatures(index: Lookup, metrics: tuple[str, ...]) -> dict[str, str]:
    """How each metric was computed, in the words of its authors' tool, as recorded with its measurements."""
    found = {}
    for one in index.measurements.measurements:
        if one.name in metrics and one.name not in found:
            told = one.condition.get("signature") or next((note for note in one.notes if is_signature(note)), None)
            if isinstance(told, str):
                found[one.name] = told.removeprefix("signature").lstrip(": ")
    return {metric: found[metric] for metric in metrics if metric in found}


def is_signature(note: str) -> bool:
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
    measured: dict[str, dict[str, Measurement]] = {}
    for one in measurements.without_model:
        measured.setdefault(one.artifact, {})[one.name] = one
    scores = {name: dict(values) for name, values in measurements.baselines.items() if isinstance(values, Mapping)}
    return tuple(
        Baseline(
            wording.capitalized(name),
            {metric: float(one) for metric, one in scores.get(name, {}).items() if is_number(one)},
            next((one.notes[0] for one in measured.get(name, {}).values() if one.notes), Baseline.words),
            measured.get(name, {}),
        )
        for name in dict.fromkeys([*measured, *scores])
    )
