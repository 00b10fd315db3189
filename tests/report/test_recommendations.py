"""What is recommended: the fastest of those shown to be no worse than the margin in every metric, never one chosen by noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compress.core.measurement import Measurement, Measurements
from compress.report.comparison import compare
from compress.report.obstacles import obstacles
from compress.report.recommendations import latency_front, recommendations
from compress.report.sentences import lead
from tests.report.made_up import DISTIL, EXPORT, Made, MakeRun, int8
from tests.report.made_up_generative import Generator, decoders, summarizers

SAFE_FAST = Made("safe-fast", 769, 2, 3.0, 40)
SAFE_SMALL = Made("safe-small", 769, 1, 2.0, 10)
LOSSY = Made("lossy", 700, 80, 9.0, 5)
UNCLEAR = Made("unclear", 767, 9, 2.5, 20)


def chosen(run: Measurements, budget: Mapping[str, Any] | None = None) -> list[tuple[str, str, bool]]:
    return [(one.title, one.row.name, one.recommended) for one in recommendations(compare(run, budget))]


def first_sentence(run: Measurements, budget: Mapping[str, Any] | None = None) -> str:
    comparison = compare(run, budget)
    return lead(comparison, recommendations(comparison))


def why_not(run: Measurements, name: str, budget: Mapping[str, Any] | None = None) -> list[str]:
    comparison = compare(run, budget)
    return [one.kind for one in obstacles(comparison, next(row for row in comparison.rows if row.name == name))]


def test_the_fastest_without_a_loss_beyond_the_margin_is_recommended_and_the_next_is_the_runner_up(
    make_run: MakeRun,
) -> None:
    run = make_run([SAFE_SMALL, LOSSY, SAFE_FAST])
    assert chosen(run) == [("Recommended", "safe-fast", True), ("Runner-up", "safe-small", True)]
    assert [row.name for row in compare(run).ranked] == ["safe-fast", "safe-small", "lossy"]
    best = recommendations(compare(run))[0]
    assert (best.folder, best.reason) == ("runs/safe-fast", "safe-fast is the fastest that can be recommended.")


def test_without_a_runner_up_one_that_is_faster_at_a_loss_is_shown_and_not_recommended(make_run: MakeRun) -> None:
    assert chosen(make_run([SAFE_FAST, LOSSY])) == [
        ("Recommended", "safe-fast", True),
        ("Faster, at a loss", "lossy", False),
    ]
    slower = replace(LOSSY, speed=2.0)
    assert chosen(make_run([SAFE_FAST, slower])) == [("Recommended", "safe-fast", True)]


def test_a_loss_that_too_few_examples_leave_open_is_no_recommendation_yet(make_run: MakeRun) -> None:
    run = make_run([UNCLEAR])
    assert chosen(run) == [("Closest to a recommendation", "unclear", False)]
    enough = compare(run).variants[0].quality["accuracy"].difference.enough
    assert first_sentence(run) == (
        "No recommendation yet: on 872 examples a loss of up to 1.3 points of accuracy cannot be ruled out for unclear; "
        f"about {enough:,} examples would settle it."
    )


def test_a_margin_set_by_the_budget_may_be_wide_enough(make_run: MakeRun) -> None:
    run = make_run([UNCLEAR])
    assert chosen(run, {"max_drop": 2}) == [("Recommended", "unclear", True)]
    assert chosen(run, {"max_drop": 0.5}) == [("Closest to a recommendation", "unclear", False)]


def test_where_every_variant_shows_a_loss_none_is_recommended_and_the_least_loss_is_named(make_run: MakeRun) -> None:
    worse = Made("worse", 650, 130, 12.0, 4)
    run = make_run([worse, LOSSY])
    assert chosen(run) == [("Closest to a recommendation", "lossy", False)]
    assert first_sentence(run).startswith(
        "No recommendation: every variant loses more than the margin. lossy loses least: 18× smaller and 9.0× faster"
    )
    assert first_sentence(make_run([LOSSY])).startswith("No recommendation: lossy loses more than the margin: 18× ")


def test_a_student_that_is_worse_in_any_metric_of_the_task_is_not_taken(make_run: MakeRun) -> None:
    """As on CoLA: too few examples for Matthews, and an accuracy that is shown to be worse."""
    run = make_run([LOSSY], metrics=("matthews", "accuracy"))
    references = np.array(run.references)
    root = next(
        one for one in run.measurements if one.name == "matthews" and one.artifact == run.artifacts[0].fingerprint
    )
    # Its Matthews is as good as the root's, whatever its accuracy.
    found = tuple(
        replace(one, value=root.value, predictions=root.predictions) if one.name == "matthews" else one
        for one in run.measurements
    )
    alike = replace(run, measurements=found)
    assert len(references) == 872
    assert compare(alike).variants[0].quality["matthews"].difference.can_be_recommended
    assert chosen(alike) == [("Closest to a recommendation", "lossy", False)]
    assert why_not(alike, "lossy") == ["loss"]
    assert first_sentence(alike).startswith("No recommendation: lossy loses more than the margin")


def with_commonest_class(run: Measurements, right: int) -> Measurements:
    """The same with the commonest class beside it, which has the first so many rows right."""
    scores = tuple(float(n < right) for n in range(len(run.references)))
    value = right / len(run.references)
    measured = Measurement("commonest class", "accuracy", value, "share", True, per_example=scores)
    return replace(run, baselines={"commonest class": {"accuracy": value}}, without_model=(measured,))


def test_a_model_that_is_not_shown_to_beat_the_commonest_class_is_never_recommended(make_run: MakeRun) -> None:
    """As on WNLI: no worse than a teacher that is itself no better than a guess."""
    guess = Made("guess", 401, 2, 3.0, 20)
    run = with_commonest_class(make_run([guess], rows=872, right=400), 410)
    assert chosen(run) == [("Closest to a recommendation", "guess", False)]
    assert why_not(run, "guess") == ["trivial baseline"]
    assert first_sentence(run) == (
        "No recommendation: guess is not shown to be better than the commonest class (accuracy 47.02)."
    )
    assert chosen(with_commonest_class(make_run([guess], rows=872, right=400), 200))[0] == (
        "Recommended",
        "guess",
        True,
    )


def test_a_summarizer_that_is_not_shown_to_beat_lead_3_is_never_recommended() -> None:
    """As on DialogSum: its interval of ROUGE holds Lead-3's score."""
    run = summarizers((Generator("int8", 0.0, 2.0, 20),))
    found = compare(run).variants[0].quality["rouge_l"].value
    assert chosen(run)[0] == ("Recommended", "int8", True)
    assert found.value is not None
    close = replace(run, baselines={"lead-3": {"rouge_l": found.value - 1e-4}})
    assert chosen(close) == [("Closest to a recommendation", "int8", False)]
    assert "int8 is not shown to be better than Lead-3" in first_sentence(close)


