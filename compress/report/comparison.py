"""One run as a table: a row for each artifact, with its values compared with the two baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compress.core.measurement import Measured, Measurement, Measurements, name_in
from compress.metrics.intervals import LEVEL
from compress.metrics.verdicts import MARGIN
from compress.report import lineage, ranking, scales
from compress.report.budget import Verdict, judge
from compress.report.limits import Budget
from compress.report.scales import Scale
from compress.report.scored import AgainstTrivial, Baseline, baselines, beats_trivial, decoding, signatures
from compress.report.significance import Difference, difference
from compress.report.values import AGREEMENTS, Condition, Lookup, Memory, Speed, Value

COLLAPSED = 0.5
"""Below this share of distinct outputs a model says the same of most inputs, whatever its score."""


@dataclass(frozen=True)
class Quality:
    """One metric of an artifact, as a share or on the metric's own scale."""

    value: Value
    difference: Difference
    """Against the uncompressed model."""


@dataclass(frozen=True)
class Row:
    """One artifact with all its values."""

    artifact: Measured
    made: str
    """Its compressing steps in a few words."""
    precision: str
    parameters: Value
    disk: Value
    compressed: Value
    """Bytes of the same files when each is compressed by zstd."""
    zeros: Value
    """The share of the layers' weights that is exactly zero; `samples` says how many weights these are."""
    zeros_count: int | None
    smaller: float | None
    """How many times smaller on disk than the fp32 ONNX export."""
    quality: Mapping[str, Quality]
    agreement: Value
    speeds: Mapping[Condition, Speed]
    memory: Mapping[str, Memory]
    device_memory: Mapping[str, Value]
    """Peaks on a GPU by counter and phase, in bytes; empty without one."""
    distinct: Value
    """Of generated texts, the share that differ from one another."""
    output_tokens: Value
    """Their mean length, in tokens."""
    same: Value
    """The share of examples to which it answers as the uncompressed model does; of texts, to the letter."""
    growth: Value
    """Bytes that each generated token adds to the peak memory."""
    peaks: Mapping[int, Value]
    """The peak resident memory by how many tokens were generated, in bytes."""
    changed_by_batch: Value
    """How many of its `samples` examples it answers otherwise one at a time than in batches."""
    runtime: str = ""
    """In which runtime these values were measured; empty where the benchmark was asked for none."""
    is_first: bool = True
    """Whether no row before it is the same artifact in another runtime."""
    parent: Row | None = None
    """The nearest ancestor in the run that is itself a variant, in the same runtime where it was measured in that."""
    against_parent: Difference | None = None
    """The deciding metric against that one."""

    @property
    def name(self) -> str:
        """Unique in its run."""
        return name_in(self.artifact.name, self.runtime) if self.runtime else self.artifact.name

    @property
    def has_collapsed(self) -> bool:
        """Whether most of its outputs repeat another."""
        return self.distinct.value is not None and self.distinct.value < COLLAPSED

    @property
    def is_variant(self) -> bool:
        """Whether it is a variant: neither the uncompressed model nor its plain export."""
        return self.artifact.role == "variant"


