"""The distillation gain: distilled students compared with baseline students, trained on labels only, over several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.metrics import metric_intervals, resampling, statistics, verdicts
from compress.metrics.crossed import with_seeds
from compress.metrics.intervals import LEVEL, Interval
from compress.metrics.metric import IN_POINTS, Metric, Undefined, are_numbers, title
from compress.metrics.paired_proportions import mcnemar
from compress.metrics.resampling import Jackknife
from compress.metrics.sign_flip import sign_flip
from compress.tasks import scoring
from compress.tasks.task import Task

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
    metrics: Sequence[Metric],
    references: Sequence[Any],
    runs: Sequence[Run],
    *,
    right_or_wrong: bool = False,
    steps_share: float = 1.0,
    baseline_learning_rate: float | None = None,
) -> dict[str, Any]:
    """Judge the same student trained with and without its teacher, on the same examples, steps and seeds.

    The examples are paired: a hard one is hard on both sides. Where the deciding metric is the share of right answers, each
    row's score is averaged over the seeds of a side; the interval over rows is Tango's for one seed, and the paired jackknife's
    for several. For any other metric the metric of every run is averaged over each side's seeds, and the interval over rows is
    the paired jackknife's, or for the classes of one seed the posterior of their counts (`compress.metrics.metric_intervals`).
    From two seeds on, the spread of the seeds is added to it (`compress.metrics.crossed`).

    The word is read from the interval and a margin of one point (`compress.metrics.verdicts`). With several seeds it is a
    statement on students of any seed. With one seed it is one on these two students: another seed may differ.

    Args:
        metrics: the first one decides.
        references: of the evaluation split, one an example, as metrics take them.
        runs: each seed once with and once without the teacher, in any order.
        right_or_wrong: whether an output is one choice, which is right where it equals the reference.
        steps_share: of the steps of the student that is kept, for which these were trained, both sides alike.
        baseline_learning_rate: of the baseline students, where it was chosen for them.

    Returns:
        Plain JSON values; a key is missing where there is nothing to tell.

        - `text`: what was seen, in a sentence.
        - `metric`, `unit`, `higher_is_better`: of the deciding metric. `rows`: how many examples.
        - `seeds`: in order; every list below has one entry for each of them. `steps_share`: where it is below 1.
          `baseline_learning_rate`: where it was chosen.
        - `metrics`: by name, the deciding one first: `taught` (distilled) and `plain` (baseline), each with `values` (None
          where undefined), `mean`, `standard_deviation` (n - 1; missing with one seed), or `absent`, the reason why they
          have no mean.
        - `difference`: of the means, distilled minus baseline, as a share (0.01 is a point); `differences`: seed by seed.
        - `interval`: the 95 % interval of `difference`, over examples and seeds; with one seed over examples.
        - `rows_interval`: the one over examples alone, from two seeds on: for the students that were trained.
        - `test` (the interval's method), `margin` (the loss that is accepted, in the unit of `difference`), `word` (`better`,
          `not worse`, `worse` or `not enough seeds or examples`: what the distilled students are).
        - `smallest`: the smallest difference that would be shown with 80 % power.
        - `p_value`, `flips`: of answers right or wrong, by flipping the signs of the rows' differences
          (`compress.metrics.sign_flip`): a note on these students. `flips` are the draws of signs; missing where all were
          counted.
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
        **({"steps_share": steps_share} if steps_share < 1 else {}),
        **({} if baseline_learning_rate is None else {"baseline_learning_rate": baseline_learning_rate}),
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
    found = (_by_rows if by_row and metric.is_mean else _by_sums)(metric, sides, references, told["difference"])
    if "interval" in found:
        found |= _judged(metric, found["interval"], values["plain"]["mean"])
    return told | found


def _by_rows(metric: Metric, sides: Mapping[str, list[Any]], references: Sequence[Any], seen: float) -> dict[str, Any]:
    """A metric that is a mean over rows: each row's difference, averaged over the seeds, is one observation."""
    a, b = (np.stack([metric.statistics(one, references)[:, 0] for one in sides[side]]) for side in ("taught", "plain"))
    compared = statistics.compare(a.mean(axis=0).tolist(), b.mean(axis=0).tolist())
    # Summed, not averaged: of right and wrong answers these are whole numbers, whose signs can all be counted.
    flipped = sign_flip(a.sum(axis=0) - b.sum(axis=0))
    told = _told(metric, seen, compared.interval, compared.test, (a, b))
    told["p_value"] = flipped.p_value
    return told | ({"flips": flipped.flips} if flipped.flips is not None else {})


