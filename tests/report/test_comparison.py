"""One run's values side by side: differences, ratios, parents, and what is absent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import binomtest

from compress.core.measurement import Measurements
from compress.metrics import verdicts
from compress.report import lineage
from compress.report.comparison import Row, compare
from tests.report.made_up import EXPORT, USUAL, Made, MakeRun, int8
from tests.report.made_up_generative import decoders


def row(measurements: Measurements, name: str) -> Row:
    return next(one for one in compare(measurements).rows if one.name == name)


def test_the_test_of_a_variant_is_mcnemar_exact_on_the_rows_only_one_has_right(make_run: MakeRun) -> None:
    measurements = make_run([Made("lossy", right=740, flips=40, speed=2.0, megabytes=20)])
    change = row(measurements, "lossy").quality["accuracy"].difference
    assert (change.only_here, change.only_there) == (10, 40)
    assert change.p_value == pytest.approx(binomtest(10, 50, 0.5).pvalue)
    assert change.value == pytest.approx((740 - 770) / 872)
    assert change.word == "worse"
    assert change.interval is not None
    assert change.interval[0] < change.value < change.interval[1]


def test_an_artifact_that_answers_as_the_root_is_not_worse_with_p_1(make_run: MakeRun) -> None:
    change = row(make_run(), "fp32-onnx").quality["accuracy"].difference
    assert (change.value, change.p_value, change.word) == (0.0, 1.0, "not worse")


def test_a_gain_is_called_better(make_run: MakeRun) -> None:
    gain = Made("gain", right=800, flips=5, speed=2.0, megabytes=20)
    assert row(make_run([gain]), "gain").quality["accuracy"].difference.word == "better"


def test_sizes_and_speeds_are_ratios_to_the_fp32_onnx_export_of_the_same_run(make_run: MakeRun) -> None:
    measurements = make_run()
    comparison = compare(measurements)
    variant = row(measurements, "int8-dynamic")
    assert variant.smaller == pytest.approx(91.2 / 23.1)
    assert comparison.headline is not None
    assert (comparison.headline.batch, comparison.headline.length) == (1, "real")
    assert variant.speeds[comparison.headline].ratio.value == 2.43


def test_memory_is_what_a_model_takes_beyond_an_empty_process_of_its_runtime(make_run: MakeRun) -> None:
    memory = row(make_run(), "fp32-torch").memory["loaded"]
    assert memory.peak.value == pytest.approx(302e6 + 90.9e6 * 1.5)
    assert memory.above_empty.value == pytest.approx(90.9e6 * 1.5)


def test_a_quantized_student_is_also_tested_against_the_student_it_was_made_of(make_run: MakeRun) -> None:
    child = row(make_run(), "student-int8")
    assert child.parent is not None
    assert child.parent.name == "student"
    assert child.against_parent is not None
    assert child.against_parent.value == pytest.approx((745 - 748) / 872)
    assert row(make_run(), "int8-dynamic").parent is None


def test_only_the_first_session_options_make_the_table_and_the_others_stand_apart(make_run: MakeRun) -> None:
    comparison = compare(make_run(options=("ours", "default")))
    assert {one.options for one in comparison.conditions} == {"ours"}
    assert {one.options for one in comparison.other_conditions} == {"default"}
    assert len(comparison.conditions) == len(comparison.other_conditions) == 3


def test_what_could_not_be_measured_is_absent_with_its_reason_and_never_zero(make_run: MakeRun) -> None:
    reason = "bf16 cannot run in ONNX Runtime on a CPU"
    absent = {"latency_seconds": reason, "accuracy": "its outputs are not finite numbers", "disk_bytes": "no files"}
    variant = row(make_run([Made("bf16", 770, 0, 1.0, 45, absent=absent)]), "bf16")
    speed = next(iter(variant.speeds.values()))
    assert (speed.median.value, speed.median.absent) == (None, reason)
    assert (speed.ratio.value, speed.ratio.absent) == (None, reason)
    assert variant.quality["accuracy"].difference.absent == "its outputs are not finite numbers"
    assert variant.smaller is None


def test_a_latency_measured_in_one_runtime_says_why_it_is_absent_in_another(make_run: MakeRun) -> None:
    measurements = make_run([Made("bf16", 770, 0, 1.4, 45, runtime="pytorch")])
    elsewhere = [
        replace(one, value=None, absent="no bf16 kernels", condition={**one.condition, "runtime": "onnx_runtime"})
        for one in measurements.measurements
        if one.artifact == measurements.artifacts[2].fingerprint and one.name == "latency_seconds"
    ]
    measurements = replace(measurements, measurements=(*elsewhere, *measurements.measurements))
    speed = next(iter(row(measurements, "bf16").speeds.values()))
    assert speed.median.value is not None
    assert any("no bf16 kernels" in note for note in speed.median.notes)


def test_artifacts_without_results_on_the_same_rows_are_not_tested(make_run: MakeRun) -> None:
    measurements = make_run()
    root = measurements.artifacts[0].fingerprint
    bare = tuple(
        replace(one, per_example=(), predictions=()) if one.artifact == root else one
        for one in measurements.measurements
    )
    change = row(replace(measurements, measurements=bare), "student").quality["accuracy"].difference
    assert change.value == pytest.approx((748 - 770) / 872)
    assert change.word is None
    assert "not tested" in (change.absent or "")


def test_a_regression_is_compared_by_the_paired_jackknife(make_run: MakeRun) -> None:
    change = row(make_run(USUAL[:1], metrics=("pearson", "spearman")), "student").quality["pearson"].difference
    assert change.test == "paired jackknife"
    assert change.p_value is None
    assert change.interval is not None
    assert change.word == verdicts.word(*change.interval, change.margin)


def test_a_run_whose_root_is_an_onnx_graph_is_compared_with_that_graph(make_run: MakeRun) -> None:
    measurements = make_run()
    without = replace(measurements, artifacts=measurements.artifacts[1:])
    comparison = compare(without)
    assert comparison.root is comparison.baseline
    assert comparison.rows[0].quality["accuracy"].difference.value is None
    assert row(without, "student").quality["accuracy"].difference.word == "worse"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "static", "ranges": "mse"}, "int8 static mse"),
        ({"mode": "static", "ranges": "mse", "smooth": 0.5}, "int8 static mse, smoothed"),
        ({"mode": "static", "ranges": "mse", "weights": "int4"}, "int8 static mse, int4 weights"),
        ({"mode": "static", "weights": "int4", "activations": "float"}, "int4 weights alone"),
        ({"mode": "static", "activations": "float"}, "int8 weights alone"),
        ({"mode": "dynamic", "weights": "int8", "activations": "uint8", "smooth": 0.0}, "int8 dynamic"),
    ],
)
def test_what_was_quantized_is_told_in_a_few_words(settings: dict[str, Any], words: str) -> None:
    step = {"technique": "quantize", "settings": {"precision": "int8", **settings}}
    assert lineage.steps({"steps": [step]})[0].words == words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "QAT int8"),
        ({"attention": "both", "smooth": 0.5}, "QAT int8, attention's products, smoothed"),
        ({"weights": "int4", "scales": "fixed", "attention": "none"}, "QAT int8, int4 weights, fixed ranges"),
    ],
)
def test_training_in_integers_is_told_in_a_few_words_and_by_what_it_brought(
    settings: dict[str, Any], words: str
) -> None:
    unlike = {"held_out_rows": 1000, "before_training": 14, "after_training": 5}
    step = {"technique": "qat", "settings": settings, "facts": {"unlike the unquantized model": unlike}}
    made = lineage.steps({"steps": [step]})[0]
    assert made.words == words
    assert "Of 1,000 held-out rows, 14 had another class" in made.story
    assert "before training and 5 after it." in made.story


def test_answers_of_another_model_are_named_with_how_many_there_were() -> None:
    told = {"file": "answers.jsonl", "answers": 4500, "training_rows": 1500, "further_rows": 3000, "left_out": {}}
    step = {"technique": "distill", "settings": {"layers": 3, "teacher_answers": "answers.jsonl"}}
    (made,) = lineage.steps({"steps": [{**step, "facts": {"teachers": ["answers.jsonl"], "teacher_answers": told}}]})
    assert made.words == "distil to 3 layers, from answers.jsonl"
    assert made.story == "Teacher: answers.jsonl. answers.jsonl: 4,500 answers, 3,000 of them to further texts."


def test_a_generative_models_qat_is_compared_token_by_token() -> None:
    unlike = {"held_out_rows": 64, "tokens": 1500, "before_training": 300, "after_training": 20}
    (made,) = lineage.steps(
        {"steps": [{"technique": "qat", "settings": {}, "facts": {"unlike the unquantized model": unlike}}]}
    )
    assert "Of 1,500 tokens of 64 held-out rows, 300 had another token than" in made.story


def test_how_an_artifact_was_made_is_told_in_a_few_words(make_run: MakeRun) -> None:
    measurements = make_run([*USUAL, Made("int4", 760, 20, 1.0, 15, steps=(EXPORT, int8("static")))])
    assert row(measurements, "student-int8").made == "distil to 3 layers → ONNX → int8 dynamic"
    assert row(measurements, "int4").made == "ONNX → int8 static"
    assert row(measurements, "fp32-onnx").made == "uncompressed, exported"


def test_intervals_are_simultaneous_over_the_variants_of_a_run(make_run: MakeRun) -> None:
    for count in (1, 2, 4):
        comparison = compare(make_run(USUAL[:count]))
        assert comparison.level == pytest.approx(1 - 0.05 / count)
        assert {row.quality["accuracy"].difference.level for row in comparison.variants} == {comparison.level}
    assert compare(make_run([])).level == pytest.approx(0.95)


def test_a_budgets_drop_is_the_margin_of_its_metric_and_a_point_that_of_any_other(make_run: MakeRun) -> None:
    run = make_run(USUAL[:1], metrics=("accuracy", "f1"))
    assert compare(run).margins == {"accuracy": 0.01, "f1": 0.01}
    assert compare(run, {"max_drop": 2.5}).margins == {"accuracy": 0.025, "f1": 0.01}
    found = compare(run, {"max_drop": 0.5, "metric": "f1"})
    assert found.margins == {"accuracy": 0.01, "f1": 0.005}
    quality = found.variants[0].quality
    assert (quality["accuracy"].difference.margin, quality["f1"].difference.margin) == (0.01, 0.005)


def test_a_metric_on_a_scale_of_its_own_may_lose_a_hundredth_of_the_uncompressed_models() -> None:
    comparison = compare(decoders())
    assert comparison.root is not None
    whole = comparison.root.quality["perplexity"].value.value
    assert whole is not None
    assert comparison.margins["perplexity"] == pytest.approx(0.01 * whole)
    assert compare(decoders(), {"max_drop": 0.3}).margins["perplexity"] == 0.3


def test_what_can_be_recommended_is_ranked_before_what_cannot(make_run: MakeRun) -> None:
    assert [row.name for row in compare(make_run()).ranked] == [
        "int8-dynamic",
        "int8-static",
        "student",
        "student-int8",
    ]
