"""Keeps in floating point what must be, so that int8 loses no more of the task's metric than a limit (`max_drop`).

What is kept is chosen on one half of the held-out rows, by the ranking of `compress.quantization.sensitivity`; the other half,
which chose nothing, says what the result loses. NNCF's accuracy control reverts operators in the same spirit, one after another
and on the rows that it reports.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from compress.core.artifact import Artifact
from compress.core.cores import available_cores
from compress.core.progress import say, warn
from compress.core.temporary import temporary_folder
from compress.data.loading import Split
from compress.metrics.metric import IN_POINTS
from compress.quantization import held_out
from compress.quantization.budget_words import in_words, unmet
from compress.quantization.graphs.qdq import write_scheme
from compress.quantization.held_out import HeldOut
from compress.quantization.scheme import Scheme
from compress.quantization.sensitivity import Finding, Trials, ranked
from compress.quantization.units import units
from compress.tasks.task import DescribedTask

RANKED_ON, JUDGED_ON = 256, 2048
"""Held-out rows at most: of each trial of one layer, and of each of the two halves."""
AIMED_AT = 0.5
"""The share of the limit that the rows that choose must keep: a choice that just fits them fits other rows about every second
time."""
SLACK = 1e-9
"""Rounding of binary numbers, as of a report's budget."""
CALLS = 15
"""Of each timed graph, in turns."""


def choose(
    graph: Path, scheme: Scheme, source: Artifact, described: DescribedTask, max_drop: float
) -> tuple[Scheme, dict[str, Any]]:
    """The part of a scheme that loses at most `max_drop` points and leaves as little as was found in floating point; and what is
    recorded of the choice.

    Args:
        graph: in fp32, of which the scheme was made.
        max_drop: points of the task's metric (of 100; a metric's own unit otherwise), 0 or more.

    Raises:
        CompressError: the held-out rows are too few, or have no labels.
    """
    split = held_out.split_of(described)
    chooses, verifies = (half[:JUDGED_ON] for half in held_out.halves(split))
    threads = available_cores()

    def trials(places: Sequence[int]) -> Trials:
        return Trials(graph, scheme, held_out.read(source, described, split, places), threads=threads)

    choosing = trials(chooses)
    say(f"{source.folder.name}: choosing what stays in floating point on {len(chooses)} held-out rows.")
    drops = _Drops(choosing)
    target = AIMED_AT * max_drop + SLACK
    findings: list[Finding] = []
    kept: frozenset[str] = frozenset()
    if drops(kept) > target:
        ranking = trials(chooses[:RANKED_ON])
        findings = ranked(ranking, units(graph, scheme, ranking.held_out.tokens))
        kept = kept_in_float([one.unit.name for one in findings], drops, target)
    chosen = Scheme({name: layer for name, layer in scheme.items() if name not in kept})
    judged = trials(verifies)
    verified = _verified(judged, chosen, split)
    facts: dict[str, Any] = {
        "max_drop": max_drop,
        "metric": judged.held_out.metric.name,
        "in_points": judged.held_out.metric.unit in IN_POINTS,
        "met": verified["drop"] is not None and verified["drop"] <= max_drop + SLACK,
        "layers": len(scheme),
        "kept_in_float": [one.to_json() for one in findings if one.unit.name in kept],
        "chosen_on": {
            "rows": len(choosing.held_out),
            "aimed_at": AIMED_AT * max_drop,
            "drop": _finite(drops(kept)),
            "everything_quantized": _finite(drops(frozenset())),
            "trials": len(drops.known) + len(findings),
        },
        "verified_on": verified,
        "cost": _cost(graph, scheme, chosen, judged.held_out),
        "ranking": [one.to_json() for one in findings],
    }
    reason = unmet(facts)
    if reason is None:
        say(f"{source.folder.name}: {in_words(facts)}.")
    else:
        warn(f"The limit max_drop is not kept: {reason}")
    return chosen, facts


