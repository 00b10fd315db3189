"""What a row of the table opens to: every condition, metric and phase of one artifact, and what a reader must know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compress.report import wording
from compress.report.comparison import Comparison, Row
from compress.report.memory import phases
from compress.report.page.torch_ratio import times_torch, torch_row
from compress.report.scored import is_signature
from compress.report.values import Condition, Value, phase_words


@dataclass(frozen=True)
class Grid:
    """A small table: a header, and rows of cells of which the first names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str | None, ...] = ()
    """The verdict of each row, shown in its last cell; empty where the grid is not of quality."""


@dataclass(frozen=True)
class Details:
    """One artifact's."""

    speed: Grid | None
    quality: Grid | None
    facts: Mapping[str, str]
    notes: tuple[str, ...]


def details(comparison: Comparison, row: Row) -> Details:
    """All that the table's six columns leave out."""
    return Details(
        _speeds(comparison, row), _tests(comparison, row), dict(_facts(comparison, row)), _notes(comparison, row)
    )


def _speeds(comparison: Comparison, row: Row) -> Grid | None:
    """A row for each condition; a quantity that this artifact has nowhere has no column."""
    conditions = [one for one in (*comparison.conditions, *comparison.other_conditions) if one in row.speeds]
    several = len({one.options for one in conditions}) > 1
    takes: list[tuple[str, Callable[[Condition], str]]] = [
        ("Total" if comparison.has_totals else "Median", lambda one: _of(row.speeds[one].time, wording.seconds)),
        ("p90", lambda one: _of(row.speeds[one].p90, wording.seconds)),
        ("p99", lambda one: _of(row.speeds[one].p99, wording.seconds)),
        ("Texts a second", lambda one: _of(row.speeds[one].throughput, wording.rate)),
        ("× fp32 ONNX", lambda one: _ratio(row.speeds[one].ratio) if row is not comparison.baseline else ""),
        ("× torch", lambda one: _of_torch(comparison, row, one)),
        ("Tokens a second", lambda one: _of(row.speeds[one].per_second, lambda rate: f"{rate:,.0f}")),
        ("First token", lambda one: _of(row.speeds[one].first_token, wording.seconds)),
    ]
    columns = [(name, [take(one) for one in conditions]) for name, take in takes]
    columns = [(name, cells) for name, cells in columns if any(cells)]
    if not columns:
        return None
    names = [
        wording.capitalized(one.words) + (f", {wording.session_options(one.options)} options" if several else "")
        for one in conditions
    ]
    rows = tuple((name, *(cells[n] or wording.DASH for _, cells in columns)) for n, name in enumerate(names))
    return Grid("Speed", ("Condition", *(name for name, _ in columns)), rows)


def _of(one: Value, shown: Callable[[float], str]) -> str:
    return shown(one.value) if one.value is not None else ""


def _ratio(one: Value) -> str:
    if one.value is None:
        return ""
    return wording.times(one.value) + (f" ({wording.times_range(one.interval)})" if one.interval else "")


def _of_torch(comparison: Comparison, row: Row, condition: Condition) -> str:
    root = torch_row(comparison)
    return _ratio(times_torch(comparison, row, condition)) if root and condition in root.speeds else ""


