"""The gain of the teacher is judged over seeds and examples, and reported plainly, also where there is none."""

from __future__ import annotations

import json
import statistics as plain_statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from compress.core import catalogue
from compress.distillation.ablation import Run, effect, metrics_of
from compress.metrics import resampling, statistics, verdicts
from compress.metrics.crossed import with_seeds
from compress.metrics.metric import find
from compress.metrics.paired_proportions import mcnemar

ROWS = 300
RIGHT = (np.arange(ROWS) % 3 == 0).astype(float)


def judged(task: str, references: Any, given: Sequence[Run]) -> dict[str, Any]:
    """The effect on a task whose rows have one answer each."""
    found = catalogue.find("tasks", task)
    return effect(metrics_of(found), references, given, right_or_wrong=found.law.chooses)


def answers(wrong: Sequence[int] | range) -> np.ndarray:
    """The labels with some rows answered wrongly."""
    given = RIGHT.copy()
    given[list(wrong)] = 1 - given[list(wrong)]
    return given


def runs(distilled: Sequence[Any], plain: Sequence[Any]) -> list[Run]:
    """Seed 0 and on, for either side."""
    return [
        Run(is_taught, seed, list(one))
        for is_taught, side in ((True, distilled), (False, plain))
        for seed, one in enumerate(side)
    ]


def random_answers(share: float, seed: int) -> np.ndarray:
    return answers(np.flatnonzero(np.random.default_rng(seed).random(ROWS) > share))


def test_with_one_seed_it_says_what_the_report_says_of_any_two_artifacts() -> None:
    distilled, plain = answers(range(40)), answers(range(10, 65))
    found = judged("sst2", RIGHT, runs([distilled], [plain]))
    expected = statistics.compare((distilled == RIGHT).astype(float), (plain == RIGHT).astype(float))
    assert found["test"] == expected.test == statistics.SCORE_TEST
    assert found["p_value"] == pytest.approx(expected.p_value)
    assert found["difference"] == pytest.approx(expected.difference)
    assert found["interval"] == pytest.approx(expected.interval)
    assert found["smallest"] == pytest.approx(verdicts.detectable(*expected.interval, 0.95))
    assert found["word"] == "better"
    assert expected.interval[0] > 0
    assert (found["only_taught_right"], found["only_plain_right"]) == ([25], [10])
    assert found["mcnemar_p_values"] == [pytest.approx(mcnemar(25, 10))]
    assert "standard_deviation" not in found["metrics"]["accuracy"]["taught"]
    assert "rows_interval" not in found
    assert found["text"].endswith("over rows): better; this is about these two students, and another seed may differ.")


def test_means_and_spreads_are_those_of_the_seeds() -> None:
    distilled, plain = [answers(range(n)) for n in (30, 36, 33)], [answers(range(n)) for n in (45, 39, 42)]
    found = judged("sst2", RIGHT, runs(distilled, plain))
    for side, wrong in (("taught", (30, 36, 33)), ("plain", (45, 39, 42))):
        shares = [1 - count / ROWS for count in wrong]
        told = found["metrics"]["accuracy"][side]
        assert told["values"] == pytest.approx(shares)
        assert told["mean"] == pytest.approx(plain_statistics.mean(shares))
        assert told["standard_deviation"] == pytest.approx(plain_statistics.stdev(shares))
    assert found["difference"] == pytest.approx(9 / ROWS)
    assert found["differences"] == pytest.approx([15 / ROWS, 3 / ROWS, 9 / ROWS])
    assert found["only_taught_right"] == [15, 3, 9]
    assert found["only_plain_right"] == [0, 0, 0]


def test_each_row_averaged_over_the_seeds_is_one_observation() -> None:
    """Six rows that all three seeds gain: as rows p is 2/2^6; counted as 18 they would seem far more certain."""
    found = judged("sst2", RIGHT, runs([answers(range(6, 30))] * 3, [answers(range(30))] * 3))
    assert found["p_value"] == pytest.approx(2 / 2**6)
    assert found["difference"] == pytest.approx(6 / ROWS)
    assert "flips" not in found


