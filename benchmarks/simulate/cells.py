"""How often an interval holds the true value: one cell of the simulation is a metric, a number of examples and a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import populations
from scipy.stats import binom

from compress.measure import quality
from compress.measure.window_groups import groups
from compress.metrics import calibration, metric_intervals, resampling, statistics, timings
from compress.metrics.intervals import proportion
from compress.metrics.metric import find
from compress.metrics.paired_proportions import score_interval
from compress.metrics.verdicts import BETTER, WORSE, detectable, word

EXAMPLES = (100, 277, 872, 5000)
LEAST, MOST, MANY = 0.93, 0.975, 10
"""Bars of coverage: the least in every cell, and the most where ten or more differing examples are expected."""


@dataclass(frozen=True)
class Cell:
    """One number of the simulation."""

    of: str
    examples: int
    setting: str
    coverage: float
    differing: float
    """Examples that are expected to differ, or to be wrong."""
    repetitions: int | None
    """None where all samples were counted."""

    @property
    def error(self) -> float:
        """The standard error of the coverage."""
        return float(np.sqrt(0.05 * 0.95 / self.repetitions)) if self.repetitions else 0.0

    @property
    def holds(self) -> bool:
        """Whether it keeps its bars, as far as two standard errors tell."""
        low, high = self.coverage - 2 * self.error, self.coverage + 2 * self.error
        return high >= LEAST and (self.differing < MANY or low <= MOST)


@lru_cache(None)
def _score(first: int, second: int, examples: int, level: float) -> tuple[float, float]:
    return score_interval(first, second, examples, level=level)


def single_share(examples: int, share: float) -> Cell:
    """Accuracy or agreement: all samples counted."""
    right = np.arange(examples + 1)
    chance = binom.pmf(right, examples, share)
    ends = {int(one): proportion(int(one), examples) for one in right[chance > 1e-9]}
    held = sum(chance[one] for one, (low, high) in ends.items() if low <= share <= high)
    return Cell("accuracy, agreement", examples, f"{share:.0%}", float(held), examples * (1 - share), None)


def paired_shares(examples: int, agreement: float, gap: float, repetitions: int, seed: int) -> Cell:
    """The difference in accuracy; each sample is the two numbers of discordant examples."""
    apart = 1 - agreement
    drawn = np.random.default_rng(seed).multinomial(
        examples, [(apart - gap) / 2, (apart + gap) / 2, agreement], repetitions
    )
    ends = [_score(int(a), int(b), examples, 0.95) for a, b, _ in drawn]
    held = np.mean([low <= -gap <= high for low, high in ends])
    return Cell("accuracy, difference", examples, _setting(agreement, gap), float(held), examples * apart, repetitions)


def _setting(agreement: float, gap: float) -> str:
    return f"{agreement:.0%} agree, {100 * gap:g} points"


def sampled(
    of: str,
    examples: int,
    setting: str,
    differing: float,
    once: Callable[[Any], tuple[float, float]],
    true: float,
    repetitions: int,
    seed: int,
) -> Cell:
    """Any other interval, computed from each sample."""
    generator = np.random.default_rng(seed)
    ends = [once(generator) for _ in range(repetitions)]
    known = [(low, high) for low, high in ends if np.isfinite(low) and np.isfinite(high)]
    held = np.mean([low - 1e-12 <= true <= high + 1e-12 for low, high in known])
    return Cell(of, examples, setting, float(held), differing, len(known))


def of_classes(name: str, examples: int, agreement: float, gap: float, repetitions: int, seed: int) -> Cell:
    """The difference in F1 or Matthews correlation."""
    metric = find(name)
    first, second, right = populations.classes(np.random.default_rng(1), populations.MANY, agreement, gap)
    true = metric.score(first, right) - metric.score(second, right)

    def once(generator: Any) -> tuple[float, float]:
        return metric_intervals.of_difference(
            metric, *populations.classes(generator, examples, agreement, gap)
        ).interval

    setting = _setting(agreement, gap)
    return sampled(f"{name}, difference", examples, setting, examples * (1 - agreement), once, true, repetitions, seed)


def of_one_model(name: str, examples: int, accuracy: float, repetitions: int, seed: int) -> Cell:
    """F1 or Matthews correlation of one model."""
    metric = find(name)
    _, second, right = populations.classes(np.random.default_rng(1), populations.MANY, 0.9999, 0.0, 0.3, accuracy)
    true = metric.score(second, right)

    def once(generator: Any) -> tuple[float, float]:
        _, second, right = populations.classes(generator, examples, 0.9999, 0.0, 0.3, accuracy)
        return metric_intervals.of_values(metric, second, right)

    return sampled(name, examples, f"accuracy {accuracy:.0%}", examples * (1 - accuracy), once, true, repetitions, seed)


def of_texts(name: str, examples: int, agreement: float, gap: float, repetitions: int, seed: int) -> Cell:
    """The difference in ROUGE-like means or in BLEU."""
    metric = find(name)
    draw = populations.counts if name == "bleu" else populations.scores
    first, second = draw(np.random.default_rng(1), populations.MANY, agreement, gap)
    true = metric.score_of(first) - metric.score_of(second)

    def once(generator: Any) -> tuple[float, float]:
        return resampling.of_difference(metric.of_sums, *draw(generator, examples, agreement, gap))

    setting = f"{agreement:.0%} the same text, {100 * abs(true):.1f} points"
    return sampled(f"{name}, difference", examples, setting, examples * (1 - agreement), once, true, repetitions, seed)


def of_correlations(name: str, examples: int, noise: float, repetitions: int, seed: int) -> Cell:
    """The difference in Pearson or Spearman correlation."""
    metric = find(name)
    first, second, right = populations.regressions(np.random.default_rng(1), populations.MANY, noise)
    true = metric.score(first, right) - metric.score(second, right)

    def once(generator: Any) -> tuple[float, float]:
        first, second, right = populations.regressions(generator, examples, noise)
        return metric_intervals.of_difference(metric, first, second, right).interval

    setting = f"{100 * true:.1f} points"
    return sampled(f"{name}, difference", examples, setting, examples, once, true, repetitions, seed)


def of_texts_scored(kind: str, examples: int, gap: float, repetitions: int, seed: int, *, paired: bool) -> Cell:
    """Perplexity over documents, or over the blocks of one running text of so many windows."""
    metric = find("perplexity")
    draw = populations.documents if kind == "documents" else populations.windows
    first, second = draw(np.random.default_rng(1), populations.MANY, gap)
    true = metric.score_of(first) - (metric.score_of(second) if paired else 0.0)

    def once(generator: Any) -> tuple[float, float]:
        sides = draw(generator, examples, gap)
        if kind == "windows":
            numbers = groups([0] * examples, separate=False).numbers
            sides = quality.summed(sides[0], numbers), quality.summed(sides[1], numbers)
        if paired:
            return statistics.compare_sums(metric.of_sums, *sides).interval
        return metric_intervals.of_rows(metric, sides[0])

    of = f"perplexity{', difference' if paired else ''}, {kind}"
    return sampled(of, examples, f"{100 * gap:.0f} % of it", examples, once, true, repetitions, seed)


def of_confidences(
    name: str, examples: int, sureness: float, overconfidence: float, repetitions: int, seed: int
) -> Cell:
    """The calibration error or the Brier score of one model."""

    def scores(confidence: Any, is_right: Any) -> Any:
        return calibration.brier(np.hstack([confidence, 1 - confidence]), 1.0 - is_right[:, 0])

    many = populations.confidences(np.random.default_rng(1), populations.MANY, sureness, overconfidence)
    if name == "Brier score":
        true = float(scores(*many).mean())
    else:
        true = calibration.calibration_error(calibration.statistics(*many).sum(axis=0))

    def once(generator: Any) -> tuple[float, float]:
        drawn = populations.confidences(generator, examples, sureness, overconfidence)
        if name == "Brier score":
            return calibration.brier_interval(scores(*drawn), 2.0) or resampling.UNKNOWN
        return calibration.error_interval(*drawn)

    setting = f"confidence about {1 / (1 + np.exp(-overconfidence * sureness)):.0%}, true value {100 * true:.1f} points"
    return sampled(name, examples, setting, 0, once, true, repetitions, seed)


def of_rounds(rounds: int, repetitions: int, seed: int) -> Cell:
    """The ratio of two latencies, with noise of heavy tails."""

    def once(generator: Any) -> tuple[float, float]:
        times = 0.01 * np.exp(0.05 * generator.standard_t(3, (2, rounds)))
        return timings.ratio(times[0][:, None].tolist(), times[1][:, None].tolist())[1] or resampling.UNKNOWN

    return sampled("latency ratio", rounds, "equal speed", 0, once, 1.0, repetitions, seed)


def false_words(variants: int, examples: int, agreement: float, repetitions: int, seed: int) -> float:
    """The share of reports with a word of a difference, *better* or *worse*, about variants that are all as good as the root."""
    apart = 1 - agreement
    drawn = np.random.default_rng(seed).multinomial(
        examples, [apart / 2, apart / 2, agreement], (repetitions, variants)
    )
    level = 1 - 0.05 / variants
    wrong = [
        any(word(*_score(int(a), int(b), examples, level), 0.01) in (BETTER, WORSE) for a, b, _ in report)
        for report in drawn
    ]
    return float(np.mean(wrong))


def power(examples: int, agreement: float, repetitions: int, seed: int) -> tuple[float, float] | None:
    """The smallest detectable difference, and how often it is shown; None where so few differ that nothing could be.

    It is read from the interval of two models that are equally good, as a report reads it from the interval that it shows.
    """
    apart = 1 - agreement
    each = round(examples * apart / 2)
    difference = detectable(*_score(each, each, examples, 0.95), 0.95)
    if difference >= apart:
        return None
    chances = [(apart - difference) / 2, (apart + difference) / 2, agreement]
    drawn = np.random.default_rng(seed).multinomial(examples, chances, repetitions)
    return difference, float(np.mean([_score(int(a), int(b), examples, 0.95)[1] < 0 for a, b, _ in drawn]))


def grid(repetitions: int) -> Iterator[tuple[Any, ...]]:
    """Every cell: the function and its arguments."""
    cells: list[tuple[Any, ...]] = []
    for examples in EXAMPLES:
        cells += [(single_share, examples, share) for share in (0.7, 0.8, 0.9, 0.95, 0.98, 0.99)]
        for agreement in (0.8, 0.9, 0.95, 0.98, 0.99):
            gaps = [gap for gap in (0.0, 0.005, 0.01, 0.02, 0.04) if gap < 1 - agreement]
            cells += [(paired_shares, examples, agreement, gap, 50 * repetitions) for gap in gaps]
        # A jackknife of thousands of examples takes longer, and covers the more surely.
        fewer = repetitions if examples < 872 else max(1, repetitions // (2 if examples < 5000 else 10))
        for agreement in (0.8, 0.95, 0.99):
            for name in ("f1", "matthews"):
                cells += [
                    (of_classes, name, examples, agreement, gap, repetitions) for gap in (0.0, 0.5 * (1 - agreement))
                ]
            for name in ("rouge_l", "bleu"):
                cells += [(of_texts, name, examples, agreement, gap, fewer) for gap in (0.0, 0.1 * (1 - agreement))]
        cells += [
            (of_one_model, name, examples, accuracy, repetitions)
            for name in ("f1", "matthews")
            for accuracy in (0.9, 0.99)
        ]
        cells += [(of_correlations, "pearson", examples, noise, fewer) for noise in (0.0, 0.3)]
    cells += [
        (of_correlations, "spearman", examples, noise, repetitions) for examples in (100, 277) for noise in (0.0, 0.3)
    ]
    for paired in (False, True):
        cells += [(of_texts_scored, "documents", count, 0.02, repetitions, paired) for count in (20, 60, 100, 277, 872)]
        cells += [
            (of_texts_scored, "windows", count, 0.02, repetitions, paired)
            for count in ((100, 277, 872, 2000, 5000) if paired else (1000, 2000, 5000))
        ]
    cells += [
        (of_confidences, name, examples, sureness, overconfidence, repetitions)
        for name in ("calibration error", "Brier score")
        for examples in EXAMPLES
        for sureness, overconfidence in ((1.5, 1.0), (4.5, 1.0), (2.0, 2.0))
    ]
    cells += [(of_rounds, rounds, repetitions) for rounds in (6, 8, 10, 20)]
    yield from cells


def run(cell: tuple[Any, ...]) -> Cell:
    """One cell; its seed is its own, and always the same."""
    function, *given = cell
    if function is single_share:
        return single_share(*given)
    seed = sum(ord(letter) * place for place, letter in enumerate(str(given), 1))
    if function is of_texts_scored:
        *given, paired = given
        return of_texts_scored(*given, seed, paired=paired)
    found: Cell = function(*given, seed)
    return found
