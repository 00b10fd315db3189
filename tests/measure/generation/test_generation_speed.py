"""Tests of what is told of a writer's speed and memory, from given timings and peaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.core.measurement import Measurement
from compress.measure import latency
from compress.measure.batches import Condition
from compress.measure.generation import memory
from compress.measure.generation.speed import speed
from compress.measure.latency import Timings
from compress.measure.process import WorkerFailed

WHERE = {"runtime": "onnx_runtime", "threads": 1}
REAL, FIXED = Condition(1, "real", 3), Condition(4, 16, 2)


def by_name(found: list[Measurement]) -> Mapping[str, Measurement]:
    named = {one.name: one for one in found}
    assert len(named) == len(found)
    return named


def test_at_real_lengths_totals_are_compared_so_that_long_outputs_count() -> None:
    """One of three rows takes nearly all the time, and is twice as fast; the median row is not faster at all."""
    mine = Timings([[1.0, 1.0, 50.0], [1.0, 1.0, 50.0]], tokens=[12, 12])
    baseline = Timings([[1.0, 1.0, 102.0], [1.0, 1.0, 102.0]], tokens=[12, 12])
    found = by_name(speed("abc", mine, REAL, WHERE, baseline, 8))
    assert found["speedup"].value == 2.0
    assert found["speedup"].raw == (2.0, 2.0)
    assert found["total_seconds"].value == 52.0
    assert (found["latency_seconds"].value, found["latency_seconds"].raw) == (1.0, (1.0, 1.0, 50.0) * 2)
    assert found["output_tokens"].value == 4.0
    assert found["throughput"].value == pytest.approx(6 / 104)
    assert "new_tokens" not in found["latency_seconds"].condition


def test_after_fixed_prompts_first_token_each_further_one_and_tokens_a_second_are_told_apart() -> None:
    mine = Timings([[1.9, 1.9], [1.9, 1.9]], first=[[0.5, 0.5], [0.5, 0.5]], tokens=[2 * 4 * 8] * 2)
    found = by_name(speed("abc", mine, FIXED, WHERE, None, 8))
    assert found["time_to_first_token_seconds"].value == 0.5
    assert found["time_per_output_token_seconds"].value == pytest.approx(0.2)
    assert found["output_tokens_per_second"].value == pytest.approx(64 / 3.8)
    assert found["speedup"].value is None
    assert {one.condition["new_tokens"] for one in found.values()} == {8}


@pytest.mark.parametrize("condition", [REAL, FIXED])
def test_whatever_could_not_be_timed_is_absent_with_the_reason(condition: Condition) -> None:
    worked = by_name(speed("abc", Timings([[1.0]] * 2, first=[[0.5]] * 2, tokens=[8] * 2), condition, WHERE, None, 8))
    failed = by_name(speed("abc", Timings(failure="it broke"), condition, WHERE, None, 8))
    assert set(failed) == set(worked) - {"output_tokens"}
    assert all(one.value is None and one.absent for one in failed.values())


class Writer:
    """A worker that writes; what is written may change from call to call."""

    def __init__(self, *outputs: dict[str, list[int]]) -> None:
        self.outputs = list(outputs)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        outputs = self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]
        return {"seconds": [2.0], "first": [1.0], "outputs": outputs, "tokens": 7}


def test_rounds_keep_first_tokens_and_counts_and_a_tie_that_falls_otherwise_once_is_no_failure() -> None:
    steady = {"0": [1, 2], "1": [3], "2": [4]}
    found = latency.time_rounds(
        {"a": Writer(steady, {**steady, "1": [5, 5]}, steady), "b": Writer(steady, {"0": [9], "1": [9], "2": [4]})},
        [FIXED],
        rounds=3,
        repeats=0,
        watch=lambda: lambda: None,
    )
    one = found["a", FIXED.key]
    assert (one.rounds, one.first, one.tokens) == ([[2.0]] * 3, [[1.0]] * 3, [7] * 3)
    assert one.failure is None
    assert "2 of 3 outputs for equal inputs differ" in str(found["b", FIXED.key].failure)


def test_memory_grows_by_what_each_token_of_each_row_takes() -> None:
    found = memory.growth("abc", {8: 1000.0, 16: 1500.0, 32: 2920.0}, FIXED, WHERE)
    value = by_name([one for one in found if one.name == memory.GROWTH])[memory.GROWTH]
    assert value.value == pytest.approx(1920 / (24 * 4))
    peaks = [(one.condition["new_tokens"], one.value) for one in found if one.name == "peak_memory_bytes"]
    assert peaks == [(8, 1000.0), (16, 1500.0), (32, 2920.0)]
    assert len(value.notes) == 1


def test_memory_that_does_not_grow_says_why() -> None:
    value = memory.growth("abc", {8: 1000.0, 16: 1000.0}, FIXED, WHERE)[-1]
    assert (value.value, value.notes[1]) == (0.0, "what was written fitted into memory that the process held already")


def test_no_more_is_written_than_a_model_reads() -> None:
    assert memory.lengths(FIXED, 8, None, writes_apart=False) == [8, 16, 32]
    assert memory.lengths(FIXED, 8, 32, writes_apart=False) == [4, 8, 16]
    assert memory.lengths(FIXED, 8, 32, writes_apart=True) == [8, 16, 32]
    with pytest.raises(CompressError, match="leaves no room"):
        memory.lengths(FIXED, 8, 18, writes_apart=False)


def test_growth_is_read_at_the_fixed_length_with_the_most_rows() -> None:
    assert memory.condition_of_growth([REAL, Condition(1, 8, 1), FIXED]) == FIXED
    assert memory.condition_of_growth([REAL]) is None


def test_a_worker_that_fails_is_a_failed_round_here_too() -> None:
    class Broken:
        def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
            raise WorkerFailed("gone")

    found = latency.time_rounds({"a": Broken()}, [FIXED], rounds=1, repeats=0, watch=lambda: lambda: None)
    assert found["a", FIXED.key].failure == "gone"
