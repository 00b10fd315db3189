"""The schema of `report.json`: strict models of the whole file, and the JSON schema that is published of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from compress.core.printable import json_text
from compress.report.schema_values import (
    BesideTrivial,
    Breakdown,
    Condition,
    Quality,
    Recorded,
    Strict,
    Test,
    TrivialBaseline,
    Value,
)

FILE = "report.schema.json"
"""In `reports/`, and shipped with the package."""


class Recommendation(Strict):
    """A variant to look at first."""

    title: Literal["Recommended", "Runner-up", "Closest to a recommendation", "Faster, at a loss"]
    """What it is shown as."""
    name: str
    """The variant."""
    recommended: bool
    """Whether it can be recommended; false for what is shown although it cannot."""
    folder: str
    """The artifact's folder."""
    reason: str
    """Why it was chosen, or why it cannot be recommended."""
    tied: list[str]
    """Other variants that can be recommended and are not shown to differ from it in speed; without speeds, in size."""
    story: str
    """Its size, speed and quality in a sentence or two."""


class Confirmation(Strict):
    """The recommended variant, measured once more (`--confirm`)."""

    words: str
    """What was found, or that the choice was made on the run's own rows."""
    held: bool | None
    """Whether its quality holds on the other split; null where it was not measured there."""
    split: str | None
    """The other split's name; null where it was not measured."""
    examples: int | None
    """Number of the other split's examples; null where it was not measured."""


class Check(Strict):
    """One variant held against one limit of the budget."""

    variant: str
    """The variant."""
    limit: str
    """The limit in words, with its unit."""
    found: str
    """What was found in words, with its unit and interval."""
    state: Literal["kept", "broken", "not settled"]
    """Kept or broken where the whole interval lies on that side of the limit, else not settled."""


class Budget(Strict):
    """Whether a run meets its budget."""

    met: bool
    """Whether at least one variant is shown to keep every limit."""
    limits: list[str]
    """The limits in words, with their units."""
    winners: list[str]
    """The variants that are shown to keep every limit."""
    checks: list[Check]
    """Every variant against every limit."""


class Speed(Condition):
    """An artifact's speed under one condition."""

    runtime: str
    """`onnx_runtime`, `pytorch`; empty where nothing was timed."""
    session_options: str
    """The choice of session options that it ran with."""
    timings: int
    """Number of calls that were timed."""
    median_seconds: Value
    """Median latency of a call, in seconds."""
    total_seconds: Value | None
    """Seconds of all rows that a generative model completed in a round; null for others."""
    p90_seconds: Value
    """90th percentile of the latency, in seconds."""
    p99_seconds: Value
    """99th percentile of the latency, in seconds."""
    times_as_fast: Value
    """Latency of the fp32 ONNX export divided by this one's, from rounds in which both were timed; above 1 is faster."""
    examples_per_second: Value
    """Examples each second."""


class Memory(Strict):
    """The peak resident memory of a serving process in one phase."""

    peak: Value
    """Bytes."""
    above_empty: Value
    """Bytes above a process with the runtime and no model."""


class Pace(Condition):
    """How fast a generative model writes, under one condition."""

    time_to_first_token_seconds: Value
    """Seconds from the prompt to the first token."""
    time_per_output_token_seconds: Value
    """Seconds for each further token."""
    output_tokens_per_second: Value
    """Tokens each second, over all texts of the batch."""


class ArtifactGeneration(Strict):
    """What only generative models have, of one artifact."""

    distinct_outputs_share: Value
    """Of the outputs, the fraction that differ from one another, 0 to 1."""
    output_tokens_count: Value
    """Mean number of tokens of an output."""
    same_outputs_share: Value
    """The fraction of examples with exactly the uncompressed model's output, 0 to 1."""
    paces: list[Pace]
    """The speed of generation by condition."""
    memory_growth_bytes_per_token: Value
    """Bytes that each generated token adds to the peak memory."""
    peak_memory_bytes_by_new_tokens: dict[str, Value]
    """Peak resident memory in bytes, by the number of generated tokens."""


