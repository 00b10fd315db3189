"""Budgets are met by at least one variant that is shown to keep every limit; a limit is kept, broken, or not settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compress.cli import compress as cli
from compress.core.errors import BudgetNotMet, CompressError
from compress.core.measurement import Measurements
from compress.report import compare, judge, limits, verdict, write
from tests.report.made_up import Made, MakeRun
from tests.report.made_up_generative import Generator, decoders

GOOD = Made("good", right=769, flips=2, speed=2.5, megabytes=23)


def states(run: Measurements, budget: Mapping[str, Any]) -> list[str]:
    return [one.state for one in judge(compare(run), budget).checks]


def test_a_variant_that_keeps_every_limit_meets_the_budget(make_run: MakeRun) -> None:
    met, reasons = verdict(make_run([GOOD]), {"max_drop": 1.0, "metric": "accuracy", "min_speedup": 2, "max_mb": 25})
    assert met
    assert reasons == ["good keeps every limit."]


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"max_drop": 0.1}, "changes accuracy by −0.11 points (95 % interval −"),
        ({"max_drop": 0}, "the limit, at most 0 points of accuracy lost, is not settled."),
        ({"min_speedup": 4}, "is 2.5× as fast (95 % interval 2.42 to 2.58)"),
        ({"min_speedup": 4}, "at least 4 times as fast as the fp32 ONNX export, one text at a time"),
        ({"max_mb": 20}, "takes 23.0 MB"),
    ],
)
def test_each_limit_that_is_broken_is_named_with_what_was_found(make_run: MakeRun, budget: object, said: str) -> None:
    met, reasons = verdict(make_run([GOOD]), budget)
    assert not met
    assert len(reasons) == 1
    assert said in reasons[0]


def test_two_variants_that_each_keep_half_of_the_limits_do_not_meet_the_budget(make_run: MakeRun) -> None:
    small = Made("small", right=700, flips=80, speed=5.0, megabytes=9)
    met, reasons = verdict(make_run([GOOD, small]), {"max_drop": 1, "min_speedup": 4})
    assert not met
    assert len(reasons) == 2


@pytest.mark.parametrize(("beyond", "state"), [(-1e-4, "not settled"), (0.0, "kept"), (1e-4, "kept")])
def test_a_drop_is_kept_where_the_lower_end_of_its_interval_reaches_the_limit(
    beyond: float, state: str, make_run: MakeRun
) -> None:
    run = make_run([Made("one", right=765, flips=10, speed=2.0, megabytes=20)])
    interval = compare(run).variants[0].quality["accuracy"].difference.interval
    assert interval is not None
    assert states(run, {"max_drop": -100 * interval[0] + beyond}) == [state]


@pytest.mark.parametrize(("beyond", "state"), [(-1e-4, "broken"), (1e-4, "not settled")])
def test_a_drop_is_broken_where_all_of_its_interval_lies_beyond_the_limit(
    beyond: float, state: str, make_run: MakeRun
) -> None:
    run = make_run([Made("one", right=700, flips=80, speed=2.0, megabytes=20)])
    interval = compare(run).variants[0].quality["accuracy"].difference.interval
    assert interval is not None
    assert states(run, {"max_drop": -100 * interval[1] + beyond}) == [state]


def test_a_drop_without_an_interval_is_not_settled_whatever_its_value(make_run: MakeRun) -> None:
    run = make_run([GOOD])
    bare = tuple(replace(one, per_example=(), predictions=()) for one in run.measurements)
    met, reasons = verdict(replace(run, measurements=bare), {"max_drop": 50})
    assert not met
    assert "without an interval to judge it by" in reasons[0]


def test_a_size_of_exactly_the_limit_keeps_it(make_run: MakeRun) -> None:
    assert verdict(make_run([GOOD]), {"max_mb": 23})[0]


@pytest.mark.parametrize(
    ("least", "state"),
    [(2.42, "kept"), (2.43, "not settled"), (2.5, "not settled"), (2.57, "not settled"), (2.6, "broken")],
)
def test_a_speed_is_judged_by_the_interval_of_its_ratio(least: float, state: str, make_run: MakeRun) -> None:
    assert states(make_run([GOOD]), {"min_speedup": least}) == [state]


def test_a_ratio_without_an_interval_or_that_was_refused_passes_nothing(make_run: MakeRun) -> None:
    run = make_run([GOOD])
    bare = tuple(replace(one, interval=None) if one.name == "speedup" else one for one in run.measurements)
    met, reasons = verdict(replace(run, measurements=bare), {"min_speedup": 0.1})
    assert not met
    assert "without an interval to judge it by: too few rounds" in reasons[0]
    disturbed = tuple(
        replace(one, value=None, interval=None, absent="all rounds stayed disturbed") if one.name == "speedup" else one
        for one in run.measurements
    )
    met, reasons = verdict(replace(run, measurements=disturbed), {"min_speedup": 0.1})
    assert not met
    assert "has no speed ratio (all rounds stayed disturbed)" in reasons[0]


def test_a_perplexity_may_rise_by_the_limit_on_its_own_scale() -> None:
    measurements = decoders((Generator("up", 0.4, 1.5, 40, surprise=0.1),))
    change = next(row for row in compare(measurements).rows if row.name == "up").quality["perplexity"].difference
    assert change.value is not None
    assert change.interval is not None
    assert verdict(measurements, {"max_drop": change.interval[1] + 0.01})[0]
    limit = round(change.value / 2, 3)
    met, reasons = verdict(measurements, {"max_drop": limit})
    assert not met
    assert f"the limit, perplexity at most {limit:g} higher, is broken." in reasons[0]


def test_a_metric_that_could_not_be_measured_keeps_no_limit(make_run: MakeRun) -> None:
    absent = Made("absent", 770, 0, 9.0, 1.0, absent={"accuracy": "it broke"})
    assert verdict(make_run([absent]), {"max_drop": 100}) == (
        False,
        [
            "absent has no accuracy to compare (it broke); the limit, at most 100 points of accuracy lost, is not settled."
        ],
    )


def test_a_quantity_that_could_not_be_measured_keeps_no_limit(make_run: MakeRun) -> None:
    absent = Made("absent", 770, 0, 9.0, 1.0, absent={"latency_seconds": "no kernel"})
    met, reasons = verdict(make_run([absent]), {"min_speedup": 1})
    assert not met
    assert "no kernel" in reasons[0]


def test_baselines_do_not_meet_a_budget(make_run: MakeRun) -> None:
    assert verdict(make_run([]), {"max_drop": 5}) == (False, ["The run has no compressed variant."])


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"max_dropp": 1}, "Did you mean 'max_drop'?"),
        ({"max_drop": "one"}, "Give a number"),
        ({"max_drop": -1}, "Give a number"),
        ({"max_drop": 1, "metric": "acuracy"}, "Did you mean 'accuracy'?"),
        ({"metric": "accuracy"}, "sets no limit. Give one of: max_drop, max_mb, min_speedup"),
    ],
)
def test_a_budget_that_cannot_be_read_is_refused(make_run: MakeRun, budget: object, said: str) -> None:
    with pytest.raises(CompressError, match=said.replace("?", r"\?")):
        verdict(make_run([GOOD]), budget)


def test_a_report_made_later_judges_by_the_budget_of_the_pipeline(make_run: MakeRun, tmp_path: Path) -> None:
    make_run([GOOD]).save(tmp_path)
    limits.keep(tmp_path, {"min_speedup": 4})
    assert write([tmp_path], tmp_path / "report.html").met is False
    assert write([tmp_path], tmp_path / "report.html", budget={"min_speedup": 2}).met is True
    limits.keep(tmp_path, None)
    assert write([tmp_path], tmp_path / "report.html").met is None


@pytest.mark.parametrize("text", ["no JSON", "[1]"])
def test_a_budget_that_cannot_be_read_is_named(make_run: MakeRun, tmp_path: Path, text: str) -> None:
    make_run([GOOD]).save(tmp_path)
    (tmp_path / limits.KEPT).write_text(text)
    with pytest.raises(CompressError, match=r"budget\.json is not a budget"):
        write([tmp_path], tmp_path / "report.html")


def test_limits_can_be_typed_and_the_exit_code_follows(make_run: MakeRun, tmp_path: Path) -> None:
    make_run([GOOD]).save(tmp_path)
    typed = ["report", str(tmp_path), "-o", str(tmp_path / "report.html"), "--budget"]
    assert CliRunner().invoke(cli, [*typed, "min_speedup=2"]).exit_code == 0
    refused = CliRunner().invoke(cli, [*typed, "min_speedup=4"])
    assert isinstance(refused.exception, BudgetNotMet)
    assert "not KEY=VALUE" in str(CliRunner().invoke(cli, [*typed, "min_speedup"]).exception)
