"""What is recommended: the fastest and the smallest without a loss shown, on the front, or within the budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compress.report.comparison import compare
from compress.report.recommendations import latency_front, recommendations
from compress.report.sentences import lead
from tests.report.made_up import Made, MakeRun

SAFE_FAST = Made("safe-fast", 769, 2, 3.0, 40)
SAFE_SMALL = Made("safe-small", 768, 2, 2.0, 10)
LOSSY = Made("lossy", 700, 80, 9.0, 5)


def names(make_run: MakeRun, variants: list[Made], **more: object) -> dict[str, tuple[str, bool]]:
    chosen = recommendations(compare(make_run(variants)), **more)
    return {one.title: (one.row.name, one.recommended) for one in chosen}


def test_a_variant_whose_test_says_worse_is_shown_but_not_recommended(make_run: MakeRun) -> None:
    assert names(make_run, [SAFE_FAST, SAFE_SMALL, LOSSY]) == {
        "Fastest without a loss beyond the margin": ("safe-fast", True),
        "Smallest without a loss beyond the margin": ("safe-small", True),
        "Fastest of all, at a loss": ("lossy", False),
    }


def test_one_variant_may_be_both(make_run: MakeRun) -> None:
    best = Made("best", 770, 2, 4.0, 9)
    assert names(make_run, [SAFE_FAST, best]) == {
        "Smallest and fastest without a loss beyond the margin": ("best", True)
    }


def test_of_files_within_two_percent_the_faster_one_is_the_smallest(make_run: MakeRun) -> None:
    slow, quick = Made("slow", 770, 2, 1.5, 20.0), Made("quick", 769, 2, 2.5, 20.3)
    assert names(make_run, [slow, quick])["Smallest and fastest without a loss beyond the margin"] == ("quick", True)


@pytest.mark.parametrize(("megabytes", "smallest"), [(20.39, "quick"), (20.4, "quick"), (20.41, "slow")])
def test_more_than_two_percent_larger_is_not_the_smallest(megabytes: float, smallest: str, make_run: MakeRun) -> None:
    slow, quick = Made("slow", 770, 2, 1.5, 20.0), Made("quick", 769, 2, 2.5, megabytes)
    found = names(make_run, [slow, quick])
    assert next(row for title, (row, _) in found.items() if title.startswith("Smallest")) == smallest


def test_where_every_variant_shows_a_loss_none_is_recommended_and_the_least_loss_is_named(make_run: MakeRun) -> None:
    worse = Made("worse", 650, 130, 12.0, 4)
    assert names(make_run, [LOSSY, worse]) == {"Least loss": ("lossy", False)}
    comparison = compare(make_run([LOSSY, worse]))
    assert lead(comparison, recommendations(comparison), met=None).startswith(
        "No variant is free of loss. lossy loses least"
    )


def test_with_a_budget_those_that_keep_it_are_the_candidates(make_run: MakeRun) -> None:
    chosen = names(make_run, [SAFE_FAST, SAFE_SMALL, LOSSY], keeping=("safe-small",))
    assert chosen == {
        "Smallest and fastest within the budget": ("safe-small", True),
        "Fastest of all, at a loss": ("lossy", False),
    }
    assert names(make_run, [SAFE_FAST], keeping=()) == {"Least loss": ("safe-fast", False)}


def test_the_fastest_of_all_is_faster_than_the_fastest_without_a_loss_and_shows_one(make_run: MakeRun) -> None:
    small = Made("small", 700, 80, SAFE_FAST.speed, 5)
    assert "Fastest of all, at a loss" not in names(make_run, [SAFE_FAST, small])
    over_budget = Made("over-budget", 769, 2, 5.0, 50)
    assert names(make_run, [SAFE_FAST, over_budget], keeping=("safe-fast",)) == {
        "Smallest and fastest within the budget": ("safe-fast", True)
    }


def test_a_variant_that_was_not_tested_is_neither_recommended_nor_named(make_run: MakeRun) -> None:
    run = make_run([LOSSY])
    untested = (replace(one, per_example=(), predictions=()) for one in run.measurements)
    assert recommendations(compare(replace(run, measurements=tuple(untested)))) == ()


def test_what_was_not_timed_is_slower_than_anything_that_was(make_run: MakeRun) -> None:
    untimed = Made("untimed", 770, 1, 9.0, 20, absent={"latency_seconds": "its process was ended"})
    slow, slower = Made("slow", 700, 80, 0.4, 30), Made("slower", 700, 80, 0.3, 25)
    assert names(make_run, [untimed, slower, slow]) == {
        "Smallest without a loss beyond the margin": ("untimed", True),
        "Fastest of all, at a loss": ("slow", False),
    }
    for megabytes in (untimed.megabytes, 1.015 * untimed.megabytes):
        crawling = Made("crawling", 770, 1, 0.4, megabytes)
        assert names(make_run, [untimed, crawling]) == {
            "Smallest and fastest without a loss beyond the margin": ("crawling", True)
        }
    lossy = replace(untimed, name="lossy", right=700, flips=80, megabytes=5)
    assert "Fastest of all, at a loss" not in names(make_run, [crawling, lossy])


def test_a_variant_without_the_deciding_metric_is_not_recommended_though_it_keeps_the_budget(make_run: MakeRun) -> None:
    unscored = Made("unscored", 769, 9, 9.0, 5, absent={"accuracy": "it broke"})
    assert names(make_run, [unscored], keeping=("unscored",)) == {}
    assert names(make_run, [unscored, SAFE_FAST], keeping=("unscored", "safe-fast")) == {
        "Smallest and fastest within the budget": ("safe-fast", True)
    }


def test_without_a_metric_there_is_no_front_and_nothing_to_recommend(make_run: MakeRun) -> None:
    comparison = compare(make_run([SAFE_FAST], metrics=()))
    assert (latency_front(comparison), recommendations(comparison)) == ([], ())


def test_a_run_of_baselines_alone_has_no_picks_and_says_so(make_run: MakeRun) -> None:
    comparison = compare(make_run([]))
    assert recommendations(comparison) == ()
    assert "baselines alone" in lead(comparison, (), met=None)


def test_the_first_sentence_names_the_margin(make_run: MakeRun) -> None:
    comparison = compare(make_run([SAFE_FAST]))
    said = lead(comparison, recommendations(comparison), met=None)
    assert said.startswith("Take safe-fast: 2.3× smaller and 3.0× faster than the fp32 ONNX export")
    assert "accuracy not worse than 1 point (−0.11 points, 95 % interval" in said


def test_the_pictures_front_leaves_out_whatever_another_beats_in_both(make_run: MakeRun) -> None:
    beaten = Made("beaten", 760, 20, 2.5, 8)
    front = [row.name for row in latency_front(compare(make_run([SAFE_FAST, beaten, LOSSY])))]
    assert front == ["lossy", "safe-fast", "fp32-onnx"]


def test_the_pictures_front_has_one_of_two_that_are_alike_and_none_that_was_not_timed(make_run: MakeRun) -> None:
    alike = replace(SAFE_FAST, name="alike")
    untimed = Made("untimed", 790, 0, 9.0, 5, absent={"latency_seconds": "its process was ended"})
    front = [row.name for row in latency_front(compare(make_run([SAFE_FAST, alike, untimed])))]
    assert front == ["safe-fast", "fp32-onnx"]
