"""What the teacher brought: students that learned from it beside students that learned the labels alone, judged over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.metrics import statistics
from compress.metrics.metric import IN_POINTS, Metric, Undefined, title
from compress.tasks import scoring
from compress.tasks.task import Task

RESAMPLES = 1000
"""For metrics of the whole set, computed anew for every run on every resample: seconds for 10,000 rows and five seeds."""


@dataclass(frozen=True)
class Run:
    """One trained student's answers."""

    taught: bool
    """Whether it had its teacher; if not, it was trained on the labels alone ("plain")."""
    seed: int
    predictions: Sequence[float]
    """A class id or a score for each row, [rows]."""


def effect(task: Task, references: Sequence[float], runs: Sequence[Run]) -> dict[str, Any]:
    """Judge the same student trained with and without its teacher, on the same rows, steps and seeds.

    The rows are paired: a hard row is hard on both sides. Where the deciding metric is a mean over rows, each row's
    score is averaged over the seeds of a side; the interval is the paired bootstrap over rows of the difference of
    these averages, and p comes from flipping the signs of the rows' differences (`statistics.sign_flip`; with right and
    wrong answers all signs are counted, which for one seed is McNemar's exact test). Where the metric is one of the
    whole set (F1, Matthews, correlations), rows are drawn with replacement, the metric of every run is computed on them
    and averaged over each side's seeds; p is the one that belongs to that interval (`statistics.bootstrap_test`).

    What that covers: other rows like these, for the students that were trained. Another seed is covered only as far as
    the seeds that ran average its luck out; for that, `seeds_interval` is Student's interval of the differences by seed
    (taught minus plain of one seed), wide with few seeds as it should be.

    Args:
        task: what the students learned; its first metric decides.
        references: the labels of the evaluation split, [rows].
        runs: each seed once with and once without the teacher, in any order.

    Returns:
        Plain JSON values; a key is missing where there is nothing to tell.

        - `text`: what was seen, in a sentence.
        - `metric`, `unit` (fraction or coefficient), `higher_is_better`: of the deciding metric. `rows`: how many.
        - `seeds`: in order; every list below has one entry for each of them.
        - `metrics`: by name, the deciding one first: `taught` and `plain`, each with `values` (None where undefined),
          `mean`, `standard_deviation` (n - 1; missing with one seed), or `absent`, the reason why they have no mean.
        - `difference`: of the means, taught minus plain, as a share (0.01 is a point); `differences`: seed by seed.
        - `interval`: the 95 % interval of `difference` over rows; `seeds_interval`: over seeds, from two seeds on.
        - `p_value`, `test` (its name), `word` (`better`, `worse` or `no difference shown`: what the taught students are).
        - `smallest`: the smallest difference that could have been shown.
        - `resamples` (of the interval), `flips` (draws of signs; missing where all were counted), `resampling_seed`.
        - `only_taught_right`, `only_plain_right`: rows by seed that only one of the two got right (classifications), and
          `mcnemar_p_values`: McNemar's exact p for each seed alone.
        - `absent`: why there is no word, where there is none.

    Raises:
        ValueError: the two sides have not the same seeds, a seed comes twice, or predictions are not one for each row.
    """
    right = np.asarray(references, dtype=np.float64)
    seeds, taught, plain = _sides(runs, right.size)
    metrics = [
        one for one in scoring.metrics(task) if one.split == "evaluation" and not _stands_beside_its_parts(one, task)
    ]
    found: dict[str, Any] = {
        "metric": task.metric,
        "unit": metrics[0].unit,
        "higher_is_better": metrics[0].higher_is_better,
        "rows": right.size,
        "seeds": list(seeds),
        "metrics": {
            one.name: {name: of_side(_score(one, right), runs) for name, runs in (("taught", taught), ("plain", plain))}
            for one in metrics
        },
    }
    if task.law.chooses:
        found |= _discordant(taught == right, plain == right)
    found |= _judged(metrics[0], found["metrics"][task.metric], taught, plain, right)
    return {"text": sentence(found), **found}


