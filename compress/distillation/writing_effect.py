"""What the teacher brought to a student that writes text: statistics of what both write, paired example by example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.distillation.ablation import of_side, sentence
from compress.metrics import statistics
from compress.metrics.metric import Metric, Statistics

RESAMPLES = statistics.RESAMPLES


@dataclass(frozen=True)
class Written:
    """What one trained student wrote of the evaluation split, or how likely it found the text."""

    taught: bool
    """Whether it had its teacher; if not, it was trained on the references alone ("plain")."""
    seed: int
    statistics: Mapping[str, Statistics]
    """By the metric's name, [examples, columns]."""


def effect(metrics: Sequence[Metric], runs: Sequence[Written]) -> dict[str, Any]:
    """Judge the same student trained with and without its teacher, on the same examples, steps and seeds.

    Examples are drawn with replacement, the same for every run; on them each side's score is the mean over its seeds of the
    score of the summed statistics, and the interval is that of the two sides' difference (the paired bootstrap, Koehn 2004).

    Args:
        metrics: the first one decides.
        runs: each seed once with and once without the teacher, in any order.

    Returns:
        As `compress.distillation.ablation.effect`, of which only what belongs to classes is missing.

    Raises:
        ValueError: the two sides have not the same seeds, a seed comes twice, or examples differ in number.
    """
    deciding = metrics[0]
    seeds, taught, plain = _sides(runs)
    first = taught[0].statistics[deciding.name]
    found: dict[str, Any] = {
        "metric": deciding.name,
        "unit": deciding.unit,
        "higher_is_better": deciding.higher_is_better,
        "rows": len(first),
        "seeds": list(seeds),
        "metrics": {
            one.name: {name: of_side(_score(one), of_one) for name, of_one in (("taught", taught), ("plain", plain))}
            for one in metrics
        },
    }
    found |= _judged(deciding, found["metrics"][deciding.name], taught, plain)
    return {"text": sentence(found), **found}


def _sides(runs: Sequence[Written]) -> tuple[tuple[int, ...], list[Written], list[Written]]:
    by_side: dict[bool, dict[int, Written]] = {True: {}, False: {}}
    for run in runs:
        if run.seed in by_side[run.taught]:
            raise ValueError(f"seed {run.seed} comes twice on one side")
        by_side[run.taught][run.seed] = run
    if by_side[True].keys() != by_side[False].keys() or not runs:
        raise ValueError(f"both sides need the same seeds: {sorted(by_side[True])}, {sorted(by_side[False])}")
    if len({len(one) for run in runs for one in run.statistics.values()}) != 1:
        raise ValueError("the runs have not the same examples")
    seeds = tuple(sorted(by_side[True]))
    return seeds, [by_side[True][seed] for seed in seeds], [by_side[False][seed] for seed in seeds]


def _score(metric: Metric) -> Callable[[Written], float]:
    return lambda run: metric.score_of(run.statistics[metric.name])


def _judged(
    metric: Metric, values: Mapping[str, Any], taught: Sequence[Written], plain: Sequence[Written]
) -> dict[str, Any]:
    """The difference in the deciding metric, and whether it is shown."""
    for side in ("taught", "plain"):
        if "absent" in values[side]:
            return {"absent": f"{metric.name} of a {side} student is undefined: {values[side]['absent']}"}
    differences = [a - b for a, b in zip(values["taught"]["values"], values["plain"]["values"], strict=True)]
    of_taught, of_plain = _mean_on(metric, taught), _mean_on(metric, plain)
    interval, p_value = statistics.bootstrap_test(
        lambda drawn: of_taught(drawn) - of_plain(drawn), len(taught[0].statistics[metric.name]), resamples=RESAMPLES
    )
    told: dict[str, Any] = {
        "difference": values["taught"]["mean"] - values["plain"]["mean"],
        "differences": differences,
        "resampling_seed": statistics.SEED,
    }
    over_seeds = statistics.mean_interval(differences)
    if over_seeds:
        told["seeds_interval"] = list(over_seeds)
    if not np.isfinite(p_value):
        return {**told, "absent": f"{metric.name} is undefined on resamples of these examples"}
    return {
        **told,
        "interval": list(interval),
        "p_value": p_value,
        "test": f"paired bootstrap over rows{f' of the mean over {len(taught)} seeds' if len(taught) > 1 else ''}",
        "word": statistics.word_of_interval(interval, metric.higher_is_better),
        "smallest": (interval[1] - interval[0]) / 2,
        "resamples": RESAMPLES,
    }


def _mean_on(metric: Metric, runs: Sequence[Written]) -> Callable[[NDArray[np.int64]], float]:
    """The mean over runs of their score on the examples drawn."""
    each = [statistics.scorer_of_sums(metric.of_sums, run.statistics[metric.name]) for run in runs]
    return lambda drawn: float(np.mean([score(drawn) for score in each]))
