"""Tests of the file of measurements: what generative models add to it, and files from before there was any of that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.core.errors import CompressError
from compress.core.measurement import FILE, Measured, Measurement, Measurements

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


def test_the_format_is_a_number_and_a_folder_is_made_for_the_file(tmp_path: Path) -> None:
    file = measurements().save(tmp_path / "runs" / "one")
    raw = json.loads(file.read_text())
    assert raw["format"] == 1
    assert raw["measurements"][0]["samples"] == 0
    file.write_text(json.dumps({**raw, "format": 2}))
    with pytest.raises(CompressError, match="another format than 1"):
        Measurements.open(file)


def test_a_value_that_is_no_number_is_never_written(tmp_path: Path) -> None:
    nothing = Measurement("abc", "rouge_l", float("nan"), "share", True)
    with pytest.raises(ValueError, match="JSON"):
        Measurements({}, {}, {}, {}, (), (nothing,)).save(tmp_path)
    assert not (tmp_path / FILE).exists()


def test_an_artifact_is_unmeasured_where_nothing_that_was_run_has_a_value() -> None:
    """A size is known without a run; and what another artifact gave does not count."""
    run, absent = {"runtime": "torch"}, "out of memory"
    found = Measurements(
        *({}, {}, {}, {}),
        tuple(Measured(name, name, name, {}) for name in ("ran", "failed", "half", "asked of nothing")),
        (
            Measurement("ran", "accuracy", 0.9, "share", True, run),
            Measurement("failed", "accuracy", None, "share", True, run, absent=absent),
            Measurement("failed", "peak_memory_bytes", 9.0, "bytes", False, run),
            Measurement("failed", "parameters", 9.0, "count", False),
            Measurement("half", "accuracy", None, "share", True, run, absent=absent),
            Measurement("half", "latency_seconds", 0.1, "seconds", False, run),
        ),
    )
    assert found.unmeasured() == {"failed": absent, "asked of nothing": "nothing was asked of it"}