def test_a_collapsed_model_is_never_recommended_whatever_its_score() -> None:
    run = summarizers((Generator("int8", 0.0, 2.0, 20),))
    found = (replace(one, value=0.3) if one.name == "distinct_outputs" else one for one in run.measurements)
    assert why_not(replace(run, measurements=tuple(found)), "int8") == ["collapsed"]


def test_with_a_budget_only_what_is_shown_to_keep_it_is_recommended(make_run: MakeRun) -> None:
    run = make_run([SAFE_FAST, SAFE_SMALL])
    assert chosen(run, {"max_mb": 12}) == [("Recommended", "safe-small", True)]
    assert why_not(run, "safe-fast", {"max_mb": 12}) == ["budget"]
    assert first_sentence(run, {"max_mb": 5}).startswith(
        "No variant is shown to keep the budget. No recommendation: safe-small takes 10.0 MB"
    )


def test_a_variant_that_keeps_a_budget_without_a_drop_is_still_asked_for_its_quality(make_run: MakeRun) -> None:
    assert chosen(make_run([LOSSY]), {"min_speedup": 2}) == [("Closest to a recommendation", "lossy", False)]


def test_what_was_not_timed_is_ranked_after_all_that_was(make_run: MakeRun) -> None:
    untimed = Made("untimed", 770, 1, 9.0, 5, absent={"latency_seconds": "its rounds stayed disturbed"})
    assert chosen(make_run([untimed, SAFE_FAST])) == [
        ("Recommended", "safe-fast", True),
        ("Runner-up", "untimed", True),
    ]


