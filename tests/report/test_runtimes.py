"""An artifact that was measured in several runtimes has a row for each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compress import report
from compress.core.measurement import Measurements
from compress.report import terminal
from compress.report.comparison import Row, compare
from tests.report.made_up import Made, MakeRun, int8

VARIANT = Made("int8", right=769, flips=9, speed=2.4, megabytes=23, steps=(int8("dynamic"),))


def also_in(measurements: Measurements, name: str, runtime: str, options: str) -> Measurements:
    """The same with one artifact measured in one more runtime, where it errs ten times more and takes twice as long."""
    mine = next(one.fingerprint for one in measurements.artifacts if one.name == name)
    again = []
    for one in measurements.measurements:
        if one.artifact == mine and "runtime" in one.condition:
            changes: dict[str, object] = {"condition": {**one.condition, "runtime": runtime, "options": options}}
            if one.name == "latency_seconds":
                changes |= {"value": 2 * (one.value or 0), "raw": tuple(2 * second for second in one.raw)}
            if one.name == "speedup":
                changes |= {"value": (one.value or 0) / 2, "interval": None}
            if one.name == "accuracy":
                wrong = [n for n, right in enumerate(one.per_example) if right][:10]
                each = tuple(0.0 if n in wrong else right for n, right in enumerate(one.per_example))
                flipped = tuple(1 - said if n in wrong else said for n, said in enumerate(one.predictions))
                changes |= {"value": sum(each) / len(each), "per_example": each, "predictions": flipped}
            again.append(replace(one, **changes))  # type: ignore[arg-type]  # fields by name
    suite = {**measurements.suite, "runtimes": {"onnx_runtime": {}, runtime: {}}}
    return replace(measurements, suite=suite, measurements=(*measurements.measurements, *again))


@pytest.fixture
def measured(make_run: MakeRun) -> Measurements:
    """The variant and the baseline in another runtime too, under options that ONNX Runtime does not know."""
    found = also_in(make_run([VARIANT]), "int8", "other", "plain")
    return also_in(found, "fp32-onnx", "other", "plain")


def rows(measurements: Measurements) -> dict[str, Row]:
    return {row.name: row for row in compare(measurements).rows}


def test_each_runtime_of_an_artifact_is_a_row_with_its_own_values_and_the_artifacts_size(
    measured: Measurements,
) -> None:
    found = rows(measured)
    assert list(found) == [
        "fp32-torch (pytorch)",
        "fp32-onnx (onnx_runtime)",
        "fp32-onnx (other)",
        "int8 (onnx_runtime)",
        "int8 (other)",
    ]
    first, second = found["int8 (onnx_runtime)"], found["int8 (other)"]
    assert first.disk == second.disk
    (one, other) = (row.quality["accuracy"].value.value or 0 for row in (first, second))
    assert one - other == pytest.approx(10 / 872)
    headline = compare(measured).headline
    assert headline is not None
    assert second.speeds[headline].median.value == pytest.approx(2 * (first.speeds[headline].median.value or 0))
    assert second.speeds[headline].ratio.value == pytest.approx((first.speeds[headline].ratio.value or 0) / 2)
    assert [(row.speeds[headline].runtime, row.speeds[headline].options) for row in (first, second)] == [
        ("onnx_runtime", "ours"),
        ("other", "plain"),
    ]


def test_what_others_are_compared_with_is_the_baseline_in_the_runtime_of_its_format(measured: Measurements) -> None:
    comparison = compare(measured)
    assert comparison.baseline is comparison.rows[1]
    assert comparison.headline is not None
    assert comparison.rows[2].speeds[comparison.headline].ratio.value == 0.5
    assert comparison.rows[2].quality["accuracy"].difference.word == "worse"


def test_without_runtimes_asked_for_each_artifact_is_one_row_under_the_artifacts_own_name(make_run: MakeRun) -> None:
    assert list(rows(make_run([VARIANT]))) == ["fp32-torch", "fp32-onnx", "int8"]


def test_every_file_of_the_report_names_the_runtime(measured: Measurements, tmp_path: Path) -> None:
    measured.save(tmp_path)
    report.write([tmp_path], tmp_path / "report.html")
    for name in ("report.html", "report.csv"):
        assert "int8 (other)" in (tmp_path / name).read_text(encoding="utf-8")
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["runs"][0]["artifacts"]
    assert [one.get("runtime") for one in told] == ["pytorch", "onnx_runtime", "other", "onnx_runtime", "other"]
    column = next(iter(terminal.table(measured).columns)).cells
    assert "int8 (other)" in [str(cell) for cell in column]


@pytest.mark.parametrize("asked", [{}, {"runtimes": {"other": {}}}])
def test_an_artifact_that_was_run_nowhere_keeps_its_row(make_run: MakeRun, asked: dict[str, object]) -> None:
    found = make_run([VARIANT])
    mine = next(one.fingerprint for one in found.artifacts if one.name == "int8")
    left = tuple(one for one in found.measurements if one.artifact != mine or "runtime" not in one.condition)
    assert "int8" in rows(replace(found, measurements=left, suite={**found.suite, **asked}))
