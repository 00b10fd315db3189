"""What `report.json` is made of, as strict models with a description of every key: values, differences, what lies beyond."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Word = Literal["better", "not worse", "worse", "not enough examples"]
Interval = tuple[float, float]
Recorded = dict[str, Any]
"""Free: as it was recorded when it was made or measured."""


class Strict(BaseModel):
    """A record with exactly these keys; the text below each key describes it in the schema."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Value(Strict):
    """A measured value with its interval, or the reason for its absence."""

    value: float | None
    """In the unit that the value's name says; null exactly if `absent` gives the reason."""
    interval: Interval | None
    """The 95 % interval, low and high, in the same unit; null where there is none."""
    absent: str | None
    """Why there is no value; null where there is one."""
    notes: list[str]
    """Sentences on how it was measured."""
    samples: int
    """The number of samples behind it: examples, timings or weights; 0 where none were counted."""


class Difference(Strict):
    """The quality of one artifact minus another's, with the verdict that its interval gives."""

    value: float | None
    """A fraction (0.01 is one point of 100) for metrics that are shares, else in the metric's own unit; null where unknown."""
    interval: Interval | None
    """Low and high, in the unit of `value`; null with the reason in `absent`."""
    level: float
    """Confidence level of the interval, 0 to 1: 0.95 shared among the variants (Bonferroni)."""
    margin: float
    """The accepted loss, at least 0, in the unit of `value`."""
    word: Word | None
    """The verdict: better (the whole interval is a gain), not worse (no loss above the margin), worse (all of it is a loss,
    and one above the margin is not ruled out), else not enough examples; null without an interval."""
    p_value: float | None
    """McNemar's exact two-sided p, 0 to 1; a note that decides nothing."""
    detectable: float | None
    """The smallest difference that these examples show with 80 % power, in the unit of `value`."""
    enough: int | None
    """About how many examples would settle it; null where it is settled or no number can be named."""
    only_here: int | None
    """Number of examples that only this artifact has right."""
    only_there: int | None
    """Number of examples that only the other artifact has right."""
    test: str
    """The method of the interval; empty without one."""
    examples: int
    """Number of examples that were compared."""
    absent: str | None
    """Why there is no value or no interval."""


class Condition(Strict):
    """Under what latency was measured."""

    batch: int
    """Texts at a time."""
    length: str
    """Tokens of each text; `real` for the evaluation split's own lengths."""
    threads: int | None
    """Threads of the runtime; null where it was not recorded."""
    options: str
    """The choice of session options: `ours`, `default`; empty where there is one choice only."""
    new_tokens: int | None
    """Tokens generated after each prompt; null where none are, or as many as the model wants."""


class Test(Difference):
    """One artifact's metric against another's."""

    name: str
    """The artifact."""
    against: str
    """The artifact that it is compared with."""
    metric: str
    """The metric's name."""


class Quality(Strict):
    """One metric of an artifact."""

    value: Value
    """A fraction of 1 within `quality_share`, else in the metric's own unit."""
    difference: Difference
    """This artifact minus the uncompressed model."""


class BesideTrivial(Strict):
    """An artifact beside the best trivial baseline, by the metric that decides."""

    baseline: str
    """The baseline's name: `Commonest class`, `Lead-3`."""
    words: str
    """What the baseline predicts."""
    value: float
    """Its score, in the unit of `difference`."""
    metric: str
    """The metric's name."""
    difference: Difference
    """The artifact minus the baseline; shown to be better only with the word `better`."""


class TrivialBaseline(Strict):
    """A score that takes no model."""

    name: str
    """`Commonest class`, `Lead-3`."""
    words: str
    """What it predicts."""
    values: dict[str, float]
    """Score by metric: a fraction of 1 for metrics that are shares, else in the metric's own unit."""


class Calibration(Strict):
    """How far an artifact's probabilities can be believed; lower is better."""

    name: str
    """The artifact."""
    error: Value
    """Expected calibration error, 0 to 1."""
    brier: Value
    """Brier score, 0 to 2."""
    change: Difference | None
    """The Brier score minus the uncompressed model's; null for that itself."""


class Confusion(Strict):
    """How often each right label was answered by each label."""

    name: str
    """The artifact."""
    labels: list[str]
    """The labels, in the order of rows and columns."""
    counts: list[list[int]]
    """Number of examples: a row for each right label, a column for each answer; empty for more than 20 labels."""
    pairs: list[tuple[str, str, int]]
    """The most frequent mistakes: right label, answer, number of examples."""


class Slice(Strict):
    """An artifact on some of the examples."""

    by: str
    """What the examples are sliced by: `label`, `length`, or a column of the data."""
    name: str
    """The slice: a label, a range of words, a column's value."""
    examples: int
    """Number of examples in it."""
    value: float
    """The artifact's score there, in the unit of `difference`."""
    uncompressed: float
    """The uncompressed model's score there, in the unit of `difference`."""
    difference: Difference
    """The artifact minus the uncompressed model; its interval holds for all slices at once."""


class Sliced(Strict):
    """All slices of an artifact."""

    name: str
    """The artifact."""
    metric: str
    """The metric that slices are compared by."""
    slices: list[Slice]
    """Those of at least 30 examples."""
    worst: Slice
    """The one that loses most against the uncompressed model."""
    left_out: int
    """Number of slices with fewer than 30 examples."""
    level: float
    """Confidence level of each slice's interval, 0 to 1: 0.95 shared among the slices (Bonferroni)."""


class Lost(Strict):
    """The examples that only one artifact gets wrong."""

    name: str
    """The artifact."""
    lost: int
    """Number of examples that only this artifact gets wrong, against the uncompressed model."""
    gained: int
    """Number of examples that only this artifact gets right."""
    rows: list[Recorded]
    """Up to 20 of the lost ones: `row` (from 1), `text`, `label` (the right one), `uncompressed` and `answer` (what the two
    models said), `confidence` (of the answer, 0 to 1, or null)."""


class Breakdown(Strict):
    """What was measured beyond the metrics."""

    calibration: list[Calibration]
    """Of each artifact with probabilities."""
    confusions: list[Confusion]
    """Of the uncompressed model and the first two variants."""
    slices: list[Sliced]
    """Of the first two variants."""
    lost: list[Lost]
    """Of the first two variants; empty with --no-examples."""
