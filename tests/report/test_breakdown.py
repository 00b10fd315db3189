"""Beyond the metric: calibration, confusion, the worst slice, and the examples that only the compressed model gets wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from compress import report
from compress.core.measurement import Measurement, Measurements
from compress.report.breakdown import Breakdown, breakdown
from compress.report.comparison import compare
from compress.report.page.beyond import parts
from compress.report.significance import difference
from tests.report.made_up import Made, make

VARIANTS = (Made("int8", 760, 20, 2.4, 23.1), Made("student", 700, 100, 4.6, 17.8))


@pytest.fixture(scope="module")
def run() -> Measurements:
    """A run with labels, slices and probabilities: the variants lose on short texts alone."""
    made = make(VARIANTS)
    references = np.array(made.references)
    right = {one.artifact: np.array(one.per_example) for one in made.measurements if one.name == "accuracy"}
    root = next(one.fingerprint for one in made.artifacts if one.role == "root")
    student = next(one.fingerprint for one in made.artifacts if one.name == "student")
    short = np.flatnonzero(right[root] > right[student])
    of_length = [1] * len(references)
    for place in [*short, *range(0, 200, 3)]:
        of_length[place] = 0
    slices = {
        "label": {"names": ["negative", "positive"], "rows": [int(one) for one in references]},
        "length": {"names": ["1 to 5 words", "6 to 40 words"], "rows": of_length},
        "region": {"names": ["north", "tiny"], "rows": [int(n < 10) for n in range(len(references))]},
    }
    scored = [
        Measurement(artifact, name, 0.1, "share", False, samples=len(references), interval=(0.05, 0.15), **kept)  # type: ignore[arg-type]  # a field by its name
        for artifact, mine in right.items()
        for name, kept in (("calibration_error", {}), ("brier_score", {"per_example": tuple((1 - mine) * 0.5)}))
    ]
    task = {**made.task, "label_names": ["negative", "positive"]}
    return replace(made, task=task, slices=slices, measurements=(*made.measurements, *scored))


def of(run: Measurements, folder: Path = Path()) -> Breakdown:
    comparison = compare(run)
    wanted = next(row for row in comparison.rows if row.name == "student")
    found = breakdown(folder / "measurements.json", comparison, [wanted])
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found(run: Measurements) -> Breakdown:
    """Of the run as it is."""
    return of(run)


def test_the_worst_slice_has_the_interval_of_the_worst_of_all(run: Measurements, found: Breakdown) -> None:
    (student, *_) = found.slices
    assert student.worst.name == "1 to 5 words"
    assert len(student.slices) == 5
    assert student.left_out == 1  # ten rows
    assert student.level == pytest.approx(1 - 0.05 / 5)
    change = student.worst.difference
    places = [n for n, of_length in enumerate(run.slices["length"]["rows"]) if of_length == 0]
    here, there = (
        replace(one, per_example=tuple(one.per_example[n] for n in places))
        for name in ("student", "fp32-torch")
        for one in run.measurements
        if one.name == "accuracy" and one.artifact == next(a.fingerprint for a in run.artifacts if a.name == name)
    )
    wanted = difference(here, there, (), level=1 - 0.05 / 5)
    assert wanted.interval is not None
    assert change.interval == wanted.interval
    assert change.interval[0] < (difference(here, there, ()).interval or (0, 0))[0]
    assert student.worst.value - student.worst.uncompressed == pytest.approx(change.value)


def test_a_slice_is_scored_on_its_own_rows(run: Measurements, found: Breakdown) -> None:
    (student, *_) = found.slices
    mine = next(one.fingerprint for one in run.artifacts if one.name == "student")
    right = next(one.per_example for one in run.measurements if (one.artifact, one.name) == (mine, "accuracy"))
    for one in student.slices:
        names, rows = run.slices[one.by]["names"], run.slices[one.by]["rows"]
        there = [score for score, of_row in zip(right, rows, strict=True) if names[of_row] == one.name]
        assert (one.examples, one.value) == (len(there), pytest.approx(np.mean(there)))


def test_confusion_matrices_are_scikit_learns_before_and_after(run: Measurements, found: Breakdown) -> None:
    matrices = {one.name: one for one in found.confusions}
    assert list(matrices)[:2] == ["fp32-torch", "student"]
    for name in ("fp32-torch", "student"):
        mine = next(one.fingerprint for one in run.artifacts if one.name == name)
        given = next(one.predictions for one in run.measurements if (one.artifact, one.name) == (mine, "accuracy"))
        assert matrices[name].counts == tuple(map(tuple, confusion_matrix(run.references, given)))


def test_of_many_labels_the_most_confused_pairs_are_listed(run: Measurements) -> None:
    names = [f"label {n}" for n in range(30)]
    many = replace(run, task={**run.task, "label_names": names}, slices={}, measurements=run.measurements[:-6])
    confused = of(many).confusions[0]
    assert confused.counts == ()
    assert {(right, said) for right, said, _ in confused.pairs} == {("label 0", "label 1"), ("label 1", "label 0")}


def test_the_brier_score_is_compared_with_the_uncompressed_models_on_the_same_examples(found: Breakdown) -> None:
    measured = {one.name: one for one in found.calibration}
    assert measured["fp32-torch"].change is None
    change = measured["student"].change
    assert change is not None
    assert change.value == pytest.approx(0.5 * 70 / 872)  # 770 right before, 700 after
    assert change.interval is not None


def test_the_page_shows_it_folded_and_leaves_texts_out_on_request(run: Measurements, tmp_path: Path) -> None:
    run.save(tmp_path)
    row = {"row": 7, "text": "<b>dull</b> film", "label": "negative", "uncompressed": "negative", "answer": "positive"}
    lost = {"int8": {"lost": 20, "gained": 10, "rows": [{**row, "confidence": 0.93}]}}
    (tmp_path / "lost_examples.json").write_text(json.dumps(lost))
    page = report.write([tmp_path], tmp_path / "report.html").html.read_text()
    assert "&lt;b&gt;dull&lt;/b&gt; film" in page
    assert "alone gets 20 examples wrong" in page
    assert '<details class="part" id="run-1-beyond">' in page
    for words in ("Calibration", "Confusion matrices", "Slices"):
        assert f"<h3>{words}</h3>" in page
    data = json.loads((tmp_path / "report.json").read_text())["runs"][0]["breakdown"]
    assert data["lost"][0]["rows"][0]["text"] == "<b>dull</b> film"
    assert data["slices"][0]["worst"]["name"]
    without = report.write([tmp_path], tmp_path / "without.html", examples=False)
    assert not any("dull" in file.read_text() for file in without)


def test_measurements_of_an_older_version_have_nothing_beyond(tmp_path: Path) -> None:
    comparison = compare(replace(make(VARIANTS), references=()))
    assert breakdown(tmp_path / "measurements.json", comparison, comparison.variants) is None
    assert parts(None, "fp32-torch") == ()


@pytest.mark.parametrize("text", ["", "[]", '{"int8": 3}', '{"int8": {"lost": "x"}}'])
def test_a_file_of_lost_examples_that_cannot_be_read_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "lost_examples.json").write_text(text)
    comparison = compare(replace(make(VARIANTS), references=()))
    assert breakdown(tmp_path / "measurements.json", comparison, comparison.variants) is None