def test_without_any_speed_ratio_the_smallest_is_recommended_and_called_that(make_run: MakeRun) -> None:
    refused = {"latency_seconds": "its rounds stayed disturbed"}
    small, large = Made("small", 770, 1, 2.0, 10, absent=refused), Made("large", 770, 1, 9.0, 40, absent=refused)
    run = make_run([large, small])
    assert chosen(run)[0] == ("Recommended", "small", True)
    assert recommendations(compare(run))[0].reason == "small is the smallest that can be recommended."
    assert "faster" not in first_sentence(run)


STATIC = int8("static") | {"data": {"calibration": {"set": "sst2-256"}}}


def at_equal_speed(run: Measurements, names: Sequence[str], best: str) -> Measurements:
    """The same where some were timed alike, and one has a slightly better ratio by chance."""
    prints = [one.fingerprint for one in run.artifacts if one.name in names]
    lucky = next(one.fingerprint for one in run.artifacts if one.name == best)
    found = []
    for one in run.measurements:
        if one.artifact in prints and one.name == "speedup":
            ratio = 4.81 if one.artifact == lucky else 4.8
            one = replace(one, value=ratio, interval=(4.2, 5.6))
        if one.artifact in prints and one.name == "latency_seconds":
            random = np.random.default_rng(prints.index(one.artifact))
            one = replace(one, raw=tuple(0.001 * random.lognormal(0, 0.05, 40)))
        found.append(one)
    return replace(run, measurements=tuple(found))


@pytest.mark.parametrize("lucky", ["dynamic", "static"])
def test_a_tie_in_speed_is_said_and_decided_by_simplicity_and_not_by_noise(lucky: str, make_run: MakeRun) -> None:
    dynamic = Made("dynamic", 770, 1, 4.8, 18, steps=(int8("dynamic"),))
    static = Made("static", 770, 1, 4.8, 18, steps=(STATIC,))
    run = at_equal_speed(make_run([static, dynamic]), ("static", "dynamic"), lucky)
    assert chosen(run) == [("Recommended", "dynamic", True), ("Runner-up", "static", True)]
    assert recommendations(compare(run))[0].reason == (
        "dynamic is tied with static in speed; it is simpler: made without a calibration set."
    )
    assert "dynamic is tied with static in speed" in first_sentence(run)


def in_batches(run: Measurements, name: str, factor: float) -> Measurements:
    """The same run, in which one variant is so many times as fast on 32 texts at once."""
    (mine,) = (one.fingerprint for one in run.artifacts if one.name == name)

    def changed(one: Measurement) -> Measurement:
        if (one.artifact, one.name) != (mine, "speedup") or one.condition["batch"] != 32 or one.value is None:
            return one
        low, high = one.interval or (one.value, one.value)
        return replace(one, value=one.value * factor, interval=(low * factor, high * factor))

    return replace(run, measurements=tuple(changed(one) for one in run.measurements))


def test_a_variant_that_is_faster_in_batches_is_named_beside_the_one_for_single_texts(make_run: MakeRun) -> None:
    run = make_run([SAFE_FAST, SAFE_SMALL, LOSSY])
    assert "For 32 texts" not in first_sentence(run)
    assert "For 32 texts" not in first_sentence(in_batches(run, "safe-small", 1.5)), "both are 2.7 times as fast then"
    told = first_sentence(in_batches(run, "safe-small", 2.0))
    assert told.startswith("Take safe-fast: ")
    assert "For 32 texts of 64 tokens take safe-small: 3.6× the speed of the fp32 ONNX export, against 2.7×." in told
    assert "For one text of 128 tokens" not in told
    assert "lossy" not in first_sentence(in_batches(run, "lossy", 2.0)), "it is fast everywhere, at a loss"


def test_a_tie_in_speed_goes_to_the_one_that_is_shown_to_be_more_accurate(make_run: MakeRun) -> None:
    dynamic = Made("dynamic", 765, 5, 4.8, 18, steps=(int8("dynamic"),))
    static = Made("static", 800, 0, 4.8, 18, steps=(STATIC,))
    run = at_equal_speed(make_run([static, dynamic]), ("static", "dynamic"), "dynamic")
    assert chosen(run, {"max_drop": 3})[0] == ("Recommended", "static", True)
    assert recommendations(compare(run, {"max_drop": 3}))[0].reason == (
        "static is tied with dynamic in speed, and shown to be more accurate."
    )


