"""The distillation gain: distilled students compared with baseline students, trained on labels only, over several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.metrics import metric_intervals, resampling, statistics, verdicts
from compress.metrics.intervals import LEVEL, Interval, mean_interval
from compress.metrics.metric import IN_POINTS, Metric, Undefined, are_numbers, title
from compress.metrics.paired_proportions import mcnemar
from compress.metrics.sign_flip import sign_flip
from compress.tasks import scoring
from compress.tasks.task import Task

NOT_SHOWN = "no difference shown"
SIDES = {True: "taught", False: "plain"}
"""What manifests call the distilled and the baseline students."""
IN_WORDS = {"taught": "distilled", "plain": "baseline"}


@dataclass(frozen=True)
class Run:
    """A trained student's outputs for the evaluation split."""

    distilled: bool
    """Whether it had its teacher; if not, it is a baseline student, trained on the labels alone."""
    seed: int
    outputs: Sequence[Any]
    """One an example, as metrics take them: class ids, numbers, tags, texts, log-likelihoods."""


def metrics_of(task: Task) -> list[Metric]:
    """The metrics that compare a task's students, the main one first; without means of other metrics."""
    found = [one for one in scoring.metrics(task) if one.split == "evaluation"]
    return [one for one in found if not (one.mean_of and set(one.mean_of) <= set(task.metrics))]


def effect(
    metrics: Sequence[Metric], references: Sequence[Any], runs: Sequence[Run], *, right_or_wrong: bool = False
) -> dict[str, Any]:
    """Judge the same student trained with and without its teacher, on the same examples, steps and seeds.

    The examples are paired: a hard one is hard on both sides. Where the deciding metric is the share of right answers, each
    row's score is averaged over the seeds of a side; the interval is Tango's for one seed, and the paired jackknife's over rows
    for several. For any other metric the metric of every run is averaged over each side's seeds, and the interval is the
    paired jackknife's, or for the classes of one seed the posterior of their counts (`compress.metrics.metric_intervals`). The
    word is read from the interval: better or worse where it leaves zero out.

    What that covers: other examples like these, for the students that were trained. Another seed is covered only as far as
    the seeds that ran average its luck out; for that, `seeds_interval` is Student's interval of the differences by seed
    (distilled minus baseline of one seed), wide with few seeds as it should be.

    Args:
        metrics: the first one decides.
        references: of the evaluation split, one an example, as metrics take them.
        runs: each seed once with and once without the teacher, in any order.
        right_or_wrong: whether an output is one choice, which is right where it equals the reference.

    Returns:
        Plain JSON values; a key is missing where there is nothing to tell.

        - `text`: what was seen, in a sentence.
        - `metric`, `unit`, `higher_is_better`: of the deciding metric. `rows`: how many examples.
        - `seeds`: in order; every list below has one entry for each of them.
        - `metrics`: by name, the deciding one first: `taught` (distilled) and `plain` (baseline), each with `values` (None
          where undefined), `mean`, `standard_deviation` (n - 1; missing with one seed), or `absent`, the reason why they
          have no mean.
        - `difference`: of the means, distilled minus baseline, as a share (0.01 is a point); `differences`: seed by seed.
        - `interval`: the 95 % interval of `difference` over examples; `seeds_interval`: over seeds, from two seeds on.
        - `test` (the interval's method), `word` (`better`, `worse` or `no difference shown`: what the distilled students are).
        - `smallest`: the smallest difference that would be shown with 80 % power.
        - `p_value`, `flips`: of answers right or wrong, by flipping the signs of the rows' differences
          (`compress.metrics.sign_flip`): a note. `flips` are the draws of signs; missing where all were counted.
        - `only_taught_right`, `only_plain_right`: rows by seed that only one of the two got right, and `mcnemar_p_values`:
          McNemar's exact p for each seed alone; only where answers are right or wrong.
        - `absent`: why there is no word, where there is none.

    Raises:
        ValueError: the two sides have not the same seeds, a seed comes twice, or outputs are not one for each reference.
    """
    seeds, sides = _sides(runs, len(references))
    found: dict[str, Any] = {
        "metric": metrics[0].name,
        "unit": metrics[0].unit,
        "higher_is_better": metrics[0].higher_is_better,
        "rows": len(references),
        "seeds": list(seeds),
        "metrics": {
            one.name: {side: _scores(one, outputs, references) for side, outputs in sides.items()} for one in metrics
        },
    }
    if right_or_wrong:
        right = [np.array([np.equal(one, references) for one in sides[side]]) for side in ("taught", "plain")]
        found |= _discordant(*right)
    found |= _evaluated(metrics[0], found["metrics"][metrics[0].name], sides, references, by_row=right_or_wrong)
    return {"text": sentence(found), **found}


