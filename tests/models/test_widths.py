"""Which widths a student can have, and what is said about those it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from compress.core.errors import CompressError
from compress.models.widths import Widths, narrower, widths
from tests.tiny import FAMILIES


def config(family: str = "bert") -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **FAMILIES[family])


@pytest.mark.parametrize("family", FAMILIES)
def test_widths_are_read_under_each_familys_names(family: str) -> None:
    assert widths(config(family)) == Widths(hidden=64, heads=4, neurons=128)
    assert widths(config(family)).head_size == 16


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, Widths(64, 4, 128)),
        ({"hidden_size": 48}, Widths(48, 3, 128)),
        ({"heads": 3}, Widths(48, 3, 128)),
        ({"hidden_size": 48, "heads": 4}, Widths(48, 4, 128)),
        ({"hidden_size": 48, "heads": 3}, Widths(48, 3, 128)),
        ({"intermediate_size": 70}, Widths(64, 4, 70)),
        ({"hidden_size": 16, "intermediate_size": 1}, Widths(16, 1, 1)),
    ],
)
def test_a_head_keeps_its_size_unless_both_widths_are_given(asked: dict[str, int], found: Widths) -> None:
    assert narrower(config(), **asked) == (found,)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"hidden_size": 65}, "hidden_size 65 .* Choose 1 to 64"),
        ({"heads": 0}, "heads 0 .* Choose 1 to 4"),
        ({"intermediate_size": -1}, "intermediate_size -1 .* Choose 1 to 128"),
        ({"hidden_size": 40}, "not a multiple of 16.* Choose 32 or 48"),
        ({"hidden_size": 8}, "not a multiple of 16.* Choose 16, or give heads"),
        ({"hidden_size": 50, "heads": 4}, "among 4 heads. Choose a multiple of 4"),
        ({"hidden_size": 64, "heads": 2}, "each 32 wide, but the teacher's are 16. Choose at most 32"),
    ],
)
def test_widths_that_cannot_be_are_refused_with_those_that_could(asked: dict[str, int], said: str) -> None:
    with pytest.raises(CompressError, match=said):
        narrower(config(), **asked)


def test_heads_with_rotary_positions_are_kept_whole() -> None:
    assert narrower(config("modernbert"), hidden_size=32) == (Widths(32, 2, 128),)
    with pytest.raises(CompressError, match="rotary positions need a head whole. Choose hidden_size 64"):
        narrower(config("modernbert"), hidden_size=48, heads=4)
