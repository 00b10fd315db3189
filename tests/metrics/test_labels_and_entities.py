"""Several labels an example: F1 of sets of labels is scikit-learn's, F1 of entities seqeval's, both from sums over examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as theirs

from compress.core import catalogue
from compress.measure.quality import of_rows, quality
from compress.metrics import statistics, verdicts
from compress.metrics.entity_f1 import entities, entity_f1, read_tag
from compress.metrics.metric import Undefined, find
from compress.report.significance import difference

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
AVERAGES = {"f1_micro": "micro", "f1_macro": "macro", "f1_weighted": "weighted"}


def sets(seed: int, labels: int = 5, examples: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and references, [examples, labels]; the last label is never there, the one before is rare."""
    random = np.random.default_rng(seed)
    right = (random.random((examples, labels)) < np.linspace(0.6, 0.0, labels)).astype(int)
    return np.where(random.random(right.shape) < 0.8, right, random.integers(0, 2, right.shape)) * (
        np.arange(labels) < labels - 1
    ), right


@pytest.mark.filterwarnings("ignore:F-score is ill-defined")
@pytest.mark.parametrize("name", AVERAGES)
def test_f1_of_sets_of_labels_is_scikit_learns_on_drawn_rows_too(name: str) -> None:
    for seed in range(5):
        predicted, right = sets(seed)
        score = find(name).scorer(list(predicted), list(right))
        for rows in (np.arange(80), np.random.default_rng(seed).integers(0, 80, 80), np.array([3, 3, 3, 7])):
            expected = theirs.f1_score(right[rows], predicted[rows], average=AVERAGES[name])
            if right[rows].any():
                assert score(rows) == pytest.approx(expected, abs=1e-12)


def test_exact_match_is_subset_accuracy_and_right_or_wrong_for_each_example() -> None:
    predicted, right = sets(0)
    metric = find("exact_match")
    assert metric.score(predicted, right) == pytest.approx(theirs.accuracy_score(right, predicted))
    each = metric.per_example(metric.statistics(predicted, right))
    assert each is not None
    assert each.tolist() == [float(a.tolist() == b.tolist()) for a, b in zip(predicted, right, strict=True)]


@pytest.mark.parametrize("name", AVERAGES)
def test_without_any_label_on_either_side_f1_does_not_exist(name: str) -> None:
    with pytest.raises(Undefined, match="None of 3 examples has anything that"):
        find(name).score(np.zeros((3, 2)), np.zeros((3, 2)))


def test_what_is_no_set_of_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        find("f1_micro").score([[0.3, 1.0]], [[0, 1]])
    with pytest.raises(ValueError, match="of one shape"):
        find("f1_macro").score([[0, 1]], [[0, 1, 1]])
    with pytest.raises(Undefined, match="no examples"):
        find("exact_match").score([], [])


# Drawn at random and scored by seqeval 1.2.2 (`f1_score(right, predicted)`); the first is the example of its README.
SCORED_BY_SEQEVAL = [
    ("O O O B-MISC I-MISC I-MISC O / B-PER I-PER O", "O O B-MISC I-MISC I-MISC I-MISC O / B-PER I-PER O", 0.5),
    ("I-LOC I-LOC B-PER / I-LOC B-LOC I-LOC O", "B-LOC I-LOC B-PER / B-LOC B-LOC I-LOC O", 1.0),
    ("B-PER B-PER I-LOC / O O B-PER I-LOC O", "B-PER B-PER B-LOC / O B-LOC B-LOC I-LOC B-LOC", 0.545454545455),
    ("I-PER O O / B-LOC B-PER I-PER", "B-LOC I-PER O / I-LOC B-PER I-PER", 0.571428571429),
    ("I-PER E-PER O I-LOC B-LOC E-PER / B-PER I-PER I-LOC I-LOC B-PER B-PER",
     "I-PER S-PER O E-LOC O E-PER / B-PER I-PER O I-LOC B-PER B-PER", 0.625),
    ("S-LOC I-PER O I-LOC / B-PER B-PER", "S-LOC I-PER O I-LOC / B-LOC E-PER", 0.8),
    ("E-PER B-LOC E-LOC E-LOC / S-LOC E-LOC S-LOC B-PER S-LOC",
     "E-PER I-PER E-LOC S-LOC / S-LOC E-LOC E-PER B-PER B-LOC", 0.705882352941),
    ("I-LOC I-A-B / I-LOC I-LOC I-A-B O", "I-LOC O / I-LOC I-LOC I-A-B O", 0.857142857143),
    ("I-PER I-LOC I-LOC I-LOC / I-A-B O O I-PER", "I-PER I-LOC I-PER I-LOC / O O O I-PER", 0.444444444444),
    ("I-A-B I-PER O / I-PER I-A-B I-LOC I-PER", "O I-PER O / I-PER I-LOC O I-LOC", 0.4),
    ("B-LOC L-LOC I-LOC U-LOC I-LOC U-PER / L-LOC I-LOC L-LOC L-LOC",
     "B-LOC L-LOC I-LOC U-LOC U-LOC U-PER / I-PER I-LOC L-LOC U-LOC", 0.571428571429),
    ("U-LOC L-PER I-PER B-PER / I-LOC B-PER I-PER O O U-LOC",
     "L-LOC L-PER I-PER B-LOC / I-LOC B-PER I-PER O O B-PER", 0.666666666667),
    ("B-LOC I-LOC U-LOC U-PER / L-PER I-PER", "B-LOC I-LOC B-LOC U-PER / L-PER B-LOC", 0.25),
    ("E S / O I B I S", "E S / O O B I S", 0.888888888889),
    ("O O S S E / B I O I", "O O S S E / B I E S", 0.8),
    ("O I E / S E O S E O", "O I E / E E O S O B", 0.8),
]  # fmt: skip


