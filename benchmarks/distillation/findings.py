"""What the finished jobs of the study show: each contrast with an interval over rows and seeds, and the page of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from plan import Choice, Contrast, Entry, best
from reading import scores

from compress.metrics import statistics, verdicts
from compress.metrics.crossed import with_seeds

MARGIN = 0.005
"""A loss of half a point, or of half a hundredth of a nat, is accepted where a word says `not worse`."""
POINTS = {"accuracy": "points", "rouge_l": "points of ROUGE-L"}
"""The metrics that are shown in points of 100."""

Results = Mapping[int, Mapping[str, Any]]
"""An arm's finished jobs by seed."""


def rows_of(results: Results, splits: Sequence[str]) -> np.ndarray:
    """The scores of each seed's model on the pooled rows of some splits, [seeds, rows]."""
    return np.stack([np.concatenate([scores(one["splits"][split]) for split in splits]) for one in results.values()])


def compare(
    first: Results, second: Results, splits: Sequence[str], *, with_one_model: bool = False
) -> dict[str, Any] | None:
    """One arm beside another, on the seeds that both finished; None where there is no such seed.

    Args:
        with_one_model: the second arm is a single model, such as a given teacher: it is beside every seed of the first one.

    Returns:
        `seeds`, `rows`, `metric`; `difference`, the gain of the first (above 0 where it is better, whichever way the metric
        points), its 95 % `interval` over rows and seeds (over rows alone with one seed), and the `word` that is read from it.
    """
    seeds = sorted(first if with_one_model else set(first) & set(second))
    if not seeds or not second:
        return None
    mine = rows_of({seed: first[seed] for seed in seeds}, splits)
    others = rows_of(second if with_one_model else {seed: second[seed] for seed in seeds}, splits)
    read = next(iter(second.values()))["splits"][splits[0]]
    if not read["higher_is_better"]:
        mine, others = -mine, -others
    found = statistics.compare(mine.mean(axis=0).tolist(), others.mean(axis=0).tolist())
    sides = [side for side in (mine, others) if len(side) > 1]
    low, high = with_seeds(found.difference, found.interval, sides) if sides else found.interval
    return {
        "seeds": seeds,
        "rows": mine.shape[1],
        "metric": read["metric"],
        "difference": found.difference,
        "interval": [low, high],
        "word": verdicts.word(low, high, MARGIN, of_seeds=True),
    }


