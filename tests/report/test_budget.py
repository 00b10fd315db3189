"""Budgets are met by at least one variant that keeps every limit, or not, with the reasons."""

from __future__ import annotations

import pytest

from compress.core.errors import CompressError
from compress.report import verdict
from tests.report.made_up import Made, MakeRun
from tests.report.made_up_generative import Generator, decoders

GOOD = Made("good", right=765, flips=10, speed=2.5, megabytes=23)


def test_a_variant_that_keeps_every_limit_meets_the_budget(make_run: MakeRun) -> None:
    met, reasons = verdict(make_run([GOOD]), {"max_drop": 1.0, "metric": "accuracy", "min_speedup": 2, "max_mb": 25})
    assert met
    assert reasons == ["good keeps every limit."]


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"max_drop": 0.5}, "changes accuracy by −0.57 points (95 % interval −"),
        ({"max_drop": 0}, "the limit: at most 0 points of accuracy lost."),
        ({"min_speedup": 4}, "is 2.5× as fast (95 % interval 2.4 to 2.6)"),
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


def test_a_drop_of_exactly_the_limit_keeps_it(make_run: MakeRun) -> None:
    exact = Made("exact", right=873, flips=10, speed=2.0, megabytes=20)
    assert verdict(make_run([exact], rows=1000, right=883), {"max_drop": 1.0})[0]


def test_a_size_of_exactly_the_limit_keeps_it(make_run: MakeRun) -> None:
    assert verdict(make_run([GOOD]), {"max_mb": 23})[0]


def test_a_speed_of_exactly_the_limit_keeps_it(make_run: MakeRun) -> None:
    assert verdict(make_run([GOOD]), {"min_speedup": 2.5})[0]
    assert not verdict(make_run([GOOD]), {"min_speedup": 2.501})[0]


def test_a_perplexity_may_rise_by_the_limit_on_its_own_scale() -> None:
    measurements = decoders((Generator("up", 0.4, 1.5, 40, surprise=0.1),))
    named = {one.fingerprint: one.name for one in measurements.artifacts}
    values = {named[one.artifact]: one.value or 0.0 for one in measurements.measurements if one.name == "perplexity"}
    rise = values["up"] - values["fp32-torch"]
    assert verdict(measurements, {"max_drop": rise + 0.01})[0]
    met, reasons = verdict(measurements, {"max_drop": round(rise / 2, 3)})
    assert not met
    assert f"the limit: perplexity at most {round(rise / 2, 3):g} higher." in reasons[0]


def test_a_metric_that_could_not_be_measured_keeps_no_limit(make_run: MakeRun) -> None:
    absent = Made("absent", 770, 0, 9.0, 1.0, absent={"accuracy": "it broke"})
    assert verdict(make_run([absent]), {"max_drop": 100}) == (
        False,
        ["absent has no accuracy to compare (it broke); the limit: at most 100 points of accuracy lost."],
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
