"""Tests of quality: metrics with their examples, intervals and reasons, and agreement with the root."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.core import catalogue
from compress.measure import quality
from compress.tasks import predictions
from compress.tasks.task import Task

CLASSES = Task("t", "classification", ("text",), "label", ("accuracy",), ("no", "yes"))
SCORES = Task("s", "regression", ("text",), "label", ("pearson",), label_range=(0.0, 5.0))
LABELS = (0.0, 1.0) * 30


def logits(predicted: list[int]) -> np.ndarray:
    return np.eye(2, dtype=np.float32)[predicted]


def test_the_class_of_an_example_is_its_greatest_logit_and_a_score_its_only_one() -> None:
    assert predictions.predictions(logits([1, 0, 1]), CLASSES).tolist() == [1.0, 0.0, 1.0]
    assert predictions.predictions(np.array([[0.5], [4.5]], np.float32), SCORES).tolist() == [0.5, 4.5]


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


def test_agreement_counts_equal_classes_whether_right_or_wrong() -> None:
    mine, root = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0])
    found = quality.agreement("f", mine, root, CLASSES, {})
    assert found.value == 0.5
    assert found.per_example == (1.0, 1.0, 0.0, 0.0)
    assert found.interval is not None
    assert found.interval[0] < 0.5 < found.interval[1]


def test_agreement_is_absent_with_its_reason_where_there_is_none() -> None:
    assert "could not be run" in str(quality.agreement("f", np.ones(3), None, CLASSES, {}).absent)
    assert "not classes" in str(quality.agreement("f", np.ones(3), np.ones(3), SCORES, {}).absent)


def test_results_are_kept_apart_by_all_that_decides_them(tmp_path: Path) -> None:
    identity = {"artifact": "a", "split": {"hash": "1"}, "runtime": "pytorch"}
    file = quality.cached(tmp_path, identity)
    assert file == quality.cached(tmp_path, dict(reversed(identity.items())))
    for name in identity:
        assert file != quality.cached(tmp_path, {**identity, name: "other"})
