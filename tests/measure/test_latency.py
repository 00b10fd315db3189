"""Tests of what is told of speed, from given timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from compress.core.measurement import Measurement
from compress.measure import latency
from compress.measure.batches import Condition
from compress.measure.latency import speed_of_generation
from compress.measure.rounds import Timings

WHERE = {"runtime": "onnx_runtime", "threads": 1}
ONE, MANY = Condition(1, "real", 4), Condition(32, 64, 2)
REAL, FIXED = Condition(1, "real", 3), Condition(4, 16, 2)


def test_timed_outputs_of_another_model_than_the_evaluated_one_are_noticed() -> None:
    timings = Timings(logits={str(n): [1.0, 0.0] for n in range(4)})
    numbers = [5, 2, 9, 0]
    predicted = np.zeros(10)
    assert latency.output_mismatch(timings, numbers, predicted, "1xreal") is None
    predicted[[5, 2]] = 1
    assert "2 of 4" in str(latency.output_mismatch(timings, numbers, predicted, "1xreal"))


@pytest.mark.parametrize(("differ", "of", "is_noticed"), [(1, 10, False), (2, 20, False), (3, 20, True), (2, 10, True)])
def test_one_timed_output_in_ten_may_name_another_class(differ: int, of: int, is_noticed: bool) -> None:
    timed = Timings(logits={str(n): [1.0, 0.0] for n in range(of)})
    predicted = np.array([1.0] * differ + [0.0] * (of - differ))
    assert (latency.output_mismatch(timed, range(of), predicted, "1xreal") is not None) == is_noticed


def timings(rounds: Sequence[Sequence[float]]) -> Timings:
    return Timings(rounds=[list(one) for one in rounds])


def test_the_measurements_follow_from_the_timings() -> None:
    mine = timings([[0.01] * 9 + [0.02]] * 10)
    baseline = timings([[0.03] * 10] * 10)
    found = {one.name: one for one in latency.latency("f", mine, MANY, {"threads": 2}, baseline)}
    assert found["latency_seconds"].value == pytest.approx(0.01)
    assert found["latency_seconds"].condition == {"batch": 32, "length": 64, "threads": 2}
    assert len(found["latency_seconds"].raw) == found["latency_seconds"].samples == 100
    assert found["latency_p99_seconds"].value == pytest.approx(0.02)
    assert found["throughput"].value == pytest.approx(32 * 100 / 1.1)
    assert found["speedup"].value == pytest.approx(3.0)
    assert found["speedup"].raw == pytest.approx((3.0,) * 10)
    assert found["speedup"].interval == pytest.approx((3.0, 3.0))


def test_a_percentile_that_few_timings_cannot_show_is_absent_with_the_reason() -> None:
    found = {one.name: one for one in latency.latency("f", timings([[0.01] * 6] * 7), ONE, {}, None)}
    assert found["latency_p90_seconds"].value is not None
    assert found["latency_p99_seconds"].value is None
    assert found["latency_p99_seconds"].absent == "it takes 100 timings, there are 42"


@pytest.mark.parametrize(
    ("name", "share", "least"), [("latency_p90_seconds", 0.9, 10), ("latency_p99_seconds", 0.99, 100)]
)
def test_a_percentile_is_a_quantile_of_all_timings_from_so_many_on(name: str, share: float, least: int) -> None:
    seconds = [0.001 * n for n in range(1, least + 1)]
    enough = {one.name: one for one in latency.latency("f", timings([seconds[:4], seconds[4:]]), ONE, {}, None)}
    assert enough[name].value == pytest.approx(np.quantile(seconds, share))
    few = {one.name: one for one in latency.latency("f", timings([seconds[:4], seconds[4:-1]]), ONE, {}, None)}
    assert few[name].absent == f"it takes {least} timings, there are {least - 1}"


def test_a_runtime_that_does_not_run_an_artifact_has_no_latency_under_any_condition_with_its_reason() -> None:
    found = latency.not_run("f", {"torch": "no kernel", "onnx_runtime": None}, [ONE, MANY], {"threads": 2})
    assert [(one.condition["runtime"], one.condition["batch"], one.absent) for one in found] == [
        ("torch", 1, "no kernel"),
        ("torch", 32, "no kernel"),
    ]


def test_without_a_baseline_the_ratio_is_absent_and_the_latency_is_not() -> None:
    failed = Timings(failure="no kernel")
    found = {one.name: one for one in latency.latency("f", timings([[0.01] * 6]), ONE, {}, failed)}
    assert found["latency_seconds"].value == pytest.approx(0.01)
    assert found["speedup"].value is None
    assert "no kernel" in str(found["speedup"].absent)


def test_a_ratio_is_made_of_the_quiet_rounds_alone_and_the_seconds_of_all() -> None:
    """Foreign load slows the baseline more than the other."""
    mine = replace(timings([[0.01]] * 6 + [[0.012]] * 4), disturbed=[6, 7, 8, 9])
    baseline = replace(timings([[0.03]] * 6 + [[0.09]] * 4), disturbed=[6, 7, 8, 9])
    found = by_name(latency.latency("f", mine, ONE, {}, baseline))
    assert found["speedup"].value == pytest.approx(3.0)
    assert found["speedup"].raw == pytest.approx((3.0,) * 6)
    assert found["speedup"].samples == 6
    assert found["latency_seconds"].samples == 10
    assert found["latency_seconds"].disturbed == found["speedup"].disturbed == (6, 7, 8, 9)


@pytest.mark.parametrize(("quiet", "rounds"), [(0, 10), (5, 10), (3, 4), (0, 1)])
@pytest.mark.parametrize("generates", [False, True])
def test_a_ratio_is_refused_where_too_few_rounds_were_quiet(quiet: int, rounds: int, generates: bool) -> None:
    disturbed = list(range(quiet, rounds))
    mine = replace(timings([[0.01]] * rounds), disturbed=disturbed, tokens=[1] * rounds)
    baseline = replace(timings([[0.06]] * rounds), disturbed=disturbed, tokens=[1] * rounds)
    of = speed_of_generation("f", mine, REAL, {}, baseline, 8) if generates else None
    found = by_name(of or latency.latency("f", mine, ONE, {}, baseline))
    assert found["speedup"].value is None
    assert found["speedup"].raw == ()
    assert found["speedup"].absent == (
        f"other processes used the processors in {rounds - quiet} of {rounds} rounds; measure again on a quiet machine"
    )
    assert found["latency_seconds"].value == pytest.approx(0.01)
    assert len(found["latency_seconds"].disturbed) == rounds - quiet


def test_the_fp32_onnx_model_is_as_fast_as_itself_on_any_machine() -> None:
    itself = replace(timings([[0.01], [0.03]]), disturbed=[0, 1])
    assert by_name(latency.latency("f", itself, ONE, {}, itself))["speedup"].value == 1.0


def by_name(found: list[Measurement]) -> Mapping[str, Measurement]:
    named = {one.name: one for one in found}
    assert len(named) == len(found)
    return named


def test_at_real_lengths_totals_are_compared_so_that_long_outputs_count() -> None:
    """One of three rows takes nearly all the time, and is twice as fast; the median row is not faster at all."""
    mine = Timings([[1.0, 1.0, 50.0], [1.0, 1.0, 50.0]], tokens=[12, 12])
    baseline = Timings([[1.0, 1.0, 102.0], [1.0, 1.0, 102.0]], tokens=[12, 12])
    found = by_name(speed_of_generation("abc", mine, REAL, WHERE, baseline, 8))
    assert found["speedup"].value == 2.0
    assert found["speedup"].raw == (2.0, 2.0)
    assert found["total_seconds"].value == 52.0
    assert (found["latency_seconds"].value, found["latency_seconds"].raw) == (1.0, (1.0, 1.0, 50.0) * 2)
    assert found["output_tokens"].value == 4.0
    assert found["throughput"].value == pytest.approx(6 / 104)
    assert "new_tokens" not in found["latency_seconds"].condition


def test_after_fixed_prompts_first_token_each_further_one_and_tokens_a_second_are_told_apart() -> None:
    mine = Timings([[1.9, 1.9], [1.9, 1.9]], first=[[0.5, 0.5], [0.5, 0.5]], tokens=[2 * 4 * 8] * 2)
    found = by_name(speed_of_generation("abc", mine, FIXED, WHERE, None, 8))
    assert found["time_to_first_token_seconds"].value == 0.5
    assert found["time_per_output_token_seconds"].value == pytest.approx(0.2)
    assert found["output_tokens_per_second"].value == pytest.approx(64 / 3.8)
    assert found["speedup"].value is None
    assert {one.condition["new_tokens"] for one in found.values()} == {8}


@pytest.mark.parametrize(("new_tokens", "each"), [(1, None), (2, 1.4)])
def test_a_single_new_token_has_no_time_for_each_further_one(new_tokens: int, each: float | None) -> None:
    mine = Timings([[1.9]] * 2, first=[[0.5]] * 2, tokens=[4 * new_tokens] * 2)
    found = by_name(speed_of_generation("abc", mine, FIXED, WHERE, None, new_tokens))["time_per_output_token_seconds"]
    assert found.value == (None if each is None else pytest.approx(each))
    assert found.absent == ("only one token was generated" if each is None else None)


@pytest.mark.parametrize("condition", [REAL, FIXED])
def test_whatever_could_not_be_timed_is_absent_with_the_reason(condition: Condition) -> None:
    worked = by_name(
        speed_of_generation("abc", Timings([[1.0]] * 2, first=[[0.5]] * 2, tokens=[8] * 2), condition, WHERE, None, 8)
    )
    failed = by_name(speed_of_generation("abc", Timings(failure="it broke"), condition, WHERE, None, 8))
    assert set(failed) == set(worked) - {"output_tokens"}
    assert all(one.value is None and one.absent for one in failed.values())