def test_more_seeds_show_a_smaller_difference() -> None:
    smallest = [
        judged(
            "sst2",
            RIGHT,
            runs([random_answers(0.85, n) for n in range(seeds)], [random_answers(0.85, 50 + n) for n in range(seeds)]),
        )["smallest"]
        for seeds in (1, 4)
    ]
    assert smallest[1] < 0.8 * smallest[0]


@pytest.mark.parametrize("name", ["sst2", "cola", "mrpc", "stsb"])
def test_equal_students_are_not_called_better_or_worse_and_the_sentence_says_so(name: str) -> None:
    same = [random_answers(0.85, seed) for seed in range(2)]
    found = judged(name, RIGHT, runs(same, same))
    assert found["difference"] == 0.0
    assert found["word"] in (verdicts.NOT_WORSE, verdicts.NOT_ENOUGH_SEEDS)
    assert found["interval"][0] <= 0 <= found["interval"][1]
    assert ", so this does not show that distillation helps" in found["text"]


@pytest.mark.parametrize("name", ["sst2", "cola", "mrpc", "stsb"])
def test_with_the_sides_exchanged_the_difference_and_the_verdict_are_reversed(name: str) -> None:
    good, poor = [random_answers(0.95, seed) for seed in range(3)], [random_answers(0.75, 9 + n) for n in range(3)]
    found, turned = judged(name, RIGHT, runs(good, poor)), judged(name, RIGHT, runs(poor, good))
    assert (found["word"], turned["word"]) == ("better", "worse")
    assert found["difference"] == pytest.approx(-turned["difference"])
    assert found["interval"] == pytest.approx([-turned["interval"][1], -turned["interval"][0]])
    assert found["interval"][0] > 0
    assert "here distillation does harm" in turned["text"]


def test_a_metric_of_the_whole_set_is_averaged_over_the_seeds() -> None:
    distilled, plain = [random_answers(0.9, seed) for seed in range(3)], [random_answers(0.88, 9 + n) for n in range(3)]
    found = judged("cola", RIGHT, runs(distilled, plain))
    expected = [np.mean([matthews_corrcoef(RIGHT, one) for one in side]) for side in (distilled, plain)]
    assert found["difference"] == pytest.approx(expected[0] - expected[1])
    low, high = found["interval"]
    assert low < found["difference"] < high
    assert found["word"] == verdicts.word(low, high, 0.01, of_seeds=True)
    assert found["smallest"] == pytest.approx(verdicts.detectable(low, high, 0.95))
    assert set(found["metrics"]) == set(catalogue.find("tasks", "cola").metrics)


