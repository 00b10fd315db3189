"""Tests of the file of measurements: what generative models add to it, and files from before there was any of that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.core.errors import CompressError
from compress.core.measurement import FILE, Measurement, Measurements

FIELDS = ("suite", "machine", "task", "split")


def measurements() -> Measurements:
    """One ROUGE with its rows of statistics, and a baseline that takes no model."""
    rouge = Measurement(
        "abc", "rouge_l", 0.3, "share", True, per_example=(0.2, 0.4), statistics=((0.2, 1.0), (0.4, 1.0))
    )
    return Measurements({}, {}, {}, {}, (), (rouge,), baselines={"lead-3": {"rouge_l": 0.24}})


def test_statistics_and_baselines_open_equal(tmp_path: Path) -> None:
    measurements().save(tmp_path)
    assert Measurements.open(tmp_path) == measurements()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"[]",
        b"[" * 5000,
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"format": 1}',
        *(
            json.dumps(
                {"format": 1, **{name: {} for name in FIELDS}, "artifacts": [], "measurements": [], **changes}
            ).encode()
            for changes in (
                {"artifacts": 5},
                {"artifacts": [5]},
                {"artifacts": [{"name": 5}]},
                {"measurements": [{"name": []}]},
                {"references": "x"},
                {"notes": {"a": 1}},
                {"suite": 3},
                {"unknown": 1},
            )
        ),
    ],
)
def test_what_is_no_file_of_measurements_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CompressError, match="is not a file of measurements|another format"):
        Measurements.open(tmp_path)


def test_a_file_from_before_generative_models_opens(tmp_path: Path) -> None:
    file = measurements().save(tmp_path)
    raw = json.loads(file.read_text())
    del raw["baselines"]
    del raw["measurements"][0]["statistics"]
    (tmp_path / FILE).write_text(json.dumps(raw))
    found = Measurements.open(tmp_path)
    assert (found.baselines, found.measurements[0].statistics) == ({}, ())
    assert found.measurements[0].per_example == (0.2, 0.4)
