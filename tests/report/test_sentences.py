"""What a report says in sentences: savings beside the fp32 ONNX export, the change in quality, and how certain both are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from compress.core.measurement import Measurements
from compress.report.comparison import Comparison, Row, compare
from compress.report.recommendations import Recommendation
from compress.report.sentences import lead, quality, savings, story
from tests.report.made_up import Made, MakeRun
from tests.report.made_up_generative import Generator, decoders

EXPORT_MEGABYTES = 91.2
UNMEASURED = {"latency_seconds": "no kernel", "accuracy": "it broke", "disk_bytes": "no file"}


def row_of(measurements: Measurements, name: str = "one") -> tuple[Comparison, Row]:
    comparison = compare(measurements)
    return comparison, next(row for row in comparison.rows if row.name == name)


@pytest.mark.parametrize(
    ("smaller", "speed", "interval", "said"),
    [
        (4.0, 3.0, (2.9, 3.1), "4.0× smaller and 3.0× faster than the fp32 ONNX export"),
        (1.06, 1.06, (1.01, 1.1), "1.1× smaller and 1.1× faster than the fp32 ONNX export"),
        (1.04, 3.0, (2.9, 3.1), "0.96× the size and 3.0× faster, compared with the fp32 ONNX export"),
        (0.5, 3.0, (2.9, 3.1), "2.0× the size and 3.0× faster, compared with the fp32 ONNX export"),
        (4.0, 1.04, (1.001, 1.09), "4.0× smaller and 1.0× the speed, compared with the fp32 ONNX export"),
        (4.0, 0.5, (0.4, 0.6), "4.0× smaller and 0.50× the speed, compared with the fp32 ONNX export"),
        (4.0, 1.2, (1.001, 1.4), "4.0× smaller and 1.2× faster than the fp32 ONNX export"),
    ]
    + [
        (
            4.0,
            speed,
            ends,
            f"4.0× smaller and {said}× the speed (no difference shown), compared with the fp32 ONNX export",
        )
        for speed, ends, said in ((1.2, (1.0, 1.4), "1.2"), (1.2, (0.9, 1.5), "1.2"), (0.9, (0.8, 1.0), "0.90"))
    ],
)
def test_a_comparative_is_said_from_five_percent_on_and_where_the_interval_leaves_out_1(
    smaller: float, speed: float, interval: tuple[float, float], said: str, make_run: MakeRun
) -> None:
    run = make_run([Made("one", 769, 9, speed, EXPORT_MEGABYTES / smaller)], metrics=())
    found = (
        replace(one, interval=interval) if one.name == "speedup" and one.value == speed else one
        for one in run.measurements
    )
    assert savings(*row_of(replace(run, measurements=tuple(found)))) == said


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ({"disk_bytes": "no file"}, "3.0× faster than the fp32 ONNX export"),
        ({"latency_seconds": "no kernel"}, "4.0× smaller than the fp32 ONNX export"),
        (UNMEASURED, "its size and speed beside the fp32 ONNX export were not measured"),
    ],
)
def test_savings_leave_out_what_was_not_measured(absent: dict[str, str], said: str, make_run: MakeRun) -> None:
    made = Made("one", 769, 9, 3.0, EXPORT_MEGABYTES / 4, absent=absent)
    assert savings(*row_of(make_run([made], metrics=()))) == said


def test_the_first_sentence_says_whether_quality_was_compared(make_run: MakeRun) -> None:
    comparison, row = row_of(make_run([Made("one", 769, 9, 3.0, 22.8, absent={"accuracy": "it broke"})]))
    assert "export, accuracy not compared." in lead(comparison, (Recommendation("", row, True),))
    comparison, row = row_of(decoders((Generator("one", 0.4, 3.0, 30, surprise=1e-5),)))
    assert "export, perplexity not worse than 0.096 (" in lead(comparison, (Recommendation("", row, True),))


def test_where_nothing_was_tested_nothing_is_recommended(make_run: MakeRun) -> None:
    comparison, _ = row_of(make_run([Made("one", 700, 80, 3.0, 22.8)]))
    assert lead(comparison, ()) == "No variant could be tested against the uncompressed model, so none is recommended."


def test_a_variants_story_has_its_savings_their_interval_and_its_quality(make_run: MakeRun) -> None:
    comparison, row = row_of(make_run([Made("one", 700, 80, 2.0, 22.8)]))
    assert comparison.headline is not None
    assert story(comparison, row) == (
        f"4.0× smaller and 2.0× faster than the fp32 ONNX export ({comparison.headline.words}, "
        f"95 % interval of the ratio 1.9 to 2.1). {quality(comparison, row, 'accuracy')[0]}"
    )
    comparison, row = row_of(make_run([Made("one", 770, 0, 2.0, 22.8, absent=UNMEASURED)]))
    assert story(comparison, row) == (
        "Its size and speed beside the fp32 ONNX export were not measured. "
        "Its speed ratio is absent: no kernel. Accuracy: absent (it broke)."
    )


def test_a_quality_is_told_with_the_uncompressed_one_its_interval_and_its_test(make_run: MakeRun) -> None:
    comparison, row = row_of(make_run([Made("one", 700, 80, 2.0, 22.8)]))
    change = row.quality["accuracy"].difference
    assert quality(comparison, row, "accuracy") == [
        "Accuracy is 80.28 against 88.30 uncompressed: −8.03 points, "
        f"95 % interval {comparison.scale.signed_range(change.interval)}, worse "
        "(Tango's score interval, p < 0.001, 872 examples)."
    ]


def test_too_few_examples_say_what_is_not_ruled_out_and_how_many_would_settle_it(make_run: MakeRun) -> None:
    comparison, row = row_of(make_run([Made("one", 767, 9, 2.0, 22.8)]))
    change = row.quality["accuracy"].difference
    assert change.interval is not None
    told, left = quality(comparison, row, "accuracy")
    assert ", not enough examples (" in told
    assert left == (
        f"On 872 examples a loss of up to {-100 * change.interval[0]:.1f} points of accuracy cannot be ruled out; "
        f"about {change.enough:,} examples would settle it."
    )


def test_a_loss_as_large_as_the_margin_is_not_said_to_be_settled_by_more_examples(make_run: MakeRun) -> None:
    comparison, row = row_of(make_run([Made("one", 761, 30, 2.0, 22.8)]))
    assert row.quality["accuracy"].difference.enough is None
    assert quality(comparison, row, "accuracy")[1].endswith(
        "what was measured is so near the margin of 1 point that more examples may not settle it."
    )


def test_where_lower_is_better_a_rise_is_not_ruled_out() -> None:
    run = decoders((Generator("one", 0.4, 3.0, 30, surprise=1e-5),))
    comparison = compare(run, {"max_drop": 0.0})
    row = next(one for one in comparison.rows if one.name == "one")
    change = row.quality["perplexity"].difference
    assert change.interval is not None
    told, left = quality(comparison, row, "perplexity")
    assert " uncompressed, lower is better: " in told
    assert f"a rise of up to {comparison.scale.amount(change.interval[1])} in perplexity cannot be ruled out" in left


def test_an_equal_variant_leaves_nothing_open(make_run: MakeRun) -> None:
    comparison, row = row_of(make_run([Made("one", 770, 0, 2.0, 22.8)]))
    assert quality(comparison, row, "accuracy")[1:] == []
    bare = replace(row.quality["accuracy"].difference, word=None, absent=None)
    untested = replace(row, quality={"accuracy": replace(row.quality["accuracy"], difference=bare)})
    assert quality(comparison, untested, "accuracy") == ["Accuracy is 88.30 against 88.30 uncompressed; not tested."]
    assert not math.isnan(bare.value or 0.0)
