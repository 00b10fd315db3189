"""An artifact beside the trivial baselines: shown to be better than the best of them, or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compress.core.measurement import Measurement, Measurements
from compress.report.comparison import Comparison, compare
from compress.report.degenerate_outputs import warning
from tests.report.made_up import Made, MakeRun

VARIANTS = (Made("good", 760, 20, 2.4, 23.1), Made("poor", 590, 190, 2.4, 23.1))


def beside(run: Measurements, share_right: float, metric: str = "accuracy") -> Comparison:
    """The run with a baseline that has the first part of all rows right."""
    references = np.array(run.references)
    is_right = np.arange(len(references)) < share_right * len(references)
    predictions = np.where(is_right, references, 1 - references)
    scores = tuple(is_right.astype(float)) if metric == "accuracy" else ()
    found = Measurement(
        "commonest class",
        metric,
        float(is_right.mean()),
        "share",
        True,
        samples=len(references),
        per_example=scores,
        predictions=tuple(predictions),
        notes=("the same class for every example",),
    )
    return compare(
        replace(run, without_model=(found,), baselines={"commonest class": {metric: float(is_right.mean())}})
    )


def test_a_model_beats_the_baseline_where_a_paired_comparison_shows_it(make_run: MakeRun) -> None:
    comparison = beside(make_run(VARIANTS), 0.65)
    good, poor = (comparison.against_trivial[name] for name in ("good", "poor"))
    assert good.is_better
    assert (good.difference.only_here, good.difference.only_there) != (None, None)
    assert not poor.is_better  # 67.7 % against 65.0 %: on 872 rows that is no proof
    assert poor.difference.value == pytest.approx(590 / 872 - poor.value)


def test_a_model_that_is_not_shown_to_be_better_is_said_to_be_so(make_run: MakeRun) -> None:
    comparison = beside(make_run(VARIANTS), 0.65)
    good, poor = (next(row for row in comparison.rows if row.name == name) for name in ("good", "poor"))
    assert warning(comparison, good) == ""
    assert "accuracy of 67.66 is not shown to be better than that of Commonest class, 65.02" in warning(
        comparison, poor
    )
    worse = beside(make_run(VARIANTS), 0.7)
    assert "is no better than that of Commonest class" in warning(worse, poor)


def test_the_best_of_several_baselines_is_asked(make_run: MakeRun) -> None:
    run = make_run(VARIANTS)
    found = compare(replace(run, baselines={"weak": {"accuracy": 0.5}, "strong": {"accuracy": 0.8}}))
    assert found.against_trivial["good"].baseline == "Strong"


def test_a_correlation_beats_a_constant_where_its_interval_is_above_zero(make_run: MakeRun) -> None:
    run = make_run(VARIANTS, metrics=("pearson",))
    constant = Measurement("mean", "pearson", None, "coefficient", True, absent="no correlation exists")
    correlated = [
        replace(one, interval=(0.7, 0.9) if n % 2 else (-0.1, 0.9)) if one.name == "pearson" else one
        for n, one in enumerate(run.measurements)
    ]
    comparison = compare(replace(run, measurements=tuple(correlated), without_model=(constant,)))
    for row in comparison.rows:
        interval = row.quality["pearson"].value.interval
        assert interval is not None
        assert comparison.against_trivial[row.name].is_better == (interval[0] > 0)


def test_measurements_of_an_older_version_have_no_baseline_to_beat(make_run: MakeRun) -> None:
    assert compare(make_run(VARIANTS)).against_trivial == {}
