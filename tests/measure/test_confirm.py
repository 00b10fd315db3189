"""The recommended variant is measured once more on a split that chose nothing, and on no other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.core.measurement import Measurements
from compress.measure import benchmark
from compress.measure.benchmark import Suite
from compress.measure.confirm import check_split, confirm
from compress.models.load import resolve_model
from tests.report.made_up import Made, make
from tests.tiny import WORDS, write_model
from tests.workers import workers_here

__all__ = ["workers_here"]

SUITE = Suite.model_validate(
    {
        "threads": 1,
        "rounds": 1,
        "repeats": 0,
        "options": ("ours",),
        "conditions": ({"batch": 1, "length": "real", "calls": 1},),
    }
)
GOOD, LOSSY = Made("good", 770, 1, 3.0, 20), Made("lossy", 700, 80, 9.0, 5)


@dataclass(frozen=True)
class Named:
    """As much of an artifact as is asked for."""

    print: str

    def fingerprint(self) -> str:
        return self.print


def confirmed(run: Measurements, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be measured: artifacts, folder and split."""
    asked: list[Any] = []

    def record(artifacts: Any, suite: Suite, out: Path, **more: Any) -> Measurements:
        asked.append(([name for name, _ in artifacts], suite.slices, out, more["split"]))
        return run

    monkeypatch.setattr(benchmark, "run", record)
    artifacts: Any = [(one.name, Named(one.fingerprint)) for one in run.artifacts]
    confirm(run, artifacts, SUITE, Path("out"), split="test", cache=Path("cache"))
    return asked


def test_only_the_recommended_variant_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert confirmed(make([LOSSY, GOOD]), monkeypatch) == [(["good"], (), Path("out/confirmation"), "test")]


def test_where_nothing_is_recommended_nothing_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert confirmed(make([LOSSY]), monkeypatch) == []


@pytest.mark.parametrize("name", ["train", "holdout", "evaluation", "tset"])
def test_a_split_that_chose_something_confirms_nothing(name: str) -> None:
    with pytest.raises(CompressError, match="Confirm on one of these: test"):
        check_split(name, None)


def write_rows(file: Path, head: str, rows: list[str]) -> None:
    file.write_text("\n".join([head, *rows, ""]))


def test_a_split_without_labels_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    write_rows(tmp_path / "test.tsv", "index\tsentence", [f"{n}\t{WORDS[n]}" for n in range(8)])
    with pytest.raises(CompressError, match="The test split of sst2 has no labels"):
        check_split("test", {"name": "sst2", "data": str(tmp_path)})


@pytest.mark.usefixtures("workers_here")
def test_another_split_is_measured_by_its_own_rows_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_fp32_onnx", lambda *_: None)
    data = tmp_path / "data"
    data.mkdir()
    write_rows(data / "dev.tsv", "sentence\tlabel", [f"{WORDS[n]} {WORDS[n + 1]}\t{n % 2}" for n in range(10)])
    write_rows(data / "test-labeled.tsv", "sentence\tlabel", [f"{WORDS[n]}\t{n % 2}" for n in range(7)])
    task = {"name": "sst2", "data": str(data)}
    model = resolve_model(str(write_model(tmp_path / "model", num_hidden_layers=1)))
    found = benchmark.run([("m", model)], SUITE, tmp_path / "out", cache=tmp_path / "cache", task=task, split="test")
    accuracy = next(one for one in found.measurements if one.name == "accuracy")
    assert (found.split["split"], accuracy.condition["split"], accuracy.samples) == ("test", "test", 7)
