"""The teacher's effect on writing is judged as the report judges any two artifacts, and told in the metric's own unit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from compress.distillation.writing_effect import Written, effect
from compress.metrics import statistics
from compress.metrics.metric import find

EXAMPLES = 200
ROUGE, BLEU, PERPLEXITY = (find(name) for name in ("rouge_l", "bleu", "perplexity"))


def f1(seed: int, better: float = 0.0, run: int = 0) -> Any:
    """An F1 of each example; equal seeds have equal examples, other runs of them other luck."""
    drawn = np.random.default_rng(seed).beta(2, 4, EXAMPLES)
    noise = np.random.default_rng((seed, 1, run)).normal(better, 0.05, EXAMPLES)
    return np.stack([np.clip(drawn + noise, 0, 1), np.ones(EXAMPLES)], axis=1)


def losses(seed: int, of_a_token: float) -> Any:
    """The negative log-likelihood of windows and their tokens."""
    random = np.random.default_rng(seed)
    tokens = random.integers(20, 60, EXAMPLES)
    return np.stack([tokens * (of_a_token + random.normal(0, 0.1, EXAMPLES)), tokens], axis=1)


def runs(name: str, taught: list[Any], plain: list[Any]) -> list[Written]:
    sides = ((True, taught), (False, plain))
    return [Written(is_taught, seed, {name: one}) for is_taught, side in sides for seed, one in enumerate(side)]


def test_with_one_seed_it_says_what_the_report_says_of_any_two_artifacts() -> None:
    taught, plain = f1(0, 0.03), f1(0)
    found = effect([ROUGE], runs("rouge_l", [taught], [plain]))
    expected = statistics.compare_sums(ROUGE.of_sums, taught, plain)
    assert found["difference"] == pytest.approx(expected.difference)
    assert found["interval"] == pytest.approx(expected.interval)
    assert found["word"] == expected.verdict == "better"
    assert found["rows"] == EXAMPLES
    assert found["metrics"]["rouge_l"]["plain"]["values"] == [pytest.approx(plain[:, 0].mean())]
    assert "points of ROUGE-L" in found["text"]
    json.dumps(found)


def test_seeds_are_averaged_and_their_luck_is_told() -> None:
    taught, plain = [f1(seed, by) for seed, by in enumerate((0.09, 0.0, 0.02))], [f1(seed) for seed in range(3)]
    found = effect([ROUGE], runs("rouge_l", taught, plain))
    means = [a[:, 0].mean() - b[:, 0].mean() for a, b in zip(taught, plain, strict=True)]
    assert found["differences"] == pytest.approx(means)
    assert found["difference"] == pytest.approx(np.mean(means))
    assert found["seeds_interval"] == pytest.approx(statistics.mean_interval(means))
    low, high = found["interval"]
    assert low < found["difference"] < high
    assert "another seed may differ" in found["text"]


def test_no_difference_is_not_made_one() -> None:
    found = effect([ROUGE], runs("rouge_l", [f1(0, run=1)], [f1(0)]))
    assert found["word"] == statistics.NOT_SHOWN
    assert "does not show that distillation helps" in found["text"]


def test_a_score_of_the_set_is_that_of_the_summed_statistics() -> None:
    references = [f"the cat {n} sat on the mat near {n}" for n in range(30)]
    better, worse = references, [one.replace("sat on", "was at") for one in references]
    taught, plain = (BLEU.statistics(side, references) for side in (better, worse))
    found = effect([BLEU], runs("bleu", [taught], [plain]))
    assert found["metrics"]["bleu"]["taught"]["values"] == [pytest.approx(1.0)]
    assert found["metrics"]["bleu"]["plain"]["values"] == [pytest.approx(BLEU.score(worse, references))]
    assert found["word"] == "better"


def test_a_lower_perplexity_is_better_and_is_told_as_it_is() -> None:
    found = effect([PERPLEXITY], runs("perplexity", [losses(0, 2.0)], [losses(0, 2.2)]))
    assert found["difference"] < 0
    assert found["word"] == "better"
    assert found["higher_is_better"] is False
    assert "of perplexity" in found["text"]
    assert "points" not in found["text"]
    assert f"{found['metrics']['perplexity']['taught']['mean']:.2f} against" in found["text"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (runs("rouge_l", [f1(0)], []), "same seeds"),
        ([*runs("rouge_l", [f1(0)], [f1(0)]), Written(True, 0, {"rouge_l": f1(0)})], "twice"),
        (runs("rouge_l", [f1(0)], [f1(0)[:50]]), "same examples"),
    ],
)
def test_sides_that_do_not_match_are_refused(given: list[Written], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        effect([ROUGE], given)