def _sides(runs: Sequence[Run], examples: int) -> tuple[tuple[int, ...], dict[str, list[Any]]]:
    """The seeds in order, and the outputs of each seed by side."""
    found: dict[str, dict[int, Any]] = {side: {} for side in SIDES.values()}
    for run in runs:
        of_side = found[SIDES[run.distilled]]
        which = f"{IN_WORDS[SIDES[run.distilled]]} run"
        if len(run.outputs) != examples or examples == 0:
            raise ValueError(f"the {which} of seed {run.seed} has {len(run.outputs)} outputs for {examples} references")
        if run.seed in of_side:
            raise ValueError(f"seed {run.seed} comes twice among the {which}s")
        of_side[run.seed] = run.outputs
    with_teacher, without = found.values()
    if with_teacher.keys() != without.keys() or not with_teacher:
        raise ValueError(
            f"both sides need the same seeds: {sorted(with_teacher)} distilled, {sorted(without)} baseline"
        )
    seeds = tuple(sorted(with_teacher))
    return seeds, {side: [outputs[seed] for seed in seeds] for side, outputs in found.items()}


def _scores(metric: Metric, outputs: Sequence[Any], references: Sequence[Any]) -> dict[str, Any]:
    """The metric of each run of one side, their mean and their spread."""
    values: list[float | None] = []
    reasons = []
    for one in outputs:
        try:
            values.append(metric.score(one, references))
        except Undefined as error:
            values.append(None)
            reasons.append(str(error))
    if reasons:
        return {"values": values, "absent": reasons[0]}
    told: dict[str, Any] = {"values": values, "mean": float(np.mean(np.array(values)))}
    if len(values) > 1:
        told["standard_deviation"] = float(np.std(np.array(values), ddof=1))
    return told


