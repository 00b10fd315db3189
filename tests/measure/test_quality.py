"""Tests of quality: metrics with their examples, signatures, intervals and reasons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.core import catalogue
from compress.measure import quality
from compress.measure.quality import of_rows
from compress.metrics import metric_intervals
from compress.metrics.metric import find
from compress.metrics.perplexity import perplexity
from compress.tasks import predictions
from compress.tasks.kinds import Inference
from compress.tasks.task import Task

CLASSES = Task("t", "classification", ("text",), "label", ("accuracy",), ("no", "yes"))
SCORES = Task("s", "regression", ("text",), "label", ("pearson",), label_range=(0.0, 5.0))
LABELS = (0.0, 1.0) * 30
UNDER = {"split": "evaluation", "beams": 1, "max_new_tokens": 6}
OUTPUTS = ["the old boat sank", "a new ship", "nothing", "the storm was strong"]
REFERENCES = ["the boat sank", "they took a new ship", "rain", "the storm was strong"]


def logits(predicted: list[int]) -> np.ndarray:
    return np.eye(2, dtype=np.float32)[predicted]


def test_the_class_of_an_example_is_its_greatest_logit_and_a_score_its_only_one() -> None:
    scores = ((CLASSES, logits([1, 0, 1])), (SCORES, np.array([[0.5], [4.5]], np.float32)))
    found = [task.of_kind.judge(Inference({"logits": values}, None, {}, task.law)) for task, values in scores]
    assert [np.asarray(one).tolist() for one in found] == [[1.0, 0.0, 1.0], [0.5, 4.5]]


def test_predictions_are_given_in_the_order_of_the_tasks_labels_one_a_row_a_word_or_a_label(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "id2label": {"0": "b", "1": "c", "2": "a"}}')
    one, words, several = (
        Task("t", kind, ("text",), "label", (metric,), ("a", "b", "c"))
        for kind, metric in (
            ("classification", "accuracy"),
            ("token_classification", "entity_f1"),
            ("multi_label_classification", "f1_micro"),
        )
    )
    assert quality.of_task(np.array([0.0, 2.0]), tmp_path, one).tolist() == [1, 0]
    ragged = quality.of_task([np.array([0, -100, 2]), np.array([1])], tmp_path, words)
    assert [row.tolist() for row in ragged] == [[1, -100, 0], [2]]
    assert quality.of_task(np.array([[1.0, 0.0, 0.0]]), tmp_path, several).tolist() == [[0, 1, 0]]


def test_accuracy_comes_with_each_examples_score_and_an_interval_around_it() -> None:
    predicted = np.array(LABELS)
    predicted[:12] = 1 - predicted[:12]
    (found,) = quality.quality("f", predicted, LABELS, [catalogue.find("metrics", "accuracy")], {"split": "evaluation"})
    assert found.value == pytest.approx(0.8)
    assert (found.unit, found.samples, found.higher_is_better) == ("share", 60, True)
    assert found.per_example == (0.0,) * 12 + (1.0,) * 48
    assert found.predictions == tuple(predicted)
    assert found.interval is not None
    half = 1.96 * (0.8 * 0.2 / 60) ** 0.5
    assert found.interval == pytest.approx((0.8 - half, 0.8 + half), abs=0.03)


def test_a_model_that_says_one_class_of_all_examples_is_noted() -> None:
    assert predictions.one_class(np.ones(60), LABELS, CLASSES) == ("it gives all 60 examples one class, 'yes'",)
    assert not predictions.one_class(np.ones(60), (1.0,) * 60, CLASSES)
    assert not predictions.one_class(np.array([0.0, 1.0]), (0.0, 1.0), CLASSES)


@pytest.mark.parametrize("name", ["f1", "matthews"])
def test_a_metric_of_the_whole_set_has_an_interval_and_no_score_per_example(name: str) -> None:
    predicted = np.array(LABELS)
    predicted[:9] = 1 - predicted[:9]
    (found,) = quality.quality("f", predicted, LABELS, [catalogue.find("metrics", name)], {})
    assert found.per_example == ()
    assert found.value is not None
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]


def test_a_metric_that_does_not_exist_for_these_predictions_is_absent_with_its_reason() -> None:
    metric = catalogue.find("metrics", "pearson")
    (found,) = quality.quality("f", np.ones(10), tuple(range(10)), [metric], {})
    assert found.value is None
    assert "all 10 predictions are the same" in str(found.absent).lower()


def test_hidden_labels_leave_every_metric_absent() -> None:
    (found,) = quality.quality("f", np.ones(10), (), [catalogue.find("metrics", "accuracy")], {})
    assert (found.value, found.absent) == (None, "the labels of this split are hidden")


def test_rouge_has_a_score_for_each_example_rows_that_add_up_an_interval_and_its_signature() -> None:
    metric = find("rouge_l")
    found = of_rows("abc", metric, metric.statistics(OUTPUTS, REFERENCES), UNDER, ("2 of 4 were cut",))
    assert found.value == pytest.approx(np.mean(found.per_example)) == pytest.approx(metric.score(OUTPUTS, REFERENCES))
    assert (len(found.per_example), found.samples, found.unit, found.higher_is_better) == (4, 4, "share", True)
    assert metric.of_sums(np.sum(found.statistics, axis=0)) == found.value
    assert found.interval is not None
    assert found.interval[0] < (found.value or 0) < found.interval[1]
    assert found.notes == (f"signature {metric.signature()}", "2 of 4 were cut")


def test_rows_that_are_no_examples_enough_have_no_interval_and_none_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metric = perplexity(8, 4)
    monkeypatch.setattr(metric_intervals, "of_rows", lambda *_: pytest.fail("an interval was computed"))
    found = of_rows("abc", metric, np.array([[2.0, 4.0], [6.0, 4.0]]), UNDER, has_interval=False)
    assert (found.interval, found.samples) == (None, 2)


def test_bleu_has_rows_and_no_score_for_each_example() -> None:
    metric = find("bleu")
    found = of_rows("abc", metric, metric.statistics(OUTPUTS, REFERENCES), UNDER)
    assert found.per_example == ()
    assert metric.of_sums(np.sum(found.statistics, axis=0)) == found.value == metric.score(OUTPUTS, REFERENCES)


def test_perplexity_is_worse_when_greater_and_absent_where_a_token_was_impossible() -> None:
    metric = perplexity(8, 4)
    found = of_rows("abc", metric, np.array([[2.0, 4.0], [6.0, 4.0]]), UNDER)
    assert found.value == pytest.approx(np.e)
    assert (found.unit, found.higher_is_better) == ("perplexity", False)
    assert "context:8|stride:4" in found.notes[0]
    impossible = of_rows("abc", metric, np.array([[np.inf, 4.0]]), UNDER)
    assert impossible.value is None
    assert "impossible" in str(impossible.absent)


def test_references_that_cannot_be_scored_are_absent_with_the_reason() -> None:
    metric = find("rouge_l")
    found = of_rows("abc", metric, np.zeros((0, 2)), UNDER)
    assert found.value is None
    assert "no examples" in str(found.absent)


def test_results_are_kept_apart_by_all_that_decides_them(tmp_path: Path) -> None:
    identity = {"artifact": "a", "split": {"hash": "1"}, "runtime": "pytorch"}
    file = quality.cached(tmp_path, identity)
    assert file == quality.cached(tmp_path, dict(reversed(identity.items())))
    for name in identity:
        assert file != quality.cached(tmp_path, {**identity, name: "other"})