def _tests(comparison: Comparison, row: Row) -> Grid | None:
    """Every metric against the uncompressed model, and the deciding one against the variant that this one was made of."""
    tested = [(metric, "", row.quality[metric].difference) for metric in comparison.metrics]
    if row.against_parent and row.parent and comparison.metric:
        tested.append((comparison.metric, f" against {row.parent.name}", row.against_parent))
    tested = [one for one in tested if one[2].value is not None]
    if not tested or row is comparison.root:
        return None
    counts = any(one.only_here is not None for _, _, one in tested)
    lines, words = [], []
    for metric, against, one in tested:
        scale = comparison.scales[metric]
        value = wording.value_or_dash(row.quality[metric].value, scale.shown)
        interval = scale.signed_range(one.interval) or wording.DASH
        line = [f"{scale.title}{against}", value, scale.signed(one.value or 0.0), interval]
        if counts:
            line += [wording.DASH if n is None else f"{n:,}" for n in (one.only_here, one.only_there)]
        line.append(wording.DASH if one.detectable is None else scale.shown(one.detectable))
        lines.append(tuple(line))
        words.append(one.word)
    only = ("Only this right", "Only the other right") if counts else ()
    columns = ("Metric", "Value", "Change", f"{wording.percent(tested[0][2].level)} interval", *only, "Detectable")
    return Grid("Quality against the uncompressed model", columns, tuple(lines), tuple(words))


def _facts(comparison: Comparison, row: Row) -> Iterator[tuple[str, str]]:
    for name, one, shown in (
        ("Parameters", row.parameters, wording.millions),
        ("Compressed with zstd", row.compressed, wording.megabytes),
        ("Weights that are zero", row.zeros, wording.percent),
        ("Distinct outputs", row.distinct, wording.percent),
        ("Mean output, tokens", row.output_tokens, wording.count),
    ):
        if one.value is not None:
            yield name, shown(one.value)
    if row.changed_by_batch.value is not None:
        count, of = row.changed_by_batch.value, row.changed_by_batch.samples
        yield "Answers that differ one text at a time", f"{count:,.0f} of {of:,} examples"
    if row.agreement.value is not None and row is not comparison.root:
        name = (
            "Same next token as uncompressed"
            if comparison.agreement == "token_accuracy"
            else "Same answer as uncompressed"
        )
        yield name, wording.percent(row.agreement.value)
    for phase, memory in phases(row).items():
        if memory.peak.value is not None:
            own = memory.above_empty.value
            above = f" ({wording.megabytes(own)} above an empty process)" if own is not None else ""
            yield f"Memory, {phase_words(phase)}", f"{wording.megabytes(memory.peak.value)}{above}"
    for where, peak in row.device_memory.items():
        if peak.value is not None:
            yield f"Memory, {where}", wording.megabytes(peak.value)
    runtime = row.speeds[comparison.headline].runtime if comparison.headline else ""
    if runtime:
        yield "Runtime", wording.runtime(runtime) + (f", {row.precision}" if row.precision else "")


def _notes(comparison: Comparison, row: Row) -> tuple[str, ...]:
    """What was noted of any value, and why values are absent; each once."""
    found: dict[str, None] = {}
    notes = row.artifact.manifest.get("notes", ())
    for note in notes if isinstance(notes, Sequence) and not isinstance(notes, str) else ():
        found[str(note)] = None
    for name, one in _values(comparison, row):
        for note in one.notes:
            found[note] = None
        if one.value is None and one.absent:
            found[f"{name}: {one.absent}"] = None
    # A metric's signature is shown with how the scores were computed.
    return tuple(_sentence(note) for note in found if not is_signature(note))


def _values(comparison: Comparison, row: Row) -> Iterator[tuple[str, Value]]:
    for metric in comparison.metrics:
        yield comparison.scales[metric].title, row.quality[metric].value
        difference = row.quality[metric].difference
        if row is not comparison.root and difference.word is None:
            yield f"{comparison.scales[metric].title}, change", Value(absent=difference.absent)
    yield "Size on disk", row.disk
    yield "Parameters", row.parameters
    if row is not comparison.root:
        yield "Agreement", row.agreement
    for condition, speed in row.speeds.items():
        yield f"Latency, {condition.words}", speed.time
        if row is not comparison.baseline and speed.time.value is not None:
            yield f"Speed ratio, {condition.words}", speed.ratio
    for phase, memory in row.memory.items():
        yield f"Memory, {phase_words(phase)}", memory.peak


def _sentence(text: str) -> str:
    return wording.capitalized(text.rstrip(".")) + "."
