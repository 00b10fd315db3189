"""Zeros are told beside what they bring: nothing is claimed of them but what was measured beside the same model without."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress import report
from compress.core.measurement import Measurements
from compress.metrics import timings as timing_statistics
from compress.report.comparison import compare
from compress.report.sparsity import Sparse, sparse
from tests.report.made_up import DISTIL, EXPORT, USUAL, Made, MakeRun, int8, removed, zeroed

PRUNED = Made("sparse", 765, 12, 1.01, 90.9, steps=(zeroed(), EXPORT), precision="fp32", zeros=0.6)
STUDENT = USUAL[0]
SPARSE_STUDENT = Made(
    "sparse-student", 742, 50, 1.95, 69.6, steps=(DISTIL, zeroed(share=0.5), EXPORT), precision="fp32", zeros=0.5
)


def lines(measurements: Measurements) -> dict[str, Sparse]:
    return {one.row.name: one for one in sparse(compare(measurements))}


def timings(measurements: Measurements, name: str) -> list[tuple[float, ...]]:
    """The 20 rounds of two calls at batch 1 and real lengths."""
    print_ = next(one.fingerprint for one in measurements.artifacts if one.name == name)
    raw = next(one.raw for one in measurements.measurements if (one.artifact, one.name) == (print_, "latency_seconds"))
    return [raw[n : n + 2] for n in range(0, 40, 2)]


def test_without_zeros_nothing_is_told_of_them_and_rounding_to_int8_makes_none_worth_telling(
    make_run: MakeRun, tmp_path: Path
) -> None:
    assert lines(make_run()) == {}
    make_run().save(tmp_path)
    files = report.write([tmp_path], tmp_path / "report.html")
    assert "Zeros: size and speed" not in files.html.read_text()
    assert json.loads(files.json.read_text())["runs"][0]["zeros"] == []


def test_zeros_that_bring_no_speed_are_told_in_one_sentence_with_its_interval(make_run: MakeRun) -> None:
    found = lines(make_run([PRUNED]))
    assert list(found) == ["fp32-onnx", "sparse"]
    assert found["fp32-onnx"].words == ""
    assert found["sparse"].words.replace("\u00a0", " ") == (
        "60 % of its layers' weights are zero; it is not shown to be faster for that (1.0× as fast as fp32-onnx, 95 % "
        "interval 0.98 to 1.04, one text at a time): ONNX Runtime multiplies by zeros as by any other weight. "
        "Compressed it takes 61.0 MB instead of 83.9 MB (on disk 90.9 MB)."
    )


@pytest.mark.parametrize(
    ("speed", "said"), [(1.2, "it is faster than the same model"), (0.8, "it is slower, not faster,")]
)
def test_a_difference_that_is_shown_is_told_as_one(make_run: MakeRun, speed: float, said: str) -> None:
    assert said in lines(make_run([replace(PRUNED, speed=speed)]))["sparse"].words


def test_a_sparse_student_is_compared_with_the_student_in_the_rounds_they_shared(make_run: MakeRun) -> None:
    measurements = make_run([STUDENT, SPARSE_STUDENT])
    one = lines(measurements)["sparse-student"]
    assert one.twin is not None
    assert one.twin.name == "student"
    condition = compare(measurements).headline
    assert condition is not None
    assert one.beside is not None
    ratio = one.beside[condition]
    expected = timing_statistics.ratio(timings(measurements, "student"), timings(measurements, "sparse-student"))
    assert (ratio.value, ratio.interval) == expected
    assert "as fast as student" in one.words


@pytest.mark.parametrize(
    "other",
    [
        replace(STUDENT, precision="int8"),
        replace(STUDENT, steps=({**DISTIL, "settings": {"layers": 2}}, EXPORT)),
        replace(STUDENT, runtime="pytorch"),
        replace(STUDENT, steps=(DISTIL, removed(), EXPORT)),
        replace(STUDENT, name="teacher"),  # of other parameters
        replace(STUDENT, zeros=0.3),
    ],
    ids=["precision", "layers", "runtime", "shape", "parameters", "zeros"],
)
def test_nothing_is_said_of_speed_beside_another_model_than_the_same_without_zeros(
    make_run: MakeRun, other: Made
) -> None:
    one = lines(make_run([other, SPARSE_STUDENT]))["sparse-student"]
    assert one.twin is None
    assert "was not measured in this run" in one.words
    assert "×" not in one.words


def test_timings_that_are_no_shared_rounds_give_no_ratio(make_run: MakeRun) -> None:
    measurements = make_run([STUDENT, SPARSE_STUDENT])
    uneven = replace(measurements, suite={**measurements.suite, "rounds": 7})
    assert "not timed in the same rounds" in lines(uneven)["sparse-student"].words
    untimed = make_run([STUDENT, replace(SPARSE_STUDENT, absent={"latency_seconds": "it cannot be run"})])
    assert "it cannot be run" in lines(untimed)["sparse-student"].words


def test_an_int8_artifact_is_told_of_when_pruning_left_its_zeros_or_when_they_are_many(make_run: MakeRun) -> None:
    quantized = Made("pruned-int8", 760, 20, 2.4, 23, steps=(zeroed(), EXPORT, int8("dynamic")), zeros=0.62)
    found = lines(
        make_run([USUAL[1], quantized, Made("foreign", 760, 20, 2.4, 23, steps=(int8("static"),), zeros=0.5)])
    )
    assert set(found) == {"fp32-onnx", "int8-dynamic", "pruned-int8", "foreign"}
    assert "as fast as int8-dynamic" in found["pruned-int8"].words  # though only one of the two was exported first
    assert found["foreign"].twin is None


def test_a_structured_step_leaves_no_zeros_and_stays_part_of_the_way(make_run: MakeRun) -> None:
    smaller = Made("smaller", 757, 20, 1.6, 60, steps=(removed(), EXPORT), precision="fp32")
    both = replace(PRUNED, name="both", steps=(removed(), zeroed(), EXPORT))
    found = lines(make_run([smaller, both]))
    assert set(found) == {"fp32-onnx", "smaller", "both"}
    assert found["both"].twin is not None
    assert found["both"].twin.name == "smaller"


def test_the_page_and_the_data_show_zeros_parameters_bytes_and_latency_side_by_side(
    make_run: MakeRun, tmp_path: Path
) -> None:
    make_run([STUDENT, PRUNED, SPARSE_STUDENT]).save(tmp_path)
    files = report.write([tmp_path], tmp_path / "report.html")
    page = files.html.read_text().replace("\u00a0", " ")
    for part in ("Zeros: size and speed", "60 %", "6,370,099 of 10,616,832", "61.0 MB", "83.9 MB", "22.7 M"):
        assert part in page, part
    run = json.loads(files.json.read_text())["runs"][0]
    told = {one["name"]: {**one, "words": one["words"].replace("\u00a0", " ")} for one in run["zeros"]}
    assert set(told) == {"sparse", "sparse-student"}
    assert told["sparse"]["words"] in page.replace("&#39;", "'")
    assert told["sparse"]["without_zeros"] == "fp32-onnx"
    first = told["sparse"]["times_as_fast_as_without_zeros"][0]
    assert (first["value"], first["batch"], first["length"]) == (1.01, 1, "real")
    artifact = next(one for one in run["artifacts"] if one["name"] == "sparse")
    assert artifact["zeros_count"] == 6_370_099 == round(artifact["zeros_share"]["value"] * 10_616_832)
    assert artifact["compressed_bytes"]["value"] == pytest.approx(61.05e6, rel=1e-3)
    with files.csv.open(newline="") as stream:
        cells = {line["name"]: line for line in csv.DictReader(stream)}
    assert cells["sparse"]["zeros"] == "6370099"
    assert cells["sparse"]["without_zeros"] == "fp32-onnx"
    assert float(cells["sparse"]["speedup_over_without_zeros_batch_1_real_lengths_low"]) == pytest.approx(0.9797)
    assert float(cells["fp32-onnx"]["compressed_size_mb"]) == pytest.approx(83.9, rel=1e-3)
    assert cells["fp32-onnx"]["without_zeros"] == ""


def test_zeros_that_could_not_be_counted_are_a_dash_with_the_reason(make_run: MakeRun, tmp_path: Path) -> None:
    packed = replace(STUDENT, absent={"zeros": "stored as U8"})
    make_run([packed, SPARSE_STUDENT]).save(tmp_path)
    files = report.write([tmp_path], tmp_path / "report.html")
    with files.csv.open(newline="") as stream:
        assert (
            "zeros_share: stored as U8"
            in next(one for one in csv.DictReader(stream) if one["name"] == "student")["absent"]
        )
    assert '<abbr title="stored as U8">–</abbr>' in files.html.read_text()


def test_a_ratio_whose_interval_holds_one_is_not_called_faster_in_the_verdict(
    make_run: MakeRun, tmp_path: Path
) -> None:
    make_run([PRUNED]).save(tmp_path)
    files = report.write([tmp_path], tmp_path / "report.html")
    run: dict[str, Any] = json.loads(files.json.read_text())["runs"][0]
    assert "faster than" not in run["recommendations"][0]["story"]
    assert "1.0× the speed (no difference shown)" in run["recommendations"][0]["story"]
    assert run["recommendations"][0]["story"].endswith("(on disk 90.9 MB).")


def test_measurements_from_before_zeros_were_counted_still_make_a_report(make_run: MakeRun, tmp_path: Path) -> None:
    measurements = make_run([PRUNED])
    old = tuple(one for one in measurements.measurements if one.name not in {"zeros", "compressed_bytes"})
    assert lines(replace(measurements, measurements=old)) == {}
    replace(measurements, measurements=old).save(tmp_path)
    report.write([tmp_path], tmp_path / "report.html")