class _Drops:
    """The drop with everything quantized but some layers, on the rows that choose; each is tried once."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.known: dict[frozenset[str], float] = {}

    def __call__(self, kept: frozenset[str]) -> float:
        if kept not in self.known:
            predicted = self.trials.predicted(set(self.trials.scheme) - kept)
            held = self.trials.held_out
            self.known[kept] = held.drop(predicted, self.trials.reference_predictions)
            lost = f"{self.known[kept]:.2f} points" if held.metric.unit in IN_POINTS else f"{self.known[kept]:.4g}"
            say(
                f"{len(kept)} of {len(self.trials.scheme)} layers in floating point: {lost} of {held.metric.title} lost."
            )
        return self.known[kept]


def kept_in_float(names: Sequence[str], drop: Callable[[frozenset[str]], float], most: float) -> frozenset[str]:
    """Which layers stay in floating point so that the drop is at most `most`; those with the least drop where none are enough.

    As many of the first layers are kept as are needed: twice as many at each trial, then by bisection. Then each of them, the
    last first, is quantized after all if the drop allows it. One layer at least is quantized.

    Args:
        names: of all layers; first those that lose most for what quantizing them brings.
        drop: with these layers kept.
    """

    def first(count: int) -> frozenset[str]:
        return frozenset(names[:count])

    limit = len(names) - 1
    tried = [0]
    while drop(first(tried[-1])) > most and tried[-1] < limit:
        tried.append(min(max(1, 2 * tried[-1]), limit))
    if drop(first(tried[-1])) > most:
        return min(map(first, tried), key=lambda kept: (drop(kept), len(kept)))
    low, high = (tried[-2] if len(tried) > 1 else -1), tried[-1]  # one does not fit, the other does
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if drop(first(middle)) <= most else (middle, high)
    kept = first(high)
    for name in reversed(names[: max(high - 1, 0)]):  # the last one was needed: without it the drop was too large
        if drop(kept - {name}) <= most:
            kept -= {name}
    return kept


def _verified(trials: Trials, chosen: Scheme, split: Split) -> dict[str, Any]:
    """What the choice loses on rows that did not choose, and what everything quantized loses there."""
    held, reference = trials.held_out, trials.reference_predictions
    predicted = trials.predicted(chosen)
    everything = predicted if len(chosen) == len(trials.scheme) else trials.predicted(trials.scheme)
    interval = held.drop_interval(predicted, reference)
    return {
        "rows": len(held),
        "rows_from": held.where,
        "content": split.identity.get("content"),
        "batch": held_out.BATCH,
        "fp32": _finite(held.score(reference)),
        "score": _finite(held.score(predicted)),
        "drop": _finite(held.drop(predicted, reference)),
        "interval": None if interval is None else list(interval),
        "everything_quantized": _finite(held.drop(everything, reference)),
    }


def _cost(graph: Path, scheme: Scheme, chosen: Scheme, rows: HeldOut) -> dict[str, Any]:
    """Bytes and time of the choice beside everything quantized and beside fp32: one batch of usual length, one thread."""
    with temporary_folder() as folder:
        files = {"fp32": graph, "everything_quantized": folder / "everything.onnx", "chosen": folder / "chosen.onnx"}
        write_scheme(graph, files["everything_quantized"], scheme)
        write_scheme(graph, files["chosen"], chosen)
        order = rows.rows.lengths().argsort(kind="stable")
        middle = max(0, len(order) // 2 - held_out.BATCH // 2)
        batch = rows.rows.batch(order[middle : middle + held_out.BATCH])
        sessions = {name: held_out.opened(path, threads=1) for name, path in files.items()}
        seconds: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(CALLS):
            for name, session in sessions.items():
                began = time.perf_counter()
                session.predict(batch)
                seconds[name].append(time.perf_counter() - began)
        size = {name: path.stat().st_size for name, path in files.items()}
    median = {name: statistics.median(one) for name, one in seconds.items()}
    return {
        "bytes": size,
        "seconds": median,
        "timed": {
            "batch": len(batch["input_ids"]),
            "tokens": batch["input_ids"].shape[1],
            "threads": 1,
            "calls": CALLS,
        },
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
