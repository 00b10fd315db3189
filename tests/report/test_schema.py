"""`report.json` keeps to its published schema, whatever kind of run it is of, and the schema says what every key means."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from compress import report
from compress.core.measurement import CONFIRMATION, Measurement, Measurements
from compress.report import schema
from compress.report.data_files import SCHEMA_VERSION
from tests.report.made_up import EXPORT, Made, compared, make, zeroed
from tests.report.made_up_generative import COLLAPSED, GENERATORS, decoders, summarizers, write_outputs
from tests.report.schema_file import FILE

TAUGHT = Made("taught", 752, 40, 1.9, 69, steps=(compared(), EXPORT), precision="fp32")
SPARSE = Made("sparse", 760, 20, 1.01, 90.9, steps=(zeroed(), EXPORT), precision="fp32", zeros=0.6)
BUDGET = {"max_drop": 1.0, "min_speedup": 2, "max_mb": 30}


def classifier(folder: Path) -> Measurements:
    """With all that a report of a classifier may hold: labels, slices, probabilities, a trivial baseline, lost examples."""
    run = make((Made("int8", 769, 1, 2.4, 23.1, absent={"latency_seconds": "no kernel"}), TAUGHT, SPARSE))
    right = {one.artifact: one.per_example for one in run.measurements if one.name == "accuracy"}
    scores = [
        Measurement(artifact, name, 0.1, "share", False, samples=872, per_example=tuple((1 - one) / 2 for one in mine))
        for artifact, mine in right.items()
        for name in ("calibration_error", "brier_score")
    ]
    trivial = Measurement("commonest class", "accuracy", 0.51, "share", True, per_example=run.references)
    row = {"row": 7, "text": "dull", "label": "a", "uncompressed": "a", "answer": "b", "confidence": None}
    (folder / "lost_examples.json").write_text(json.dumps({"int8": {"lost": 1, "gained": 0, "rows": [row]}}))
    return replace(
        run,
        task={**run.task, "label_names": ["negative", "positive"]},
        slices={"label": {"names": ["negative", "positive"], "rows": [int(one) for one in run.references]}},
        measurements=(*run.measurements, *scores),
        baselines={"commonest class": {"accuracy": 0.51}},
        without_model=(trivial,),
    )


def confirmed(folder: Path) -> Measurements:
    """With a second measurement on a split that chose nothing."""
    run = make([Made("good", 770, 1, 3.0, 20), Made("other", 700, 80, 9.0, 5)])
    replace(run, split={**run.split, "split": "test"}).save(folder / CONFIRMATION)
    return run


def generative(folder: Path) -> Measurements:
    """Summaries, with the texts that were generated."""
    write_outputs(folder)
    return summarizers((*GENERATORS, COLLAPSED))


RUNS: dict[str, tuple[Callable[[Path], Measurements], dict[str, float] | None]] = {
    "classifier": (classifier, BUDGET),
    "confirmed": (confirmed, None),
    "generative": (generative, None),
    "decoder": (lambda _: decoders(), {"max_drop": 0.5, "min_speedup": 1.3}),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The report of each run as data."""
    found = {}
    for name, (run, budget) in RUNS.items():
        folder = tmp_path_factory.mktemp(name)
        run(folder).save(folder)
        found[name] = json.loads(report.write([folder], folder / "report.html", budget=budget).json.read_text())
    return found


@pytest.mark.parametrize("name", RUNS)
def test_every_report_keeps_to_the_schema(name: str, reports: dict[str, dict[str, Any]]) -> None:
    schema.ReportFile.model_validate_json(json.dumps(reports[name]))


def test_the_reports_that_are_checked_hold_every_optional_part(reports: dict[str, dict[str, Any]]) -> None:
    parts = {name: one["runs"][0] for name, one in reports.items()}
    assert all(parts["classifier"]["breakdown"].values())
    assert parts["classifier"]["zeros"]
    assert parts["classifier"]["trivial_baselines"]
    assert any(one["against_trivial"] for one in parts["classifier"]["artifacts"])
    assert any(one["teacher_effect"] for one in parts["classifier"]["steps"])
    again = parts["confirmed"]["confirmation"]
    assert (again["held"], again["split"], again["examples"]) == (True, "test", 872)
    assert all(parts["generative"]["generation"][name] for name in ("pace", "signatures", "warnings", "examples"))
    assert [bool(one["budget"]) for one in parts.values()] == [True, False, False, True]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.update(surprise=1),
        lambda run: run.pop("lead"),
        lambda run: run["tests"][0].update(word="no difference shown"),
        lambda run: run["artifacts"][0]["disk_bytes"].update(value="91 MB"),
        lambda run: run["artifacts"][0].update(speeds=None),
    ],
    ids=["a new key", "a key less", "another word", "a text for a number", "null for a list"],
)
def test_what_is_not_in_the_schema_is_refused(
    spoil: Callable[[dict[str, Any]], object], reports: dict[str, dict[str, Any]]
) -> None:
    found = copy.deepcopy(reports["confirmed"])
    spoil(found["runs"][0])
    with pytest.raises(ValidationError):
        schema.ReportFile.model_validate_json(json.dumps(found))


def test_the_published_file_is_the_schema_of_the_code() -> None:
    assert FILE.read_text(encoding="utf-8") == schema.as_text(), "run `make format`"
    assert schema.json_schema()["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_every_key_of_the_schema_is_described() -> None:
    bare = [
        f"{name}.{key}"
        for name, key, one in properties()
        if not one.get("description", "").strip().endswith((".", ")"))
    ]
    assert bare == []


def properties() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every key of every object: the object's name, the key, and its part of the schema."""
    whole = schema.json_schema()
    for name, part in {"ReportFile": whole, **whole["$defs"]}.items():
        for key, one in part["properties"].items():
            yield name, key, one
