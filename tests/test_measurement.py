"""Tests of the file of measurements: what generative models add to it, and files from before there was any of that."""

from __future__ import annotations

import json
from pathlib import Path

from compress.measurement import FILE, Measurement, Measurements


def measurements() -> Measurements:
    """One ROUGE with its rows of statistics, and a baseline that takes no model."""
    rouge = Measurement(
        "abc", "rouge_l", 0.3, "share", True, per_example=(0.2, 0.4), statistics=((0.2, 1.0), (0.4, 1.0))
    )
    return Measurements({}, {}, {}, {}, (), (rouge,), baselines={"lead-3": {"rouge_l": 0.24}})


def test_statistics_and_baselines_open_equal(tmp_path: Path) -> None:
    measurements().save(tmp_path)
    assert Measurements.open(tmp_path) == measurements()


def test_a_file_from_before_generative_models_opens(tmp_path: Path) -> None:
    file = measurements().save(tmp_path)
    raw = json.loads(file.read_text())
    del raw["baselines"]
    del raw["measurements"][0]["statistics"]
    (tmp_path / FILE).write_text(json.dumps(raw))
    found = Measurements.open(tmp_path)
    assert (found.baselines, found.measurements[0].statistics) == ({}, ())
    assert found.measurements[0].per_example == (0.2, 0.4)