class Artifact(Strict):
    """One artifact with all its values."""

    name: str
    """Unique within its run; with the runtime where it was measured in several."""
    role: Literal["root", "baseline", "variant"]
    """`root`: the uncompressed model; `baseline`: its fp32 ONNX export; `variant`: any other."""
    runtime: str = ""
    """The runtime of these values; left out where the benchmark was asked for none."""
    fingerprint: str
    """Identity of the artifact's content."""
    folder: str
    """The artifact's folder."""
    made: str
    """Its compressing steps in a few words."""
    steps: list[int]
    """Numbers of its steps, see the run's `steps`."""
    precision: str
    """Of its weights: `fp32`, `int8`."""
    rank: int | None
    """Place among the variants from 1, the best choice first; null for the two baselines."""
    obstacles: list[str]
    """Why a variant cannot be recommended, the gravest reason first; empty if it can, and for the two baselines."""
    on_front: bool
    """Whether no other artifact is both faster and better by the deciding metric."""
    parameters_count: Value
    """Number of parameters."""
    disk_bytes: Value
    """Size of the model's files in bytes."""
    compressed_bytes: Value
    """Size of the same files in bytes when each is compressed by zstd at level 3."""
    zeros_share: Value
    """Fraction of the layers' weights that is exactly zero, 0 to 1; its `samples` are these weights."""
    zeros_count: int | None
    """Number of these zeros."""
    times_smaller: float | None
    """Bytes of the fp32 ONNX export divided by this artifact's."""
    quality_share: dict[str, Quality]
    """By metric, of metrics that are shares: fractions of 1."""
    quality_own_scale: dict[str, Quality]
    """By metric, of all other metrics (perplexity): in the metric's own unit."""
    agreement_share: Value
    """Fraction of examples or tokens with the uncompressed model's answer, 0 to 1."""
    against_trivial: BesideTrivial | None
    """Beside the best trivial baseline; null where none was scored."""
    speeds: list[Speed]
    """By condition; the headline first."""
    memory_bytes: dict[str, Memory]
    """By phase (`loaded`, `1x128`: batch x tokens), in bytes."""
    device_memory_bytes: dict[str, Value]
    """Peak memory of a GPU by counter and phase, in bytes; empty without one."""
    parent: str | None
    """The nearest ancestor in the run that is itself a variant."""
    generation: ArtifactGeneration | None
    """Null for models that do not generate."""


class Ratio(Value, Condition):
    """How many times as fast, under one condition."""


class Zeros(Strict):
    """An artifact with many zeros."""

    name: str
    """The artifact."""
    without_zeros: str | None
    """The artifact that differs only in the zeros; null where none was measured."""
    words: str
    """What the zeros bring, in a sentence or two."""
    times_as_fast_as_without_zeros: list[Ratio]
    """Latency without the zeros divided by latency with them; above 1 is faster."""


class Step(Strict):
    """One step of making an artifact."""

    number: int
    """From 1 within the run."""
    artifact: str
    """Fingerprint of the artifact after it."""
    technique: str
    """`distill`, `prune`, `quantize`, `qat`, `export`, `finetune`."""
    words: str
    """What it did, in a few words."""
    settings: Recorded
    """The technique's settings, as recorded; units are in its documentation."""
    inputs: Recorded
    """Other artifacts it read, as recorded."""
    data: Recorded
    """The data it read, as recorded: files' hashes, rows."""
    facts: Recorded
    """What came out, as recorded."""
    story: str
    """What the facts of a distillation, of pruning or of an accuracy budget say, in a line; empty for other steps."""
    teacher_effect: Recorded | None
    """The student with and without its teacher, with the keys that `compress.distillation.ablation.effect` documents; null
    where it was not trained both ways."""
    curves: dict[str, list[tuple[float, float]]]
    """Learning curves by name: pairs of optimizer step and value."""
    seconds: float | None
    """How long it took, in seconds."""
    versions: Recorded
    """Versions of the packages it ran with."""
    compresses: bool
    """Whether it changes the model, and not its form alone."""


class Example(Strict):
    """What the artifacts generated from one text."""

    number: int
    """Row of the split, from 1."""
    source: str
    """The text that was read; empty where it was not kept."""
    reference: str
    """The split's own answer; empty where it was not kept."""
    outputs: dict[str, str]
    """What each artifact generated, by its name."""


