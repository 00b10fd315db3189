"""What the finished jobs show: the rate each contestant chose, the bars, the paired tests, and the page of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np

from compress.metrics import statistics, verdicts
from compress.metrics.crossed import with_seeds
from compress.metrics.intervals import LEVEL

EVALUATION = ("evaluation", "test")
"""SST-2 dev and the reconstruction of its test split: read once for each final student, pooled for the tests."""
BARS = {3: 757, 2: 735}
"""Right answers of 872 that the mean over the seeds must reach, by layers."""
DRAWS = 20_000
SEED = 20261123

Results = Mapping[int, Mapping[str, Any]]
"""A contestant's finished students of one size, by seed."""


def chosen(tuned: Mapping[float, Mapping[str, Any]]) -> float:
    """The learning rate with the most right answers on the held-out rows; of equals, the one with the smaller loss."""
    return max(tuned, key=lambda rate: (tuned[rate]["right"], -tuned[rate]["loss"]))


def right(results: Results, seeds: Sequence[int]) -> np.ndarray:
    """Whether each seed's student got each sentence of dev, then of test, right, [seeds, sentences]."""
    rows = ["".join(results[seed]["splits"][split]["right_by_sentence"] for split in EVALUATION) for seed in seeds]
    return np.array([[int(one) for one in row] for row in rows], dtype=float)


def pooled(results: Results, seeds: Sequence[int]) -> np.ndarray:
    """For each of these sentences the share of these seeds' students that got it right, [sentences]."""
    return np.asarray(right(results, seeds).mean(axis=0))


def sign_flips(first: np.ndarray, second: np.ndarray, draws: int = DRAWS) -> float:
    """Two-sided p of the paired permutation test on the mean difference.

    Under no difference each sentence's difference is as likely with the other sign (Good, Permutation, Parametric and
    Bootstrap Tests of Hypotheses, 2005, ch. 3). The observed signs count as one of the draws, so p is never 0.

    Args:
        first: a score for each sentence, [sentences].
        second: the other's, in the same order.
    """
    different = (first - second)[first != second]
    generator = np.random.default_rng(SEED)
    signs = generator.choice((-1.0, 1.0), size=(draws, different.size))
    # Scores are thirds: a hair of slack, so that equal sums count as equal.
    as_far = np.abs(signs @ different) >= abs(different.sum()) - 1e-9
    return float((1 + as_far.sum()) / (1 + draws))


def compare(first: Results, second: Results) -> dict[str, Any] | None:
    """One contestant beside another on the seeds that both finished; None where there is no such seed."""
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return None
    mine, others = pooled(first, seeds), pooled(second, seeds)
    found = statistics.compare(mine.tolist(), others.tolist())
    sides = right(first, seeds), right(second, seeds)
    low, high = with_seeds(found.difference, found.interval, sides)
    return {
        "seeds": seeds,
        "sentences": len(mine),
        "difference": found.difference,
        "interval": [low, high],
        "p_value": sign_flips(mine, others),
        "verdict": verdicts.word(low, high, verdicts.MARGIN, of_seeds=True),
        "smallest": verdicts.detectable(low, high, LEVEL),
    }


def judge(finals: Mapping[str, Mapping[int, Results]], seeds: Sequence[int]) -> dict[str, Any]:
    """Bars and tests for contestant -> layers -> seed -> result; a bar is judged when all of its seeds are there."""
    ours = [name for name in finals if name.startswith("ours")]
    bars, tests = [], []
    for name in ours:
        for layers, results in finals[name].items():
            if layers in BARS and set(seeds) <= set(results):
                mean = fmean(results[seed]["splits"]["evaluation"]["right"] for seed in seeds)
                bars.append({"contestant": name, "layers": layers, "mean": mean, "bar": BARS[layers]})
            for other in finals:
                if other == name or (other in ours and other > name):
                    continue
                found = compare(results, finals[other].get(layers, {}))
                if found:
                    tests.append({"contestant": name, "against": other, "layers": layers, **found})
    return {"bars": bars, "tests": tests}