def contrasts(asked: Sequence[Contrast], arms: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """All contrasts of which both arms have results, with what a model of each arm cost.

    Args:
        arms: by name, each with the splits that it is `judged_on`, its finished jobs `by_seed`, and the seeds that it is
            to have in all (`seeds`).
    """
    for one in asked:
        mine, others = arms[one.arm]["by_seed"], arms[one.against]["by_seed"]
        is_one = len(arms[one.against]["seeds"]) == 1
        found = compare(mine, others, arms[one.arm]["judged_on"], with_one_model=is_one)
        if found:
            minutes = [fmean(each["processor_seconds"] for each in side.values()) / 60 for side in (mine, others)]
            yield {"situation": one.situation, "arm": one.arm, "against": one.against, **found, "minutes": minutes}


def decided(choice: Choice, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a choice tried, and what it took.

    Args:
        results: the trials' by their labels, all of them.
    """
    read = {label: one["splits"][choice.split] for label, one in results.items()}
    return {
        "asks": choice.asks,
        "split": choice.split,
        "metric": next(iter(read.values()))["metric"],
        "rows": next(iter(read.values()))["rows"],
        "values": {label: one["value"] for label, one in read.items()},
        "chosen": best(choice, read),
    }


def markdown(told: Mapping[str, Any]) -> str:
    """The page: what the contrasts show, the arms, the choices, and what is missing."""
    machine = told["machine"]
    state = "**Unfinished:** what is left is listed below. " if told["missing"] else ""
    lines = [
        "# What distillation brings, and where",
        "",
        f"{state}Made by `{told['command']}` on {machine['cpu']}, {machine['cores']} cores, one thread a job, bf16 where the "
        f"processor has it, in {told['processor_minutes']:.0f} processor minutes. The protocol is in "
        "`benchmarks/distillation/study.py`.",
        "",
        "A gain above 0 is in favour of the first arm. The interval (95 %) is over rows and seeds. Not worse: by less than "
        f"{100 * MARGIN:g} points. Minutes are those of a processor, for one model of either arm.",
        "",
        *_contrasts(told["contrasts"]),
        "",
        "## Arms",
        "",
        *_arms(told["arms"]),
        "",
        "## Choices",
        "",
        "One seed each, on rows that decide nothing else; of equals the first.",
        "",
        *_choices(told["choices"]),
        *_missing(told["missing"]),
    ]
    return "\n".join(lines) + "\n"


def _contrasts(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| situation | arm, against | gain | interval | word | seeds | rows | minutes |"
    yield "|---|---|--:|---|---|---|--:|---|"
    for one in found:
        gain, interval = in_units(one)
        minutes = " / ".join(f"{value:.1f}" for value in one["minutes"])
        yield (
            f"| {one['situation']} | {one['arm']}, {one['against']} | {gain} | {interval} | {one['word']} "
            f"| {len(one['seeds'])} | {one['rows']:,} | {minutes} |"
        )


def in_units(contrast: Mapping[str, Any]) -> tuple[str, str]:
    """A contrast's gain with its unit, and its interval: `+2.00 points`, `−0.10 to +4.10`."""
    metric = contrast["metric"]
    scale, unit, digits = (100, POINTS[metric], 2) if metric in POINTS else (1, metric, 3)
    gain, low, high = (_signed(scale * value, digits) for value in (contrast["difference"], *contrast["interval"]))
    return f"{gain} {unit}", f"{low} to {high}"


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def _arms(arms: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| arm | what | by seed, on the rows of the contrasts | mean | held out | minutes | commit |"
    yield "|---|---|---|--:|--:|--:|---|"
    for name, arm in arms.items():
        by_seed, judged = arm["by_seed"], arm["judged_on"]
        if not by_seed:
            continue
        values = [_mean([one["splits"][split] for split in judged]) for one in by_seed.values()]
        held_out = [one["splits"]["holdout"]["value"] for one in by_seed.values() if "holdout" in one["splits"]]
        minutes = fmean(one["processor_seconds"] for one in by_seed.values()) / 60
        commits = ", ".join(sorted({one["commit"][:7] for one in by_seed.values()}))
        yield (
            f"| {name} | {arm['summary']} | {', '.join(f'{value:.4f}' for value in values)} | {fmean(values):.4f} "
            f"| {f'{fmean(held_out):.4f}' if held_out else ''} | {minutes:.1f} | {commits} |"
        )


def _mean(reads: Sequence[Mapping[str, Any]]) -> float:
    return float(np.concatenate([scores(dict(one)) for one in reads]).mean())


def _choices(choices: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| choice | asks | rows that choose | tried | chosen |"
    yield "|---|---|---|---|---|"
    for name, one in choices.items():
        tried = ", ".join(f"{label} {value:.4f}" for label, value in one["values"].items())
        yield f"| {name} | {one['asks']} | {one['rows']:,} of {one['split']} | {tried} | {one['chosen']} |"


def _missing(missing: Sequence[str]) -> Iterator[str]:
    if missing:
        yield from ("", "## Not run yet", "", *(f"- {one}" for one in missing))


def listed(queue: Sequence[Entry]) -> str:
    """The plan as a table: what runs, in the order of its worth, and what it costs."""
    lines, total = ["| what | jobs | minutes | together |", "|---|--:|--:|--:|"], 0.0
    for entry in queue:
        total += entry.minutes
        what = entry.choice.asks if entry.choice else "; ".join(arm.summary for arm in entry.arms)
        jobs = len(entry.choice.candidates) if entry.choice else sum(len(arm.seeds) for arm in entry.arms)
        lines.append(f"| {entry.question}: {what} | {jobs} | {entry.minutes:.0f} | {total:.0f} |")
    return "\n".join(lines) + "\n"