def test_rounds_in_which_one_is_always_faster_are_no_tie(make_run: MakeRun) -> None:
    run = at_equal_speed(make_run([SAFE_FAST, SAFE_SMALL]), ("safe-fast", "safe-small"), "safe-small")
    small = next(one.fingerprint for one in run.artifacts if one.name == "safe-small")
    found = (
        replace(one, raw=tuple(2 * time for time in one.raw))
        if one.name == "latency_seconds" and one.artifact != small
        else one
        for one in run.measurements
    )
    best = recommendations(compare(replace(run, measurements=tuple(found))))[0]
    assert (best.row.name, "tied" in best.reason) == ("safe-small", False)


def test_a_student_that_alone_was_trained_on_the_task_is_called_fine_tuned(make_run: MakeRun) -> None:
    gain = Made("student", 840, 2, 2.0, 40, steps=(DISTIL, EXPORT))
    run = make_run([gain])
    assert "fine-tuned" not in first_sentence(run)
    # The run's first step is the root's fine-tuning.
    untrained = tuple(
        replace(one, manifest={**one.manifest, "steps": one.manifest["steps"][1:]}) for one in run.artifacts
    )
    said = first_sentence(replace(run, artifacts=untrained))
    assert said.startswith("Take student: ")
    assert "student is fine-tuned, not only compressed: its steps trained it on sst2" in said
    quantized = make_run([replace(gain, steps=(int8("dynamic"),))])
    bare = tuple(replace(one, manifest={**one.manifest, "steps": [int8("dynamic")]}) for one in quantized.artifacts)
    assert "fine-tuned" not in first_sentence(replace(quantized, artifacts=bare))


def test_a_variant_that_was_not_tested_is_neither_recommended_nor_named(make_run: MakeRun) -> None:
    run = make_run([LOSSY])
    untested = (replace(one, per_example=(), predictions=()) for one in run.measurements)
    assert recommendations(compare(replace(run, measurements=tuple(untested)))) == ()


def test_a_variant_without_the_deciding_metric_is_not_recommended_though_it_keeps_the_budget(make_run: MakeRun) -> None:
    unscored = Made("unscored", 769, 9, 9.0, 5, absent={"accuracy": "it broke"})
    assert chosen(make_run([unscored]), {"max_mb": 50}) == []
    assert chosen(make_run([unscored, SAFE_FAST]), {"max_mb": 50}) == [("Recommended", "safe-fast", True)]


def test_without_a_metric_there_is_no_front_and_nothing_to_recommend(make_run: MakeRun) -> None:
    comparison = compare(make_run([SAFE_FAST], metrics=()))
    assert (latency_front(comparison), recommendations(comparison)) == ([], ())


def test_a_run_of_baselines_alone_recommends_nothing_and_says_so(make_run: MakeRun) -> None:
    comparison = compare(make_run([]))
    assert recommendations(comparison) == ()
    assert "baselines alone" in lead(comparison, ())


def test_the_first_sentence_names_the_margin(make_run: MakeRun) -> None:
    said = first_sentence(make_run([SAFE_FAST]))
    assert said.startswith("Take safe-fast: 2.3× smaller and 3.0× faster than the fp32 ONNX export")
    assert "accuracy not worse than 1 point (−0.11 points, 95 % interval" in said


def test_a_decoder_of_higher_perplexity_is_not_taken_for_one_of_lower() -> None:
    run = decoders((Generator("high", 0.4, 3.0, 40, surprise=0.2), Generator("low", 0.4, 1.5, 40, surprise=-0.1)))
    assert chosen(run) == [("Recommended", "low", True), ("Faster, at a loss", "high", False)]


def test_the_front_leaves_out_whatever_another_beats_in_both(make_run: MakeRun) -> None:
    beaten = Made("beaten", 760, 20, 2.5, 8)
    front = [row.name for row in latency_front(compare(make_run([SAFE_FAST, beaten, LOSSY])))]
    assert front == ["lossy", "safe-fast", "fp32-onnx"]


def test_the_front_has_one_of_two_that_are_alike_and_none_that_was_not_timed(make_run: MakeRun) -> None:
    alike = replace(SAFE_FAST, name="alike")
    untimed = Made("untimed", 790, 0, 9.0, 5, absent={"latency_seconds": "its process was ended"})
    front = [row.name for row in latency_front(compare(make_run([SAFE_FAST, alike, untimed])))]
    assert front == ["safe-fast", "fp32-onnx"]