def markdown(results: Mapping[str, Any]) -> str:
    """The page: tables of the students and of the tuning, then what they show, in sentences."""
    machine, protocol = results["machine"], results["protocol"]
    lines = [
        "# Distillation beside plain training and TextBrewer",
        "",
        f"Made by `{results['command']}`, {results['created'][:10]}, on {machine['cpu']}, {machine['cores']} cores. "
        f"SST-2, all {results['training_rows']} training rows, {_epochs(protocol['epochs'])}; the learning rate of each "
        f"contestant was chosen on the {results['holdout_rows']} rows held out of train. Minutes are those of the clock, "
        f"and in brackets those of the processor: {protocol['threads']} thread(s), and others used the machine where the "
        "two differ.",
        "",
        *_students(results),
        "",
        *(_bar(bar) for bar in results["bars"]),
        *(_test(test) for test in results["tests"]),
        *([f"- Not run: {'; '.join(results['missing'])}."] if results["missing"] else []),
        "",
        _cost(results),
        "",
        "## Tuning",
        "",
        *_tuning(results),
    ]
    return "\n".join(lines) + "\n"


def _epochs(number: float) -> str:
    return "1 epoch (planned: 2)" if number == 1 else f"{number:g} epochs"


def _students(results: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "| contestant | layers | learning rate | dev: right of 872 by seed | mean "
        "| test: right of 1,821 by seed | mean | held out: mean | minutes |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, sizes in results["finals"].items():
        for layers, by_seed in sizes.items():
            if not by_seed:
                continue
            dev, test = ([one["splits"][split]["right"] for one in by_seed.values()] for split in EVALUATION)
            minutes = ", ".join(
                f"{one['seconds'] / 60:.1f} ({one['processor_seconds'] / 60:.1f})" for one in by_seed.values()
            )
            rate = results["chosen"][name]
            held_out = fmean(one["splits"]["holdout"]["right"] for one in by_seed.values())
            yield f"| {name} | {layers} | {rate:g} | {_several(dev)} | {_several(test)} | {held_out:.1f} | {minutes} |"


def _cost(results: Mapping[str, Any]) -> str:
    """What the students above cost together. Tuning is left out: its jobs are small, and some shared the machine."""
    students = [one for sizes in results["finals"].values() for by_seed in sizes.values() for one in by_seed.values()]
    processor = sum(one["processor_seconds"] for one in students) / 60
    return (
        f"These {len(students)} students took {processor:.0f} minutes of a processor, the teacher's pass over all rows "
        f"(once for `compress`, once for TextBrewer) among them: about {processor / 2:.0f} minutes of two cores with nothing "
        "else to do, with `--jobs 2 --threads 1`. That last figure is computed, not measured."
    )


def _several(values: Sequence[int]) -> str:
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{', '.join(map(str, values))} | {fmean(values):.1f}{spread}"


def _bar(bar: Mapping[str, Any]) -> str:
    word = "reached" if bar["mean"] >= bar["bar"] else "not reached"
    return (
        f"- {bar['contestant']}, {bar['layers']} layers: {bar['mean']:.1f} of 872 on the mean; {bar['bar']} is {word}."
    )


def _test(test: Mapping[str, Any]) -> str:
    low, high = (100 * limit for limit in test["interval"])
    return (
        f"- {test['contestant']} against {test['against']}, {test['layers']} layers, seeds "
        f"{', '.join(map(str, test['seeds']))}, {test['sentences']} sentences: {100 * test['difference']:+.2f} points "
        f"({low:+.2f} to {high:+.2f} over sentences and seeds; over sentences alone p = {test['p_value']:.3f}): "
        f"**{_verdict(test['verdict'])}**; about "
        f"{100 * test['smallest']:.2f} points would be shown with 80 % power."
    )


def _verdict(word: str) -> str:
    return f"not worse than {100 * verdicts.MARGIN:g} point" if word == verdicts.NOT_WORSE else word


def _tuning(results: Mapping[str, Any]) -> Iterator[str]:
    rates = results["protocol"]["tuned_rates"]
    yield f"| contestant | {' | '.join(f'{rate:g}' for rate in rates)} | chosen |"
    yield "|---|" + "---|" * (len(rates) + 1)
    for name, tuned in results["tuning"].items():
        cells = [f"{tuned[rate]['right']} (loss {tuned[rate]['loss']:.3f})" for rate in rates]
        yield f"| {name} | {' | '.join(cells)} | {results['chosen'][name]:g} |"
    at_the_edge = [name for name, rate in results["chosen"].items() if rate in (min(rates), max(rates))]
    if at_the_edge:
        yield ""
        yield f"A better rate may lie beyond those tried, whose end was chosen: {', '.join(at_the_edge)}."
