"""Warnings for generative models that collapsed or are no better than copying: one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from compress.report import wording
from compress.report.comparison import Comparison, Row

FEW = 0.9
"""The report mentions a lower share of distinct outputs: texts to summarize or to translate are hardly ever alike."""
COLLAPSED = 0.5
"""Below this share of distinct outputs a model says the same of most inputs, whatever its score."""


def has_collapsed(row: Row) -> bool:
    """Whether most of an artifact's outputs repeat another."""
    share = row.distinct.value
    return share is not None and share < COLLAPSED


def warning(comparison: Comparison, row: Row) -> str:
    """A warning about an artifact's outputs, in a sentence or two; empty if they are fine."""
    return " ".join([*_few(row), *_no_better_than_copying(comparison, row)])


def _few(row: Row) -> Iterator[str]:
    distinct = row.distinct
    if distinct.value is None or distinct.value >= FEW:
        return
    of = f" of its {distinct.samples:,} outputs are" if distinct.samples else " of its outputs are"
    share = f"{wording.percent(distinct.value)}{of} distinct"
    if has_collapsed(row):
        yield f"{row.name} has collapsed: only {share}, so it says the same of different inputs, whatever its score."
    else:
        yield f"Only {share} ({row.name}): it says the same of some different inputs."


def _no_better_than_copying(comparison: Comparison, row: Row) -> Iterator[str]:
    if comparison.metric is None:
        return
    scale, score = comparison.scale, row.quality[comparison.metric].value
    for baseline in comparison.baselines:
        copied = baseline.values.get(comparison.metric)
        if copied is None or score.value is None:
            continue
        its = f"{row.name}'s {scale.name} of {scale.shown(score.value)}"
        against = f"that of {baseline.name}, {scale.shown(copied)}, which takes no model"
        if scale.gain(score.value - copied) <= 0:
            yield f"{its} is no better than {against}."
        elif score.interval and scale.gain(min(score.interval, key=scale.gain) - copied) <= 0:
            yield f"{its} (95 % interval {scale.range(score.interval)}) is not shown to be better than {against}."
