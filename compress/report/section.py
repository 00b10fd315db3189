"""One run as a section of the page: the comparison, its charts, the tests, and each step once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compress.core.measurement import Measurements
from compress.report import degenerate_outputs as collapse
from compress.report import disturbed, layer_losses, lineage
from compress.report.breakdown import Breakdown, breakdown
from compress.report.budget import Verdict
from compress.report.charts import curves
from compress.report.comparison import Comparison, Row, compare
from compress.report.confirmation import Confirmation, confirmation
from compress.report.distillation import Effect, shown
from compress.report.limits import Budget
from compress.report.outputs import Example, examples
from compress.report.page.basis import basis, caption, table_notes
from compress.report.page.beyond import Part, parts
from compress.report.page.cards import Card, card
from compress.report.page.variants import TableRow, variants
from compress.report.plots import Plot, dot_plots_of, points_of
from compress.report.recommendations import Recommendation, latency_front, recommendations
from compress.report.scales import Scale
from compress.report.sentences import lead
from compress.report.significance import Difference
from compress.report.sparsity import Sparse, sparse


@dataclass(frozen=True)
class Test:
    """One artifact's metric against another's."""

    name: str
    against: str
    metric: str
    result: Difference


@dataclass(frozen=True)
class NumberedStep:
    """A step as the page shows it: once, for all artifacts that share it."""

    key: str
    number: int
    step: lineage.MadeStep

    @property
    def layer_losses(self) -> Plot | None:
        """What quantizing each layer alone loses, where an accuracy budget ranked them."""
        return layer_losses.plot(self.step.facts, f"Step {self.number}")


@dataclass(frozen=True)
class Chain:
    """The way to one artifact."""

    row: Row
    origin: Mapping[str, Any]
    steps: tuple[NumberedStep, ...]


@dataclass(frozen=True)
class Section:
    """Everything about one run."""

    file: Path
    comparison: Comparison
    lead: str
    recommendations: tuple[Recommendation, ...]
    confirmation: Confirmation | None
    """Whether the recommendation held on a split that chose nothing, or that it was chosen on these rows."""
    budget: Verdict | None
    front: frozenset[str]
    """The names of those that no other is both faster and better than."""
    points: Plot | None
    """Quality against speed."""
    dot_plots: tuple[Plot, ...]
    """Differences and speeds."""
    tests: tuple[Test, ...]
    chains: tuple[Chain, ...]
    steps: tuple[NumberedStep, ...]
    curves: tuple[tuple[NumberedStep, str, Markup], ...]
    effects: tuple[tuple[NumberedStep, Effect], ...]
    """The gain from distillation, for each step that was also run without it."""
    zeros: tuple[Sparse, ...]
    """What zeros save; empty where no artifact has many."""
    warnings: tuple[str, ...] = ()
    """Of generative models: which have collapsed or do no better than copying."""
    busy: str | None = None
    """Why there are fewer ratios of speed than asked for, or none."""
    examples: tuple[Example, ...] = ()
    """What the artifacts generated from the same texts."""
    cards: tuple[Card, ...] = ()
    """Of the page's first screen: the recommended variant and the runner-up."""
    basis: tuple[tuple[str, str], ...] = ()
    """What the verdict rests on."""
    rows: tuple[TableRow, ...] = ()
    """Of the table of variants, in its order."""
    caption: str = ""
    table_notes: tuple[str, ...] = ()
    breakdown: Breakdown | None = None
    """Calibration, confusion, slices and lost examples, where they were measured."""
    beyond: tuple[Part, ...] = ()
    """The same in words and tables."""

    @property
    def counts_right(self) -> bool:
        """Whether a test counts examples that only one of two artifacts has right."""
        return any(one.result.only_here is not None for one in self.tests)

    @property
    def measurements(self) -> Measurements:
        """Its input."""
        return self.comparison.measurements


