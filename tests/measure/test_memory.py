"""Tests of how memory grows with what is generated, from given peaks; the peaks of real processes are in `test_worker`."""

from __future__ import annotations

import pytest

from compress.core.errors import CompressError
from compress.measure import memory
from compress.measure.batches import Condition
from compress.measure.quantities import GROWTH

WHERE = {"runtime": "onnx_runtime", "threads": 1}
REAL, FIXED = Condition(1, "real", 3), Condition(4, 16, 2)


def test_memory_grows_by_what_each_token_of_each_row_takes() -> None:
    found = memory.growth("abc", {8: 1000.0, 16: 1500.0, 32: 2920.0}, FIXED, WHERE)
    value = found[-1]
    assert value.name == GROWTH
    assert value.value == pytest.approx(1920 / (24 * 4))
    peaks = [(one.condition["new_tokens"], one.value) for one in found if one.name == "peak_memory_bytes"]
    assert peaks == [(8, 1000.0), (16, 1500.0), (32, 2920.0)]
    assert len(value.notes) == 1


def test_memory_that_does_not_grow_says_why() -> None:
    value = memory.growth("abc", {8: 1000.0, 16: 1000.0}, FIXED, WHERE)[-1]
    assert (value.value, value.notes[1]) == (0.0, "what was generated fitted into memory that the process held already")


def test_no_more_is_generated_than_a_model_reads() -> None:
    assert memory.lengths(FIXED, 8, None, has_encoder=False) == [8, 16, 32]
    assert memory.lengths(FIXED, 8, 32, has_encoder=False) == [4, 8, 16]
    assert memory.lengths(FIXED, 8, 32, has_encoder=True) == [8, 16, 32]
    with pytest.raises(CompressError, match="leaves no room"):
        memory.lengths(FIXED, 8, 18, has_encoder=False)


def test_growth_is_read_at_the_fixed_length_with_the_most_rows() -> None:
    assert memory.condition_of_growth([REAL, Condition(1, 8, 1), FIXED]) == FIXED
    assert memory.condition_of_growth([REAL]) is None