def _sides(runs: Sequence[Run], rows: int) -> tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.float64]]:
    """The seeds in order, and the predictions of either side, [seeds, rows]."""
    by_side: dict[bool, dict[int, NDArray[np.float64]]] = {True: {}, False: {}}
    for run in runs:
        side = "taught" if run.taught else "plain"
        predicted = np.asarray(run.predictions, dtype=np.float64)
        if predicted.shape != (rows,) or rows == 0:
            raise ValueError(f"the {side} run of seed {run.seed} has {predicted.size} predictions for {rows} labels")
        if run.seed in by_side[run.taught]:
            raise ValueError(f"seed {run.seed} comes twice among the {side} runs")
        by_side[run.taught][run.seed] = predicted
    taught, plain = by_side[True], by_side[False]
    if taught.keys() != plain.keys() or not taught:
        raise ValueError(f"both sides need the same seeds: {sorted(taught)} taught, {sorted(plain)} plain")
    seeds = tuple(sorted(taught))
    return seeds, np.stack([taught[seed] for seed in seeds]), np.stack([plain[seed] for seed in seeds])


def _stands_beside_its_parts(metric: Metric, task: Task) -> bool:
    """Whether it is the mean of metrics that are judged as well."""
    return bool(metric.mean_of) and set(metric.mean_of) <= set(task.metrics)


def _score(metric: Metric, references: NDArray[np.float64]) -> Callable[[Any], float]:
    return lambda predicted: metric.score(predicted, references)


def of_side(score: Callable[[Any], float], runs: Iterable[Any]) -> dict[str, Any]:
    """The metric of each run of one side, their mean and their spread."""
    values: list[float | None] = []
    reasons = []
    for run in runs:
        try:
            values.append(score(run))
        except Undefined as error:
            values.append(None)
            reasons.append(str(error))
    if reasons:
        return {"values": values, "absent": reasons[0]}
    told: dict[str, Any] = {"values": values, "mean": float(np.mean(np.array(values)))}
    if len(values) > 1:
        told["standard_deviation"] = float(np.std(np.array(values), ddof=1))
    return told


def _discordant(taught: NDArray[np.bool_], plain: NDArray[np.bool_]) -> dict[str, Any]:
    """How many rows only one of the two has right, seed by seed."""
    only_taught = [int(count) for count in np.sum(taught & ~plain, axis=1)]
    only_plain = [int(count) for count in np.sum(plain & ~taught, axis=1)]
    p_values = [statistics.mcnemar(a, b) for a, b in zip(only_taught, only_plain, strict=True)]
    return {"only_taught_right": only_taught, "only_plain_right": only_plain, "mcnemar_p_values": p_values}


def _judged(
    metric: Metric,
    values: Mapping[str, Any],
    taught: NDArray[np.float64],
    plain: NDArray[np.float64],
    references: NDArray[np.float64],
) -> dict[str, Any]:
    """The difference in the deciding metric, and whether it is shown."""
    for side in ("taught", "plain"):
        if "absent" in values[side]:
            return {"absent": f"{metric.name} of a {side} student is undefined: {values[side]['absent']}"}
    differences = [a - b for a, b in zip(values["taught"]["values"], values["plain"]["values"], strict=True)]
    told: dict[str, Any] = {
        "difference": values["taught"]["mean"] - values["plain"]["mean"],
        "differences": differences,
        "resampling_seed": statistics.SEED,
    }
    over_seeds = statistics.mean_interval(differences)
    if over_seeds:
        told["seeds_interval"] = list(over_seeds)
    test = _by_rows if metric.is_mean else _of_the_whole
    return told | test(metric, taught, plain, references)


def _by_rows(
    metric: Metric, taught: NDArray[np.float64], plain: NDArray[np.float64], references: NDArray[np.float64]
) -> dict[str, Any]:
    """A metric that is a mean over rows: each row's difference, averaged over the seeds, is one observation."""
    a, b = (np.stack([metric.statistics(one, references)[:, 0] for one in side]) for side in (taught, plain))
    seeds, rows = a.shape
    # Summed, not averaged: of right and wrong answers these are whole numbers, whose signs can all be counted.
    sums = a.sum(axis=0) - b.sum(axis=0)
    low, high = statistics.bootstrap(lambda drawn: float(sums[drawn].mean()), rows)
    flipped = statistics.sign_flip(sums)
    exact = seeds == 1 and flipped.flips is None and {0.0, 1.0}.issuperset(np.unique([a, b]))
    over = f", each row's score averaged over {seeds} seeds" if seeds > 1 else ""
    told: dict[str, Any] = {
        "interval": [low / seeds, high / seeds],
        "p_value": flipped.p_value,
        "test": "McNemar exact" if exact else f"sign-flip over rows{', exact' if flipped.flips is None else ''}{over}",
        "word": statistics.word_of_p(float(sums.sum()), flipped.p_value, metric.higher_is_better),
        "resamples": statistics.RESAMPLES,
    }
    if flipped.smallest is not None:
        told["smallest"] = flipped.smallest / seeds
    return told | ({"flips": flipped.flips} if flipped.flips is not None else {})