def section(
    file: Path,
    measurements: Measurements,
    budget: Budget | Mapping[str, Any] | None,
    *,
    with_examples: bool = True,
) -> Section:
    """Compare, judge and draw one run.

    Args:
        file: of the measurements, beside which texts of the evaluation split may lie.
        measurements: the run's.
        budget: limits to hold it against.
        with_examples: whether texts of the evaluation split may be shown.

    Raises:
        CompressError: the budget cannot be read.
    """
    comparison = compare(measurements, budget)
    limits = Budget.read(budget, comparison.metrics) if isinstance(budget, Mapping) else budget
    chosen = recommendations(comparison)
    broken_down = breakdown(file, comparison, [one.row for one in chosen], with_examples=with_examples)
    winner = next((one.row.name for one in chosen if one.recommended), None)
    told, chains = _lineages(comparison)
    return Section(
        file=file,
        comparison=comparison,
        lead=lead(comparison, chosen),
        confirmation=confirmation(file, comparison, chosen, budget),
        recommendations=chosen,
        budget=comparison.judged,
        front=frozenset(row.name for row in latency_front(comparison)),
        points=points_of(comparison, limits, winner),
        dot_plots=dot_plots_of(comparison, winner),
        tests=_tests(comparison),
        chains=chains,
        steps=told,
        curves=tuple(_curves(told, comparison.scales)),
        effects=tuple((one, shown(one.step.teacher_effect)) for one in told if one.step.teacher_effect),
        zeros=sparse(comparison),
        warnings=tuple(words for row in comparison.rows if (words := collapse.warning(comparison, row))),
        busy=disturbed.warning(measurements),
        examples=examples(file, comparison) if comparison.is_generative and with_examples else (),
        cards=tuple(card(comparison, one) for one in chosen[:2]),
        basis=basis(comparison),
        rows=variants(comparison, _marks(chosen)),
        caption=caption(comparison),
        table_notes=tuple(table_notes(comparison)),
        breakdown=broken_down,
        beyond=parts(broken_down, comparison.root.name if comparison.root else ""),
    )


def _marks(chosen: tuple[Recommendation, ...]) -> dict[str, str]:
    """The recommended variant, and the one of the second card if it can be taken as well."""
    return {one.row.name: one.title.lower() for one in chosen if one.recommended}


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


def _lineages(comparison: Comparison) -> tuple[tuple[NumberedStep, ...], tuple[Chain, ...]]:
    told: dict[str, NumberedStep] = {}
    chains = []
    for row in (one for one in comparison.rows if one.is_first):
        manifest = row.artifact.manifest
        ancestors = [one.get("fingerprint", "") for one in manifest.get("ancestors", ())]
        # The artifact after step k is the ancestor at k + 1, or the artifact itself after the last step.
        keys = [*ancestors[1:], row.artifact.fingerprint]
        mine = []
        for number, step in enumerate(lineage.steps(manifest)):
            key = keys[number] if number < len(keys) else f"{row.artifact.fingerprint}-{number}"
            told.setdefault(key, NumberedStep(key, len(told) + 1, step))
            mine.append(told[key])
        chains.append(Chain(row, manifest.get("origin", {}), tuple(mine)))
    return tuple(told.values()), tuple(chains)


def _curves(told: tuple[NumberedStep, ...], scales: Mapping[str, Scale]) -> list[tuple[NumberedStep, str, Markup]]:
    """A loss and its terms in one plot, every other quantity in one of its own."""
    drawn = []
    for one in told:
        plots: dict[str, list[curves.Line]] = {}
        for name, points in one.step.curves.items():
            if len(points) > 1:
                whole, term = _loss(name)
                lines = plots.setdefault(whole, [])
                lines.append(curves.Line(term or whole, points, _style(term, lines) if term else None))
        for whole, lines in plots.items():
            in_points = any(name in whole for name, scale in scales.items() if scale.in_points)
            several = " and its terms" if len(lines) > 1 else ""
            title = f"Step {one.number}, {one.step.words}: {whole}{several}{', points' if in_points else ''}"
            drawn.append((one, title, curves.draw(lines, title, in_points=in_points)))
    return drawn


def _loss(name: str) -> tuple[str, str]:
    """`stage 1 loss: attention` is a term of `stage 1 loss`; a curve that is no term has none."""
    whole, colon, term = name.partition(": ")
    return (whole, term) if colon and whole.endswith("loss") else (name, "")


TERMS = ("soft targets", "labels", "hidden states", "attention", "relations", "embeddings")
"""The terms of a distillation's loss, so that each has the same colour in every plot."""


def _style(term: str, others: Sequence[curves.Line]) -> int:
    return TERMS.index(term) if term in TERMS else len(TERMS) + len(others)