@pytest.mark.parametrize(("right", "predicted", "expected"), SCORED_BY_SEQEVAL)
def test_entity_f1_is_seqevals(right: str, predicted: str, expected: float) -> None:
    references, outputs = ([sentence.split() for sentence in side.split(" / ")] for side in (right, predicted))
    names = sorted({tag for sentence in [*references, *outputs] for tag in sentence})
    ids = [[[names.index(tag) for tag in sentence] for sentence in side] for side in (outputs, references)]
    assert entity_f1(names).score(*ids) == pytest.approx(expected, abs=1e-12)


def test_a_tag_without_a_position_is_inside_an_entity_of_that_type() -> None:
    """seqeval would cut off first letters: here it would see one entity, of type `rt-other`'s end `other`."""
    tags = ["art-other", "event-other", "event-other", "O", "OTHER"]
    assert entities(map(read_tag, tags)) == [("art-other", 0, 0), ("event-other", 1, 2), ("OTHER", 4, 4)]


def tagged(seed: int, error: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(0)
    right = [random.integers(0, 5, random.integers(3, 9)) for _ in range(150)]
    noise = np.random.default_rng(seed)
    return [np.where(noise.random(len(one)) < error, noise.integers(0, 5, len(one)), one) for one in right], right


def test_words_that_do_not_count_are_left_out_and_words_never_reached_are_outside() -> None:
    metric = entity_f1(TAGS)
    assert metric.statistics([[1, 2, 3]], [[1, 2, -100]]).tolist() == [[2.0, 2.0]]
    assert metric.statistics([[1, 2, -100]], [[1, 2, 3]]).tolist() == [[2.0, 3.0]]
    with pytest.raises(ValueError, match=r"Example 1: tags of \(1,\) and of \(2,\) words"):
        metric.statistics([[1], [1]], [[1], [1, 2]])
    with pytest.raises(ValueError, match="call `for_task`"):
        find("entity_f1").score([[1]], [[1]])
    with pytest.raises(Undefined, match="None of 1 examples"):
        metric.score([[0]], [[0]])


def test_two_models_are_compared_sentence_by_sentence() -> None:
    (better, right), (worse, _) = tagged(1, 0.1), tagged(2, 0.5)
    metric = entity_f1(TAGS)
    here, there = (of_rows("f", metric, metric.statistics(one, right), {}) for one in (better, worse))
    found = difference(here, there, ())
    assert (found.word, found.test, found.examples) == (verdicts.BETTER, statistics.JACKKNIFE, 150)
    assert found.value == pytest.approx(metric.score(better, right) - metric.score(worse, right))
    assert found.interval is not None
    assert found.interval[0] < (found.value or 0) < found.interval[1]
    assert here.notes == ("signature average:micro|mode:default|as:seqeval-1.2.2",)


def test_exact_match_of_two_models_has_the_interval_of_paired_shares() -> None:
    predicted, right = sets(0)
    metric = find("exact_match")
    here, there = (of_rows("f", metric, metric.statistics(one, right), {}) for one in (right, predicted))
    found = difference(here, there, ())
    assert found.test == statistics.SCORE_TEST
    assert (found.only_here, found.only_there) == (round((1 - (there.value or 0)) * 80), 0)


def test_several_labels_an_example_are_measured_as_one_label_is() -> None:
    predicted, right = tagged(1, 0.1)
    (found,) = quality("f", predicted, right, [entity_f1(TAGS)], {"split": "evaluation"}, ("a note",))
    assert found.value == pytest.approx(entity_f1(TAGS).score(predicted, right))
    assert (len(found.statistics), found.predictions, found.unit, found.notes[-1]) == (150, (), "share", "a note")
    (hidden,) = quality("f", predicted, (), [entity_f1(TAGS)], {})
    assert hidden.absent == "the labels of this split are hidden"
    (nothing,) = quality("f", np.zeros((3, 2)), np.zeros((3, 2)), [find("f1_micro")], {})
    assert "None of 3 examples" in str(nothing.absent)


def test_tag_accuracy_counts_words() -> None:
    assert find("tag_accuracy").score([[1, 2], [0]], [[1, 0], [-100]]) == 0.5


def test_a_task_gives_entity_f1_the_names_of_its_tags() -> None:
    task = replace(
        catalogue.find("tasks", "sst2"), kind="token_classification", label_names=TAGS, metrics=("entity_f1",)
    )
    assert find("entity_f1").for_task(task).score([[1, 2, 0]], [[1, 2, 3]]) == pytest.approx(2 / 3)
