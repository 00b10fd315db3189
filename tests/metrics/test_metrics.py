"""Metrics agree with their definitions, computed here by hand, and give no number where none exists."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.core import catalogue
from compress.core.errors import CompressError
from compress.metrics.accuracy import METRIC as ACCURACY
from compress.metrics.f1 import METRIC as F1
from compress.metrics.matthews import METRIC as MATTHEWS
from compress.metrics.metric import Metric, Undefined
from compress.metrics.pearson import METRIC as PEARSON
from compress.metrics.spearman import METRIC as SPEARMAN
from compress.tasks import kinds, scoring
from compress.tasks.task import Task

NAMES = catalogue.names("metrics")

binary = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60)
reals = st.floats(-100, 100).map(lambda value: round(value, 2))


@pytest.mark.parametrize("name", NAMES)
def test_each_metric_is_called_as_its_file(name: str) -> None:
    module = importlib.import_module(f"compress.metrics.{name}")
    assert module.METRIC.name == name
    assert module.METRIC.title
    assert set(module.METRIC.kinds) <= {*kinds.of_tasks(), *(one.name for one in kinds.every())}
    assert module.__doc__
    assert module.__doc__.splitlines()[0].endswith(".")


@pytest.mark.parametrize(("named", "measures"), [("text-classification", True), ("regression", False)])
def test_a_metric_may_name_a_kind_as_the_hub_does(named: str, measures: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = replace(ACCURACY, kinds=(named,))
    monkeypatch.setattr(scoring, "find", lambda name: metric)
    task = Task("t", "classification", ("text",), "label", ("accuracy",), ("no", "yes"))
    if measures:
        assert scoring.chosen(task, "accuracy") == ("accuracy",)
    else:
        with pytest.raises(CompressError, match="is for regression, not for classification"):
            scoring.chosen(task, "accuracy")


def counts(pairs: list[tuple[int, int]]) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, true negatives of (predicted, right)."""
    return tuple(pairs.count(one) for one in ((1, 1), (1, 0), (0, 1), (0, 0)))


@given(binary)
def test_accuracy_is_the_fraction_that_is_right(pairs: list[tuple[int, int]]) -> None:
    predictions, references = zip(*pairs, strict=True)
    right = [float(a == b) for a, b in pairs]
    assert ACCURACY.score(predictions, references) == pytest.approx(sum(right) / len(right))
    each = ACCURACY.per_example(ACCURACY.statistics(predictions, references))
    assert each is not None
    assert each.tolist() == right


@given(binary)
def test_f1_is_that_of_class_one_and_undefined_without_it(pairs: list[tuple[int, int]]) -> None:
    predictions, references = zip(*pairs, strict=True)
    tp, fp, fn, _ = counts(pairs)
    if tp + fp + fn == 0:
        with pytest.raises(Undefined, match="Class 1"):
            F1.score(predictions, references)
    else:
        assert F1.score(predictions, references) == pytest.approx(2 * tp / (2 * tp + fp + fn))


@given(binary)
def test_matthews_is_its_formula_and_zero_for_a_model_that_has_collapsed(pairs: list[tuple[int, int]]) -> None:
    predictions, references = zip(*pairs, strict=True)
    tp, fp, fn, tn = counts(pairs)
    if len(set(references)) == 1:
        with pytest.raises(Undefined, match="references"):
            MATTHEWS.score(predictions, references)
        return
    below = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert MATTHEWS.score(predictions, references) == pytest.approx((tp * tn - fp * fn) / below if below else 0.0)


@given(st.lists(st.tuples(reals, reals), min_size=3, max_size=40))
def test_the_correlations_are_their_formulas(pairs: list[tuple[float, float]]) -> None:
    x, y = (numpy.array(side) for side in zip(*pairs, strict=True))
    if len(set(x)) == 1 or len(set(y)) == 1:
        for metric in (PEARSON, SPEARMAN):
            with pytest.raises(Undefined, match="are the same"):
                metric.score(x, y)
        return
    assert PEARSON.score(x, y) == pytest.approx(correlation(x, y), abs=1e-9)
    assert SPEARMAN.score(x, y) == pytest.approx(correlation(ranks(x), ranks(y)), abs=1e-9)


def correlation(x: numpy.ndarray, y: numpy.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / math.sqrt((x**2).sum() * (y**2).sum()))


def ranks(x: numpy.ndarray) -> numpy.ndarray:
    """1 for the least; ties get the mean of their ranks."""
    return numpy.array([(x < one).sum() + ((x == one).sum() + 1) / 2 for one in x])


@pytest.mark.parametrize("average", ["macro", "weighted"])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_f1_of_several_classes_is_the_mean_over_those_that_occur(average: str, pairs: list[tuple[int, int]]) -> None:
    predictions, references = zip(*pairs, strict=True)
    each, counts = [], []
    for one in {*predictions, *references}:
        both = sum(a == b == one for a, b in pairs)
        each.append(2 * both / (predictions.count(one) + references.count(one)))
        counts.append(references.count(one))
    metric = importlib.import_module(f"compress.metrics.f1_{average}").METRIC
    expected = numpy.average(each, weights=counts if average == "weighted" else None)
    assert metric.score(predictions, references) == pytest.approx(expected)


def test_glues_means_are_those_of_their_two_metrics_and_undefined_where_one_is() -> None:
    mean_of_two, correlations = (
        importlib.import_module(f"compress.metrics.{name}").METRIC for name in ("accuracy_f1", "pearson_spearman")
    )
    predictions, references = [1, 0, 1, 1], [1, 0, 0, 1]
    assert mean_of_two.score(predictions, references) == pytest.approx((0.75 + 0.8) / 2)
    with pytest.raises(Undefined, match="Class 1"):
        mean_of_two.score([0, 0], [0, 0])
    x, y = numpy.array([1.0, 2.0, 4.0, 3.0]), numpy.array([1.0, 2.0, 3.0, 9.0])
    assert correlations.score(x, y) == pytest.approx((PEARSON.score(x, y) + SPEARMAN.score(x, y)) / 2)
    with pytest.raises(Undefined, match="are the same"):
        correlations.score([1.0, 1.0], [1.0, 2.0])


def test_f1_refuses_three_classes() -> None:
    with pytest.raises(CompressError, match="two classes"):
        F1.score([0, 1, 2], [0, 1, 2])


@pytest.mark.parametrize("metric", [ACCURACY, F1, MATTHEWS, PEARSON, SPEARMAN], ids=lambda metric: metric.name)
def test_no_metric_gives_a_number_for_nothing_or_for_nan(metric: Metric) -> None:
    with pytest.raises(Undefined, match="no examples"):
        metric.score([], [])
    with pytest.raises(Undefined, match="2 of 3 predictions are not finite"):
        metric.score([math.nan, math.inf, 1.0], [0.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="one length"):
        metric.score([0, 1], [0, 1, 1])


def test_a_logit_is_not_taken_for_a_class() -> None:
    with pytest.raises(ValueError, match="logit"):
        ACCURACY.score([0.3, 1.0], [0, 1])


def test_32_bit_outputs_of_a_collapsed_regression_have_no_correlation() -> None:
    nearly = numpy.float32(2.5) + numpy.array([0, 1, 0, 1], dtype=numpy.float32) * numpy.spacing(numpy.float32(2.5))
    assert len(set(nearly.tolist())) == 2, "they do differ, in the last bit"
    with pytest.raises(Undefined, match=r"\(2\.5\)"):
        PEARSON.score(nearly, [1, 2, 3, 4])
