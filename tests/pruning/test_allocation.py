"""What is kept under a budget, against all there is to choose from."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.core.errors import CompressError
from compress.pruning.allocation import Allocation, everywhere, uniform
from compress.pruning.costs import Costs, linear
from compress.pruning.importance import Scores
from compress.pruning.units import Units


def scores_of(seed: int, *, layers: int = 2, heads: int = 3, neurons: int = 6) -> Scores:
    torch.manual_seed(seed)
    return Scores(
        tuple(torch.rand(heads) * 3 for _ in range(layers)), tuple(torch.rand(neurons) for _ in range(layers))
    )


def linear_costs(layers: int, heads: int, neurons: int, *, head: float = 8.0, neuron: float = 1.0) -> Costs:
    return linear("MACs", head, neuron, Units((heads,) * layers, (neurons,) * layers, 16))


def importance(scores: Scores, found: Allocation) -> float:
    pairs = [*zip(scores.heads, found.kept.heads, strict=True), *zip(scores.neurons, found.kept.neurons, strict=True)]
    return sum(float(one[list(kept)].double().sum()) for one, kept in pairs)


def best_of_all(scores: Scores, costs: Costs, budget: float, multiple: int) -> float:
    """The most importance that any choice of counts keeps within the budget."""
    heads = [range(1, len(one) + 1) for one in scores.heads]
    neurons = [sorted({*range(multiple, len(one) + 1, multiple), len(one)}) for one in scores.neurons]
    best = -1.0
    for counts in itertools.product(*heads, *neurons):
        of_heads, of_neurons = counts[: len(heads)], counts[len(heads) :]
        if costs.total(of_heads, of_neurons) <= budget + 1e-6:
            kept = zip([*scores.heads, *scores.neurons], counts, strict=True)
            best = max(best, sum(float(one.double().sort(descending=True).values[:n].sum()) for one, n in kept))
    return best


@given(st.integers(0, 1000), st.sampled_from([1, 2, 3]), st.integers(45, 100))
def test_with_linear_costs_no_other_choice_keeps_more(seed: int, multiple: int, percent: int) -> None:
    scores, costs = scores_of(seed), linear_costs(2, 3, 6)
    budget = percent / 100 * costs.total((3, 3), (6, 6))
    found = everywhere(scores, costs, budget, neuron_multiple=multiple)
    assert importance(scores, found) == pytest.approx(best_of_all(scores, costs, budget, multiple))
    assert found.delivered <= budget + 1e-6


@given(st.integers(0, 1000), st.integers(55, 100))
def test_with_measured_costs_no_other_choice_keeps_more(seed: int, percent: int) -> None:
    scores = scores_of(seed)
    attention, ffn = (0.0, 3.0, 3.5, 6.0), (0.0, 2.0, 2.0, 2.25, 2.25, 4.0, 4.25)
    costs = Costs("milliseconds", (attention, attention), (ffn, tuple(ms / 10 for ms in ffn)), 1.0)
    budget = percent / 100 * costs.total((3, 3), (6, 6))
    found = everywhere(scores, costs, budget, neuron_multiple=1)
    # Costs are rounded up to parts of the budget, so one choice that just fits may be missed: by that much less it holds.
    assert importance(scores, found) >= best_of_all(scores, costs, budget * (1 - 1e-3), 1) - 1e-6
    assert found.delivered <= budget + 1e-6


def test_the_most_important_units_stay_and_the_rest_goes() -> None:
    scores = Scores(
        (torch.tensor([0.1, 5.0, 0.2]), torch.tensor([0.3, 0.1, 0.2])),
        (torch.tensor([0.0, 9.0, 9.0, 0.0]), torch.tensor([8.0, 0.0, 0.0, 8.0])),
    )
    found = everywhere(scores, linear_costs(2, 3, 4), 2 * 8 + 4, neuron_multiple=2)
    assert found.kept.heads == ((1,), (0,))
    assert found.kept.neurons == ((1, 2), (0, 3))
    assert found.delivered == 20
    assert found.remainder == 0


@given(st.integers(0, 1000), st.integers(30, 100))
def test_what_is_left_over_is_reported_and_is_less_than_a_group_of_neurons(seed: int, percent: int) -> None:
    scores, costs = scores_of(seed, layers=3, heads=4, neurons=32), linear_costs(3, 4, 32)
    original = costs.total((4,) * 3, (32,) * 3)
    found = everywhere(scores, costs, percent / 100 * original, neuron_multiple=4)
    assert found.share + found.remainder == pytest.approx(percent / 100)
    whole = all(len(one) == 32 for one in found.kept.neurons)
    assert found.remainder < (8 if whole else 4) / original  # all neurons stay: then no further head fits


@given(st.integers(0, 1000), st.integers(35, 100))
def test_uniform_keeps_equally_many_in_each_layer_and_no_such_counts_keep_more(seed: int, percent: int) -> None:
    scores, costs = scores_of(seed, layers=3, heads=4, neurons=8), linear_costs(3, 4, 8, head=4.0)
    budget = percent / 100 * costs.total((4,) * 3, (8,) * 3)
    found = uniform(scores, costs, budget, neuron_multiple=2)
    ((heads,), (neurons,)) = ({len(one) for one in part} for part in (found.kept.heads, found.kept.neurons))
    best = max(
        float(sum(one.sort(descending=True).values[:h].sum() for one in scores.heads))
        + float(sum(one.sort(descending=True).values[:n].sum() for one in scores.neurons))
        for h in range(1, 5)
        for n in (2, 4, 6, 8)
        if costs.total((h,) * 3, (n,) * 3) <= budget + 1e-6
    )
    assert costs.total((heads,) * 3, (neurons,) * 3) == found.delivered <= budget + 1e-6
    assert importance(scores, found) == pytest.approx(best)


@pytest.mark.parametrize("choose", [uniform, everywhere])
def test_a_part_that_is_not_named_stays_whole(choose: Callable[..., Any]) -> None:
    scores, costs = scores_of(1, neurons=32), linear_costs(2, 3, 32)
    found = choose(scores, costs, 80.0, parts=("neurons",), neuron_multiple=8)
    assert found.kept.heads == ((0, 1, 2),) * 2
    assert sum(map(len, found.kept.neurons)) == 32
    found = choose(scores, costs, 96.0, parts=("heads",))
    assert sum(map(len, found.kept.heads)) == 4
    assert found.kept.neurons == (tuple(range(32)),) * 2


@pytest.mark.parametrize("choose", [uniform, everywhere])
def test_the_whole_budget_keeps_everything(choose: Callable[..., Any]) -> None:
    scores, costs = scores_of(2), linear_costs(2, 3, 6)
    found = choose(scores, costs, costs.total((3, 3), (6, 6)))
    assert found.share == 1
    assert found.kept.heads == ((0, 1, 2),) * 2
    assert found.kept.neurons == (tuple(range(6)),) * 2


@pytest.mark.parametrize("choose", [uniform, everywhere])
def test_layers_of_unequal_widths_can_be_chosen_from(choose: Callable[..., Any]) -> None:
    scores = Scores((torch.rand(1), torch.rand(4)), (torch.rand(16), torch.rand(40)))
    found = choose(scores, linear("MACs", 8.0, 0.5, Units((1, 4), (16, 40), 16)), 40.0)
    assert len(found.kept.heads[0]) == 1
    assert len(found.kept.neurons[0]) == 16
    assert len(found.kept.neurons[1]) in (16, 32, 40)
    assert found.delivered <= 40


@pytest.mark.parametrize("choose", [uniform, everywhere])
def test_a_budget_that_pays_for_nothing_is_refused_with_the_least_that_does(choose: Callable[..., Any]) -> None:
    scores, costs = scores_of(3, neurons=32), linear_costs(2, 3, 32)
    with pytest.raises(CompressError, match=r"10 MACs \(8.9% .* 1 heads and 16 neurons .* take 48 \(42.9%\)"):
        choose(scores, costs, 10.0)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(CompressError, match="Unknown unit 'layers'"):
        everywhere(scores_of(0), linear_costs(2, 3, 6), 20.0, parts=("layers",))