def _by_sums(metric: Metric, sides: Mapping[str, list[Any]], references: Sequence[Any], seen: float) -> dict[str, Any]:
    """Any other metric: its mean over each side's seeds, on the same examples."""
    seeds, examples = len(sides["taught"]), len(references)
    if seeds == 1 and are_numbers(references):
        one = metric_intervals.of_difference(metric, sides["taught"][0], sides["plain"][0], references)
        return _told(metric, seen, one.interval, one.test)
    if metric.on_rows is None and not are_numbers(references):
        rows = {side: [metric.statistics(one, references) for one in sides[side]] for side in sides}
        each = {side: [Jackknife.of_sums(metric.of_sums, one) for one in rows[side]] for side in sides}
        difference = Jackknife.mean(each["taught"]) - Jackknife.mean(each["plain"])
        interval = resampling.of_difference(
            lambda sums: float(np.mean([metric.of_sums(one) for one in sums.reshape(seeds, -1)])),
            *(np.hstack(rows[side]) for side in ("taught", "plain")),
            jackknife=difference,
        )
    else:
        each = {
            side: [Jackknife.of_scorer(metric.scorer(one, references), examples) for one in sides[side]]
            for side in sides
        }
        interval = (Jackknife.mean(each["taught"]) - Jackknife.mean(each["plain"])).interval()
    pseudo_values = [np.stack([one.pseudo_values for one in each[side]]) for side in ("taught", "plain")]
    return _told(metric, seen, interval, statistics.JACKKNIFE, pseudo_values)


def _told(
    metric: Metric, seen: float, over_rows: Interval, test: str, sides: Sequence[NDArray[np.float64]] = ()
) -> dict[str, Any]:
    """The interval, with what the seeds add to it.

    Args:
        seen: the difference.
        over_rows: the interval over rows.
        sides: the scores of either side or their pseudo-values, [seeds, rows]; none where there is one seed.
    """
    if not np.isfinite(over_rows).all():
        return {"absent": f"{metric.name} is undefined without some of these rows"}
    seeds = len(sides[0]) if sides else 1
    if seeds == 1:
        return {"interval": list(over_rows), "test": test}
    return {
        "interval": list(with_seeds(seen, over_rows, sides)),
        "rows_interval": list(over_rows),
        "test": f"{test} of the mean over {seeds} seeds, and the spread of the seeds",
    }


def _judged(metric: Metric, interval: Interval, baseline: float) -> dict[str, Any]:
    """What is read from the interval: the word, and the smallest difference that would be shown."""
    margin = verdicts.MARGIN * (1.0 if metric.unit in IN_POINTS else abs(baseline))
    low, high = interval if metric.higher_is_better else (-interval[1], -interval[0])
    return {
        "margin": margin,
        "word": verdicts.word(low, high, margin, of_seeds=True),
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
        f"{over} the teacher brought {signed(found['difference'] * scale)} {of} {title(metric)} "
        f"({distilled * scale:.2f} against {baseline * scale:.2f}"
    )
    if "word" not in found:
        return f"{seen}); not tested: {found['absent'].rstrip('.')}."
    low, high = (one * scale for one in found["interval"])
    where = "rows and seeds" if seeds > 1 else "rows"
    said = [f"{seen}; {signed(low)} to {signed(high)} over {where}): {_verdict(found, scale)}"]
    if found["word"] == verdicts.WORSE:
        said[0] += ", so here distillation does harm"
    elif found["word"] != verdicts.BETTER:
        said[0] += ", so this does not show that distillation helps"
        unit = " points" if scale == 100 else ""
        had = f"{seeds} seeds and {found['rows']:,} rows" if seeds > 1 else f"{found['rows']:,} rows"
        said.append(f"with 80 % power {had} would show {found['smallest'] * scale:.2f}{unit}")
    if found["word"] == verdicts.NOT_ENOUGH_SEEDS and seeds > 1:
        said.append(f"more {_what_lacks(found)} would settle most")
    if seeds == 1:
        said.append("this is about these two students, and another seed may differ")
    if "steps_share" in found:
        said.append(
            f"these students were trained for {100 * found['steps_share']:.0f} % of the steps of the one that is kept, "
            "both sides alike"
        )
    if "baseline_learning_rate" in found:
        said.append(
            f"the baseline's learning rate, {found['baseline_learning_rate']:g}, was chosen for it on the held-out rows"
        )
    return "; ".join(said) + "."


def _verdict(found: Mapping[str, Any], scale: float) -> str:
    """The word, with its margin: `not worse than 1 point`."""
    if found["word"] != verdicts.NOT_WORSE:
        return str(found["word"])
    margin = f"{found['margin'] * scale:.3g}" + (" point" if scale == 100 else "")
    best = found["interval"][1] if found["higher_is_better"] else -found["interval"][0]
    return f"worse by less than {margin}" if best < 0 else f"not worse than {margin}"


def _what_lacks(found: Mapping[str, Any]) -> str:
    """Whether seeds or rows make the interval as wide as it is."""
    whole, over_rows = (high - low for low, high in (found["interval"], found["rows_interval"]))
    return "seeds" if whole**2 > 2 * over_rows**2 else "evaluation rows"


def signed(value: float) -> str:
    """A difference for display, with a true minus sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