def test_each_student_is_scored_without_each_part_of_the_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval over rows and the spread of the seeds are read from the same scores."""
    asked, without_parts = [], resampling._without_each_part
    monkeypatch.setattr(resampling, "_without_each_part", lambda *given: asked.append(given) or without_parts(*given))
    distilled, plain = [random_answers(0.9, seed) for seed in range(3)], [random_answers(0.88, 9 + n) for n in range(3)]
    judged("cola", RIGHT, runs(distilled, plain))
    assert len(asked) == 6


def test_a_regression_counts_no_right_answers() -> None:
    noise = np.random.default_rng(0)
    scores = noise.normal(size=ROWS)
    near, far = [scores + noise.normal(0, 0.3, ROWS) for _ in "ab"], [scores + noise.normal(0, 1, ROWS) for _ in "ab"]
    found = judged("stsb", scores, runs(near, far))
    assert found["word"] == "better"
    assert found["metric"] == "pearson"
    assert "only_taught_right" not in found
    assert set(found["metrics"]) == {"pearson", "spearman"}


def test_the_facts_are_plain_json_the_same_each_time_and_in_any_order_of_runs() -> None:
    given = runs([random_answers(0.9, n) for n in range(3)], [random_answers(0.87, 9 + n) for n in range(3)])
    found = judged("mrpc", RIGHT, given)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert judged("mrpc", list(RIGHT), given[::-1]) == found


def test_a_collapsed_student_has_no_correlation_and_the_effect_is_absent_with_the_reason() -> None:
    scores = np.random.default_rng(0).normal(size=ROWS)
    found = judged("stsb", scores, runs([scores, np.zeros(ROWS)], [scores, scores]))
    assert found["metrics"]["pearson"]["taught"]["values"] == [pytest.approx(1.0), None]
    assert "are the same" in found["metrics"]["pearson"]["taught"]["absent"]
    assert "mean" not in found["metrics"]["pearson"]["taught"]
    assert "word" not in found
    assert "p_value" not in found
    assert "gain is unknown: pearson of a distilled student is undefined" in found["text"]
    json.dumps(found, allow_nan=False)


def test_the_sentence_names_every_figure() -> None:
    found = judged("sst2", RIGHT, runs([answers(range(30))] * 2, [answers(range(3, 36))] * 2))
    assert found["text"] == (
        "Over 2 seeds the teacher brought +1.00 points of accuracy (90.00 against 89.00; −1.16 to +3.43 over rows and seeds): "
        "not enough seeds or examples, so this does not show that distillation helps; with 80 % power 2 seeds and 300 rows would "
        "show 3.28 points; more evaluation rows would settle most."
    )


def test_a_gain_on_the_rows_at_hand_that_another_seed_may_not_have_gets_no_verdict() -> None:
    lucky = [answers(range(24, 30)), answers(range(2, 30)), answers(range(30))]
    found = judged("sst2", RIGHT, runs(lucky, [answers(range(30))] * 3))
    assert found["rows_interval"][0] > 0
    assert found["interval"][0] < 0
    assert found["word"] == verdicts.NOT_ENOUGH_SEEDS
    assert "more seeds would settle most" in found["text"]


def test_a_score_of_the_whole_set_too_gets_no_verdict_where_seeds_differ_as_much() -> None:
    """By jackknife pseudo-values: Matthews is no mean over rows."""
    distilled = [random_answers(share, seed) for seed, share in enumerate((0.97, 0.8, 0.97))]
    found = judged("cola", RIGHT, runs(distilled, [random_answers(0.82, 9 + n) for n in range(3)]))
    assert found["metric"] == "matthews"
    assert found["rows_interval"][0] > 0 > found["interval"][0]
    assert found["word"] == verdicts.NOT_ENOUGH_SEEDS


def test_a_loss_below_the_margin_is_called_one() -> None:
    many = np.tile(RIGHT, 20)
    wrong = [np.where(np.arange(len(many)) < count, 1 - many, many) for count in (600, 620)]
    found = judged("sst2", many, runs([wrong[1]] * 2, [wrong[0]] * 2))
    assert found["word"] == verdicts.NOT_WORSE
    assert ": worse by less than 1 point, so this does not show that distillation helps" in found["text"]


def test_the_sentence_says_that_students_had_fewer_steps() -> None:
    given = runs([answers(range(30))], [answers(range(33))])
    metrics = metrics_of(catalogue.find("tasks", "sst2"))
    found = effect(metrics, RIGHT, given, right_or_wrong=True, steps_share=1 / 3)
    assert found["steps_share"] == 1 / 3
    assert found["text"].endswith(
        "these students were trained for 33 % of the steps of the one that is kept, both sides alike."
    )


def test_runs_that_cannot_be_paired_are_refused() -> None:
    one = list(answers(range(9)))
    with pytest.raises(ValueError, match=r"same seeds: \[0\] distilled, \[\] baseline"):
        judged("sst2", RIGHT, [Run(True, 0, one)])
    with pytest.raises(ValueError, match="comes twice"):
        judged("sst2", RIGHT, [Run(True, 0, one), Run(True, 0, one), Run(False, 0, one)])
    with pytest.raises(ValueError, match="299 outputs for 300 references"):
        judged("sst2", RIGHT, [Run(True, 0, one), Run(False, 0, one[:-1])])


EXAMPLES = 200
ROUGE, BLEU, PERPLEXITY = (find(name) for name in ("rouge_l", "bleu", "perplexity"))


def of_statistics(metric: Any, given: Sequence[Run]) -> dict[str, Any]:
    """The effect where the statistics of each example are at hand."""
    return effect([replace(metric, statistics=lambda own, _: np.asarray(own))], [""] * EXAMPLES, given)


def f1(seed: int, better: float = 0.0, run: int = 0) -> Any:
    """An F1 of each example; equal seeds have equal examples, other runs of them differ."""
    drawn = np.random.default_rng(seed).beta(2, 4, EXAMPLES)
    noise = np.random.default_rng((seed, 1, run)).normal(better, 0.05, EXAMPLES)
    return np.stack([np.clip(drawn + noise, 0, 1), np.ones(EXAMPLES)], axis=1)


def losses(seed: int, of_a_token: float) -> Any:
    """The negative log-likelihood of windows and their tokens."""
    random = np.random.default_rng(seed)
    tokens = random.integers(20, 60, EXAMPLES)
    return np.stack([tokens * (of_a_token + random.normal(0, 0.1, EXAMPLES)), tokens], axis=1)


def test_texts_of_one_seed_are_judged_as_the_report_judges_any_two_artifacts() -> None:
    distilled, plain = f1(0, 0.03), f1(0)
    found = of_statistics(ROUGE, runs([distilled], [plain]))
    expected = statistics.compare_sums(ROUGE.of_sums, distilled, plain)
    assert found["difference"] == pytest.approx(expected.difference)
    assert found["interval"] == pytest.approx(expected.interval)
    assert found["word"] == "better"
    assert found["rows"] == EXAMPLES
    assert found["metrics"]["rouge_l"]["plain"]["values"] == [pytest.approx(plain[:, 0].mean())]
    assert "points of ROUGE-L" in found["text"]
    json.dumps(found)


def test_seeds_are_averaged_and_their_spread_is_reported() -> None:
    distilled, plain = [f1(seed, by) for seed, by in enumerate((0.09, 0.0, 0.02))], [f1(seed) for seed in range(3)]
    found = of_statistics(ROUGE, runs(distilled, plain))
    means = [a[:, 0].mean() - b[:, 0].mean() for a, b in zip(distilled, plain, strict=True)]
    assert found["differences"] == pytest.approx(means)
    assert found["difference"] == pytest.approx(np.mean(means))
    sides = [np.stack([one[:, 0] for one in side]) for side in (distilled, plain)]
    assert found["interval"] == pytest.approx(with_seeds(found["difference"], found["rows_interval"], sides))
    assert found["rows_interval"][0] > 0 > found["interval"][0]
    assert "more seeds would settle most" in found["text"]


def test_no_difference_is_not_made_one() -> None:
    found = of_statistics(ROUGE, runs([f1(0, run=1)], [f1(0)]))
    assert found["word"] == verdicts.NOT_WORSE
    assert "does not show that distillation helps" in found["text"]


def test_a_score_of_the_set_is_that_of_the_summed_statistics() -> None:
    references = [f"the cat {n} sat on the mat near {n}" for n in range(30)]
    better, worse = references, [one.replace("sat on", "was at") for one in references]
    found = effect([BLEU], references, runs([better], [worse]))
    assert found["metrics"]["bleu"]["taught"]["values"] == [pytest.approx(1.0)]
    assert found["metrics"]["bleu"]["plain"]["values"] == [pytest.approx(BLEU.score(worse, references))]
    assert found["word"] == "better"


def test_a_lower_perplexity_is_better_and_is_reported_as_it_is() -> None:
    found = of_statistics(PERPLEXITY, runs([losses(0, 2.0)], [losses(0, 2.2)]))
    assert found["difference"] < 0
    assert found["word"] == "better"
    assert found["higher_is_better"] is False
    assert "of perplexity" in found["text"]
    assert "points" not in found["text"]
    assert f"{found['metrics']['perplexity']['taught']['mean']:.2f} against" in found["text"]
