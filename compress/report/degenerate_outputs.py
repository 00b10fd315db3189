"""Warnings for models that collapsed, or that are not shown to be better than a trivial baseline: one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from compress.report import wording
from compress.report.comparison import Comparison, Row

FEW = 0.9
"""The report mentions a lower share of distinct outputs: texts to summarize or to translate are hardly ever alike."""


def warning(comparison: Comparison, row: Row) -> str:
    """A warning about an artifact's outputs, in a sentence or two; empty if they are fine."""
    return " ".join([*_few(row), *_no_better_than_trivial(comparison, row)])


def _few(row: Row) -> Iterator[str]:
    distinct = row.distinct
    if distinct.value is None or distinct.value >= FEW:
        return
    of = f" of its {distinct.samples:,} outputs are" if distinct.samples else " of its outputs are"
    share = f"{wording.percent(distinct.value)}{of} distinct"
    if row.has_collapsed:
        yield f"{row.name} has collapsed: only {share}, so it says the same of different inputs, whatever its score."
    else:
        yield f"Only {share} ({row.name}): it says the same of some different inputs."


def _no_better_than_trivial(comparison: Comparison, row: Row) -> Iterator[str]:
    beside = comparison.against_trivial.get(row.name)
    if comparison.metric is None or beside is None or beside.is_better:
        return
    scale, score = comparison.scale, row.quality[comparison.metric].value
    if score.value is None:
        return
    its = f"{row.name}'s {scale.name} of {scale.shown(score.value)}"
    against = f"that of {beside.baseline}, {scale.shown(beside.value)}, which takes no model"
    interval = beside.difference.interval
    if scale.gain(score.value - beside.value) <= 0:
        yield f"{its} is no better than {against}."
    else:
        between = f" (interval of the difference {scale.signed_range(interval)})" if interval else ""
        yield f"{its} is not shown to be better than {against}{between}."