def _of_the_whole(
    metric: Metric, taught: NDArray[np.float64], plain: NDArray[np.float64], references: NDArray[np.float64]
) -> dict[str, Any]:
    """A metric of the whole set: its mean over each side's seeds on the same resampled rows."""

    def mean_on(side: NDArray[np.float64]) -> Callable[[NDArray[np.int64]], float]:
        each = [metric.scorer(one, references) for one in side]
        return lambda drawn: float(np.mean([score(drawn) for score in each]))

    of_taught, of_plain = mean_on(taught), mean_on(plain)
    interval, p_value = statistics.bootstrap_test(
        lambda drawn: of_taught(drawn) - of_plain(drawn), references.size, resamples=RESAMPLES
    )
    if not np.isfinite(p_value):
        return {"absent": f"{metric.name} is undefined on resamples of these {references.size} rows"}
    return {
        "interval": list(interval),
        "p_value": p_value,
        "test": f"paired bootstrap over rows{f' of the mean over {len(taught)} seeds' if len(taught) > 1 else ''}",
        "word": statistics.word_of_interval(interval, metric.higher_is_better),
        "smallest": (interval[1] - interval[0]) / 2,
        "resamples": RESAMPLES,
    }


def sentence(found: Mapping[str, Any]) -> str:
    """What was seen, plainly: also where the teacher did not help. Shares are told in points, a perplexity as it is."""
    seeds, metric = len(found["seeds"]), found["metric"]
    over = f"Over {seeds} seeds" if seeds > 1 else "With one seed"
    if "difference" not in found:
        return f"{over} the teacher's effect cannot be told: {found['absent'].rstrip('.')}."
    scale, of = (100, "points of") if found["unit"] in IN_POINTS else (1, "of")
    taught, plain = (found["metrics"][metric][side]["mean"] for side in ("taught", "plain"))
    seen = (
        f"{over} the teacher brought {_signed(found['difference'] * scale)} {of} {title(metric)} "
        f"({taught * scale:.2f} against {plain * scale:.2f}"
    )
    if "word" not in found:
        return f"{seen}); not tested: {found['absent'].rstrip('.')}."
    low, high = (one * scale for one in found["interval"])
    p_value = "p < 0.001" if found["p_value"] < 0.001 else f"p = {found['p_value']:.2g}"
    said = [f"{seen}; {_signed(low)} to {_signed(high)}, {p_value}): {found['word']}"]
    if found["word"] == statistics.NOT_SHOWN:
        said[0] += ", so this does not show that distillation helps"
        if "smallest" in found:
            unit = " points" if scale == 100 else ""
            said.append(f"{found['rows']:,} rows could show {found['smallest'] * scale:.2f}{unit}")
    elif found["word"] == statistics.WORSE:
        said[0] += ", so here distillation does harm"
    said += _luck_of_seeds(found, scale)
    return "; ".join(said) + "."


def _luck_of_seeds(found: Mapping[str, Any], scale: float) -> list[str]:
    """Where rows show a difference that the seeds, few as they are, do not."""
    if found["word"] == statistics.NOT_SHOWN:
        return []
    if "seeds_interval" not in found:
        return ["one seed does not tell what another would bring"]
    low, high = (one * scale for one in found["seeds_interval"])
    if low > 0 or high < 0:
        return []
    return [
        f"another seed may differ ({_signed(low)} to {_signed(high)} by the spread over {len(found['seeds'])} seeds)"
    ]


def _signed(value: float) -> str:
    """A difference, as it is told, with a true minus sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