def _discordant(distilled: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> dict[str, Any]:
    """The number of rows that only one of the two predicts correctly, by seed; both [seeds, rows]."""
    only_distilled = [int(count) for count in np.sum(distilled & ~baseline, axis=1)]
    only_baseline = [int(count) for count in np.sum(baseline & ~distilled, axis=1)]
    p_values = [mcnemar(a, b) for a, b in zip(only_distilled, only_baseline, strict=True)]
    return {"only_taught_right": only_distilled, "only_plain_right": only_baseline, "mcnemar_p_values": p_values}


def _evaluated(
    metric: Metric,
    values: Mapping[str, Any],
    sides: Mapping[str, list[Any]],
    references: Sequence[Any],
    *,
    by_row: bool,
) -> dict[str, Any]:
    """The difference in the deciding metric, and whether it is shown."""
    for side in sides:
        if "absent" in values[side]:
            return {"absent": f"{metric.name} of a {IN_WORDS[side]} student is undefined: {values[side]['absent']}"}
    differences = [a - b for a, b in zip(values["taught"]["values"], values["plain"]["values"], strict=True)]
    told: dict[str, Any] = {
        "difference": values["taught"]["mean"] - values["plain"]["mean"],
        "differences": differences,
    }
    over_seeds = mean_interval(differences)
    if over_seeds:
        told["seeds_interval"] = list(over_seeds)
    test = _by_rows if by_row and metric.is_mean else _by_sums
    return told | test(metric, sides, references)


def _by_rows(metric: Metric, sides: Mapping[str, list[Any]], references: Sequence[Any]) -> dict[str, Any]:
    """A metric that is a mean over rows: each row's difference, averaged over the seeds, is one observation."""
    a, b = (np.stack([metric.statistics(one, references)[:, 0] for one in sides[side]]) for side in ("taught", "plain"))
    seeds = len(a)
    compared = statistics.compare(a.mean(axis=0).tolist(), b.mean(axis=0).tolist())
    # Summed, not averaged: of right and wrong answers these are whole numbers, whose signs can all be counted.
    flipped = sign_flip(a.sum(axis=0) - b.sum(axis=0))
    told = _told(compared.interval, f"{compared.test}{_over(seeds)}", metric)
    told["p_value"] = flipped.p_value
    return told | ({"flips": flipped.flips} if flipped.flips is not None else {})


def _by_sums(metric: Metric, sides: Mapping[str, list[Any]], references: Sequence[Any]) -> dict[str, Any]:
    """Any other metric: its mean over each side's seeds, on the same examples."""
    seeds = len(sides["taught"])
    if seeds == 1 and are_numbers(references):
        one = metric_intervals.of_difference(metric, sides["taught"][0], sides["plain"][0], references)
        interval, test = one.interval, one.test
    elif metric.on_rows is None and not are_numbers(references):
        taught, plain = (
            np.hstack([metric.statistics(one, references) for one in sides[side]]) for side in ("taught", "plain")
        )
        interval = resampling.of_difference(
            lambda sums: float(np.mean([metric.of_sums(one) for one in sums.reshape(seeds, -1)])), taught, plain
        )
        test = statistics.JACKKNIFE
    else:
        each = {side: [metric.scorer(one, references) for one in sides[side]] for side in sides}

        def difference(rows: NDArray[np.int64]) -> float:
            taught, plain = (float(np.mean([score(rows) for score in each[side]])) for side in ("taught", "plain"))
            return taught - plain

        interval, test = resampling.of_scorer(difference, len(references)), statistics.JACKKNIFE
    if not np.isfinite(interval).all():
        return {"absent": f"{metric.name} is undefined without some of these {len(references)} rows"}
    return _told(interval, f"{test}{_over(seeds)}", metric)


def _over(seeds: int) -> str:
    return f" of the mean over {seeds} seeds" if seeds > 1 else ""


def _told(interval: Interval, test: str, metric: Metric) -> dict[str, Any]:
    """The interval, and the word that is read from it: which side it leaves zero on."""
    low, high = interval if metric.higher_is_better else (-interval[1], -interval[0])
    return {
        "interval": list(interval),
        "test": test,
        "word": verdicts.BETTER if low > 0 else verdicts.WORSE if high < 0 else NOT_SHOWN,
        "smallest": verdicts.detectable(low, high, LEVEL),
    }


def sentence(found: Mapping[str, Any]) -> str:
    """What was seen, plainly: also where the teacher did not help. Shares are given in points, a perplexity as it is."""
    seeds, metric = len(found["seeds"]), found["metric"]
    over = f"Over {seeds} seeds" if seeds > 1 else "With one seed"
    if "difference" not in found:
        return f"{over} the distillation gain is unknown: {found['absent'].rstrip('.')}."
    scale, of = (100, "points of") if found["unit"] in IN_POINTS else (1, "of")
    distilled, baseline = (found["metrics"][metric][side]["mean"] for side in ("taught", "plain"))
    seen = (
        f"{over} the teacher brought {_signed(found['difference'] * scale)} {of} {title(metric)} "
        f"({distilled * scale:.2f} against {baseline * scale:.2f}"
    )
    if "word" not in found:
        return f"{seen}); not tested: {found['absent'].rstrip('.')}."
    low, high = (one * scale for one in found["interval"])
    said = [f"{seen}; {_signed(low)} to {_signed(high)}): {found['word']}"]
    if found["word"] == NOT_SHOWN:
        said[0] += ", so this does not show that distillation helps"
        if "smallest" in found:
            unit = " points" if scale == 100 else ""
            said.append(f"with 80 % power {found['rows']:,} rows would show {found['smallest'] * scale:.2f}{unit}")
    elif found["word"] == verdicts.WORSE:
        said[0] += ", so here distillation does harm"
    said += _luck_of_seeds(found, scale)
    return "; ".join(said) + "."


def _luck_of_seeds(found: Mapping[str, Any], scale: float) -> list[str]:
    """A note for a difference that is significant over rows but not over the few seeds."""
    if found["word"] == NOT_SHOWN:
        return []
    if "seeds_interval" not in found:
        return ["the result of one seed says nothing about other seeds"]
    low, high = (one * scale for one in found["seeds_interval"])
    if low > 0 or high < 0:
        return []
    return [
        f"another seed may differ ({_signed(low)} to {_signed(high)} by the spread over {len(found['seeds'])} seeds)"
    ]


def _signed(value: float) -> str:
    """A difference for display, with a true minus sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