@dataclass(frozen=True)
class Comparison:
    """One run, ready to be judged and shown."""

    measurements: Measurements
    rows: tuple[Row, ...]
    """The uncompressed model, its export, then the variants in the order they were measured."""
    metrics: tuple[str, ...]
    """The task's metrics, the deciding one first."""
    conditions: tuple[Condition, ...]
    """Under the suite's first session options; the headline first: batch 1 at real lengths where it was measured."""
    other_conditions: tuple[Condition, ...]
    """The same under the suite's other session options."""
    phases: tuple[str, ...]
    scales: Mapping[str, Scale]
    """How each metric's numbers are read."""
    agreement: str = AGREEMENTS[-1]
    """How agreement with the uncompressed model was measured."""
    is_generative: bool = False
    """Whether the models generate text."""
    paces: tuple[Condition, ...] = ()
    """What the pace of generation was read under, the one to quote first."""
    baselines: tuple[Baseline, ...] = ()
    """What takes no model."""
    against_trivial: Mapping[str, AgainstTrivial] = field(default_factory=dict)
    """By a row's name, whether it is shown to be better than the best of `baselines`; without those that nothing is known of."""
    signatures: Mapping[str, str] = field(default_factory=dict)
    """How each metric was computed, where that is recorded."""
    decoding: str = ""
    """By which rule the scored texts were generated."""
    level: float = LEVEL
    """Of the intervals of differences: simultaneous over the variants, so that all of them hold with 95 % (Bonferroni)."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """The loss that each metric's verdict accepts, in its own unit (0.01 is a point)."""
    judged: Verdict | None = None
    """Which variants are shown to keep the budget; None where there is none."""
    ranked: tuple[Row, ...] = ()
    """All variants, the best choice first, see `ranking.order`."""

    @property
    def root(self) -> Row | None:
        """The uncompressed model: in torch, or the ONNX graph where the run started from one."""
        return next((row for row in self.rows if row.artifact.role == "root"), self.baseline)

    @property
    def baseline(self) -> Row | None:
        """The uncompressed model's fp32 ONNX export."""
        return next((row for row in self.rows if row.artifact.role == "baseline"), None)

    @property
    def variants(self) -> tuple[Row, ...]:
        """All compressed variants."""
        return tuple(row for row in self.rows if row.is_variant)

    @property
    def metric(self) -> str | None:
        """The metric that decides."""
        return self.metrics[0] if self.metrics else None

    @property
    def scale(self) -> Scale:
        """How the deciding metric's numbers are read."""
        return self.scales[self.metrics[0]] if self.metrics else Scale("quality")

    @property
    def in_brief(self) -> tuple[str, ...]:
        """The metrics of the first table: of a generative model the deciding one alone, since there are many."""
        return self.metrics[:1] if self.is_generative else self.metrics

    @property
    def in_detail(self) -> tuple[str, ...]:
        """The metrics that the first table leaves out."""
        return self.metrics[len(self.in_brief) :]

    @property
    def has_distinct(self) -> bool:
        """Whether distinct outputs were measured."""
        return any(row.distinct.value is not None for row in self.rows)

    @property
    def has_totals(self) -> bool:
        """Whether the headline's times are those of all rows in sum."""
        return any(row.speeds[self.conditions[0]].total for row in self.rows) if self.conditions else False

    @property
    def has_growth(self) -> bool:
        """Whether memory per token was measured."""
        return any(row.growth.value is not None for row in self.rows)

    @property
    def generated_counts(self) -> tuple[int, ...]:
        """After how many generated tokens the memory was read."""
        return tuple(sorted({count for row in self.rows for count in row.peaks}))

    @property
    def pace(self) -> Condition | None:
        """The condition that the pace of generation is quoted under."""
        return self.paces[0] if self.paces else None

    @property
    def headline(self) -> Condition | None:
        """The condition that speeds are quoted under."""
        return self.conditions[0] if self.conditions else None

    @property
    def examples(self) -> int:
        """The number of examples of the main metric."""
        return len(self.measurements.references) or max(
            (one.samples for one in self.measurements.measurements if one.name == self.metric), default=0
        )


def compare(measurements: Measurements, budget: Budget | Mapping[str, Any] | None = None) -> Comparison:
    """Lay one run's measurements side by side.

    Only artifacts of this run are compared with one another: same machine, same rounds, same evaluation rows.

    Args:
        measurements: of one run.
        budget: its `max_drop` is the margin of its metric; any other margin is `MARGIN`, or its share of the uncompressed
            model's value where the metric is not in points.

    Raises:
        CompressError: the budget cannot be read.
    """
    measurements = scales.in_shares(measurements)
    index = Lookup(measurements)
    metrics, conditions, phases = index.metrics(), index.conditions(), index.phases()
    order = {"root": 0, "baseline": 1}
    artifacts = sorted(measurements.artifacts, key=lambda one: order.get(one.role, 2))
    baseline = next((one for one in artifacts if one.role == "baseline"), None)
    root = next((one for one in artifacts if one.role == "root"), baseline)
    limits = Budget.read(budget, metrics) if isinstance(budget, Mapping) else budget
    margins = {one: _margin(one, index, root, limits, is_first=one == metrics[0]) for one in metrics}
    count = sum(len(index.runtimes(one)) or 1 for one in artifacts if one.role == "variant")
    level = 1 - (1 - LEVEL) / max(count, 1)
    rows: dict[tuple[str, str], Row] = {}
    made = []
    for artifact in sorted(artifacts, key=lambda one: len(one.manifest.get("steps", ()))):
        runtimes = index.runtimes(artifact)
        for runtime in (index.names_runtimes and runtimes) or ("",):
            is_first = runtime in ("", *runtimes[:1])
            mine = index.within(artifact, runtime)
            of_root = None if artifact is root and is_first else {one: index.get(root, one) for one in metrics}
            parent = _parent(artifact, runtime, rows) if artifact.role == "variant" else None
            row = _row(mine, artifact, of_root, baseline, parent, margins, level, conditions, phases)
            row = replace(row, runtime=runtime, is_first=is_first)
            made.append(row)
            for key in (runtime, ""):
                rows.setdefault((artifact.fingerprint, key), row)
    made.sort(key=lambda row: artifacts.index(row.artifact))
    first = conditions[0].options if conditions else ""
    found = Comparison(
        measurements,
        tuple(made),
        metrics,
        conditions=tuple(one for one in conditions if one.options == first),
        other_conditions=tuple(one for one in conditions if one.options != first),
        phases=phases,
        scales={name: scales.scale_of(index.any(name)) for name in metrics},
        agreement=index.agreement(),
        is_generative=index.is_generative,
        paces=index.paces() if index.is_generative else (),
        baselines=baselines(measurements),
        signatures=signatures(index, (*metrics, index.agreement())),
        decoding=decoding(index, metrics[0] if metrics else None),
        level=level,
        margins=margins,
    )
    beside = {row.name: beats_trivial(found, row) for row in found.rows}
    found = replace(found, against_trivial={name: one for name, one in beside.items() if one is not None})
    found = replace(found, judged=judge(found, limits) if limits else None)
    return replace(found, ranked=ranking.order(found))


