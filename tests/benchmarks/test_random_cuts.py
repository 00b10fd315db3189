"""Fewer rows do not recommend what all rows show to be worse: what `benchmarks/random_cuts.py` counts, on made-up runs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from compress.core.measurement import Measurements
from compress.report.comparison import compare
from compress.report.limits import Budget
from tests.report.made_up import Made, make

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "random_cuts.py"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The script as a module."""
    found = importlib.util.spec_from_file_location("random_cuts", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["random_cuts"] = module
    found.loader.exec_module(module)
    yield module
    del sys.modules["random_cuts"]


@pytest.fixture(scope="module")
def run() -> Measurements:
    """Of 1,500 rows the uncompressed model has 1,281 right; one variant loses 4.7 points, one 2, one nothing."""
    return make(
        [
            Made("student-int8", 1211, 150, 6.8, 17.8),
            Made("student", 1251, 90, 3.0, 40.0),
            Made("teacher-int8", 1281, 1, 2.4, 23.0),
        ],
        rows=1500,
        right=1281,
    )


def test_a_cut_has_the_values_of_its_rows_alone(script: ModuleType, run: Measurements) -> None:
    rows = [3, 10, 500, 1499]
    found = script.cut(run, rows)
    assert found.references == tuple(run.references[row] for row in rows)
    for one, whole in zip(found.measurements, run.measurements, strict=True):
        if whole.name == "accuracy":
            assert one.value == pytest.approx(np.mean([whole.per_example[row] for row in rows]))
        if whole.name == "latency_seconds":
            assert one == whole
    assert compare(found).variants[0].quality["accuracy"].difference.examples == len(rows)


def test_what_all_rows_show_to_be_worse_is_named(script: ModuleType, run: Measurements) -> None:
    assert script.losers(compare(run)) == {"student-int8", "student"}


@pytest.mark.parametrize("rows", [20, 100])
def test_at_most_one_cut_of_twenty_recommends_what_all_rows_show_to_be_worse(
    script: ModuleType, run: Measurements, rows: int
) -> None:
    found = script.count(run, Budget(max_drop=1.0), rows, cuts=20, seed=0)
    assert found.wrong <= 1