class Generation(Strict):
    """What only generative models have, of the run as a whole."""

    pace: Condition | None
    """The condition of the first table's decoding speed."""
    agreement: str
    """How `agreement_share` was measured: `token_accuracy` or `agreement_with_root`."""
    decoding: str
    """How texts were generated, in words; empty where it was not recorded."""
    signatures: dict[str, str]
    """How each metric was computed, as its reference tool prints it."""
    warnings: list[str]
    """A sentence for each artifact that repeats its outputs or is no better than a trivial baseline."""
    examples: list[Example]
    """The first texts of the split; empty with --no-examples."""


class Run(Strict):
    """Artifacts that were measured together: same machine, same rounds, same evaluation rows."""

    source: str
    """The file of measurements."""
    created: str
    """When they were measured: ISO time in UTC."""
    task: Recorded
    """The task, as recorded with the measurements."""
    split: Recorded
    """The evaluation split, as recorded: its name, files' hashes, rows."""
    suite: Recorded
    """The suite of measurements, as recorded."""
    machine: Recorded
    """The machine and the versions of packages, as recorded."""
    notes: list[str]
    """Sentences on the run as a whole."""
    metrics: list[str]
    """The task's metrics, the deciding one first."""
    level: float
    """Confidence level of the differences' intervals, 0 to 1: 0.95 shared among the variants (Bonferroni)."""
    margins: dict[str, float]
    """The accepted loss by metric, at least 0: a fraction of 1 (0.01 is one point) for shares, else in the metric's unit."""
    headline: Condition | None
    """The latency condition of the quoted speeds; null where no latency was measured."""
    busy: str | None
    """Why speed ratios are missing, where other processes used the machine; else null."""
    lead: str
    """The verdict in one sentence."""
    confirmation: Confirmation | None
    """Whether the recommendation holds on a split that chose nothing; null where nothing is recommended."""
    rule: str
    """How the recommended variant is chosen."""
    recommendations: list[Recommendation]
    """The recommended variant, then the runner-up; or what comes closest, with `recommended` false."""
    budget: Budget | None
    """Null where there is none."""
    trivial_baselines: list[TrivialBaseline]
    """Scores that take no model."""
    artifacts: list[Artifact]
    """The uncompressed model, its fp32 ONNX export, then the variants as measured."""
    breakdown: Breakdown | None
    """Calibration, confusion, slices and lost examples; null where none was measured."""
    tests: list[Test]
    """Every comparison of quality: with the uncompressed model, and with the parent where that is a variant."""
    zeros: list[Zeros]
    """Artifacts with a noteworthy share of zeros."""
    steps: list[Step]
    """Every step once."""
    generation: Generation | None
    """Null for models that do not generate."""


class Unmeasured(Strict):
    """An artifact without measurements."""

    folder: str
    """Its folder."""
    fingerprint: str | None
    """Identity of its content; null where its manifest has none."""


class ReportFile(Strict):
    """The report of `compress report` as data. Differences are the artifact minus what it is compared with."""

    format: Literal["compress-report"]
    """What this file is."""
    schema_version: Literal[2]
    """Raised if a key is renamed, removed or changes its meaning; new keys may come within a version."""
    title: str
    """The report's title."""
    created: str
    """When the report was written: ISO time in UTC."""
    command: str
    """The command that writes it again."""
    runs: list[Run] = Field(min_length=1)
    """The newest first; artifacts are compared within a run only."""
    unmeasured: list[Unmeasured]
    """Artifacts in the same folders without measurements."""


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of `report.json`, with a description of every key.

    It allows other keys, since new ones may come within a version; `ReportFile` itself refuses them.
    """
    made: dict[str, Any] = _open(ReportFile.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "compress report"}


def as_text() -> str:
    """The published file: what `reports/report.schema.json` holds."""
    return json_text(json_schema(), indent=1) + "\n"


def _open(part: Any) -> Any:
    if isinstance(part, list):
        return [_open(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {name: _open(one) for name, one in part.items() if (name, one) != ("additionalProperties", False)}
