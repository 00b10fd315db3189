"""The ratio to torch comes from the rounds that both were timed in, and is refused where one of the two ratios was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compress.report.comparison import Comparison, Row, compare
from compress.report.page.torch_ratio import times_torch
from tests.report.made_up import USUAL, MakeRun


def row_of(comparison: Comparison, name: str) -> Row:
    return next(row for row in comparison.rows if row.name == name)


def test_it_is_the_ratio_of_the_two_medians_round_by_round(make_run: MakeRun) -> None:
    comparison = compare(make_run(USUAL[1:2]))
    assert comparison.headline is not None
    found = times_torch(comparison, row_of(comparison, "int8-dynamic"), comparison.headline)
    assert found.value == pytest.approx(2.43 / 0.55, rel=0.05)
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]


@pytest.mark.parametrize("refused", ["fp32-torch", "int8-dynamic"])
def test_a_refused_ratio_is_refused_here_too(make_run: MakeRun, refused: str) -> None:
    run = make_run(USUAL[1:2])
    (mark,) = [one.fingerprint for one in run.artifacts if one.name == refused]
    busy = [
        replace(one, value=None, interval=None, absent="the machine was busy")
        if one.name == "speedup" and one.artifact == mark
        else one
        for one in run.measurements
    ]
    comparison = compare(replace(run, measurements=tuple(busy)))
    assert comparison.headline is not None
    found = times_torch(comparison, row_of(comparison, "int8-dynamic"), comparison.headline)
    assert (found.value, found.absent) == (None, "the machine was busy")


def test_the_model_in_torch_has_none_to_itself(make_run: MakeRun) -> None:
    comparison = compare(make_run(USUAL[1:2]))
    assert comparison.headline is not None
    assert times_torch(comparison, row_of(comparison, "fp32-torch"), comparison.headline).value is None
    assert times_torch(comparison, row_of(comparison, "fp32-onnx"), comparison.headline).value == pytest.approx(
        1 / 0.55, rel=0.05
    )