def _margin(metric: str, index: Lookup, root: Measured | None, limits: Budget | None, *, is_first: bool) -> float:
    """The loss that a metric's verdict accepts, in its own unit."""
    scale = scales.scale_of(index.any(metric))
    if limits and limits.max_drop is not None and (limits.metric == metric or (limits.metric is None and is_first)):
        return limits.max_drop / 100 if scale.in_points else limits.max_drop
    whole = 1.0 if scale.in_points else abs(index.value(root, metric).value or 0.0)
    return MARGIN * whole


def _row(
    index: Lookup,
    artifact: Measured,
    of_root: Mapping[str, Measurement | None] | None,
    baseline: Measured | None,
    parent: Row | None,
    margins: Mapping[str, float],
    level: float,
    conditions: tuple[Condition, ...],
    phases: tuple[str, ...],
) -> Row:
    references = index.measurements.references
    disk = index.value(artifact, "disk_bytes")
    zeros = index.get(artifact, "zeros")
    base_disk = index.value(baseline, "disk_bytes").value if baseline else None
    against_parent = None
    metrics = tuple(margins)
    if parent and metrics:
        beside = index.within(parent.artifact, parent.runtime)
        here, there = index.get(artifact, metrics[0]), beside.get(parent.artifact, metrics[0])
        against_parent = difference(here, there, references, margin=margins[metrics[0]], level=level)
    return Row(
        artifact=artifact,
        made=_ROLES.get(artifact.role) or lineage.words(artifact.manifest) or "as it was given",
        precision=str(artifact.manifest.get("precision", "")),
        parameters=index.value(artifact, "parameters"),
        disk=disk,
        compressed=index.value(artifact, "compressed_bytes"),
        zeros=index.value(artifact, "zeros"),
        zeros_count=zeros.condition.get("zeros") if zeros else None,
        smaller=base_disk / disk.value if base_disk and disk.value else None,
        quality={
            metric: Quality(
                index.value(artifact, metric),
                Difference(absent="it is the model the others are compared with")
                if of_root is None
                else difference(index.get(artifact, metric), of_root[metric], references, margin=margin, level=level),
            )
            for metric, margin in margins.items()
        },
        agreement=index.value(artifact, index.agreement()),
        speeds={condition: index.speed(artifact, condition) for condition in conditions},
        memory={phase: index.memory(artifact, phase) for phase in phases},
        device_memory=index.device_memory(artifact),
        distinct=index.value(artifact, "distinct_outputs"),
        output_tokens=index.output_tokens(artifact),
        same=index.value(artifact, "agreement_with_root"),
        growth=index.value(artifact, "memory_growth_bytes_per_token"),
        peaks=index.peaks(artifact),
        changed_by_batch=index.value(artifact, "answers_changed_by_batch"),
        parent=parent,
        against_parent=against_parent,
    )


_ROLES = {"root": "uncompressed, in torch", "baseline": "uncompressed, exported"}


def _parent(artifact: Measured, runtime: str, rows: Mapping[tuple[str, str], Row]) -> Row | None:
    for ancestor in reversed(artifact.manifest.get("ancestors", ())):
        fingerprint = ancestor.get("fingerprint", "")
        row = rows.get((fingerprint, runtime)) or rows.get((fingerprint, ""))
        if row and row.is_variant and row.artifact != artifact:
            return row
    return None
