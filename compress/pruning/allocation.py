"""Chooses the heads and neurons to keep under a budget: equally many in each layer, or the most important ones of all
layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from compress.core.errors import CompressError, listing
from compress.pruning.costs import Costs, Table
from compress.pruning.importance import Scores
from compress.pruning.units import Kept

PARTS = ("heads", "neurons")
NEURON_MULTIPLE = 16
"""Neurons go in groups of this many: matrix products are no faster with a few fewer."""
BINS = 2**15
"""Into how many equal parts a budget is cut where costs are not linear; each layer's cost is rounded up to whole ones."""


@dataclass(frozen=True)
class Allocation:
    """What to keep, and what that costs."""

    kept: Kept
    unit: str
    """Of what is counted, see `Costs.unit`."""
    asked: float
    """The budget."""
    delivered: float
    """The cost of what is kept: the budget at most."""
    original: float
    """The cost of all there is."""

    @property
    def share(self) -> float:
        """Of the original cost, what is kept, 0 to 1."""
        return self.delivered / self.original

    @property
    def remainder(self) -> float:
        """Of the budget, what is left over since no further unit fits, as a share of the original cost."""
        return (self.asked - self.delivered) / self.original


def uniform(
    scores: Scores,
    costs: Costs,
    budget: float,
    *,
    parts: Sequence[str] = PARTS,
    neuron_multiple: int = NEURON_MULTIPLE,
) -> Allocation:
    """Equally many heads and equally many neurons in each layer, of all such counts those that keep most importance.

    A layer that has fewer than that already keeps what it has. Arguments, result and errors are those of `everywhere`.
    """
    choices = _Choices(scores, costs, parts, neuron_multiple)
    best: tuple[float, list[int], list[int]] | None = None
    for heads in _counts(max(choices.present[0]), 1, "heads" in parts):
        of_heads = [min(heads, count) for count in choices.present[0]]
        for neurons in _counts(max(choices.present[1]), neuron_multiple, "neurons" in parts):
            of_neurons = [min(neurons, count) for count in choices.present[1]]
            if _fits(costs.total(of_heads, of_neurons), budget):
                value = choices.value(of_heads, of_neurons)
                if best is None or value > best[0]:
                    best = (value, of_heads, of_neurons)
    if best is None:
        raise choices.too_little(budget)
    return choices.allocation(best[1], best[2], budget)


def everywhere(
    scores: Scores,
    costs: Costs,
    budget: float,
    *,
    parts: Sequence[str] = PARTS,
    neuron_multiple: int = NEURON_MULTIPLE,
) -> Allocation:
    """The units of all layers that together keep most importance within the budget.

    Where each head costs as much as the next and each neuron too, this is algorithm 1 of Kwon et al. 2022, "A fast
    post-training pruning framework for transformers": for every number of heads, the best of them and as many of the best
    neurons as the rest of the budget pays for; of all numbers the one that keeps most. Neurons are taken in groups, each
    layer's best ones first. Costs that are not linear (measured milliseconds) make it a multiple-choice knapsack, which is
    solved by dynamic programming: exact but for rounding costs up to parts of 1/32768 of the budget.

    Args:
        scores: importances that may be added and compared across heads and neurons, as Fisher's may.
        costs: what the layers cost by their counts.
        budget: the most that the layers may cost, in the unit of `costs`; a share is that times the cost of all there is.
        parts: what may go, `heads` or `neurons` or both; what is not named stays whole.
        neuron_multiple: each layer keeps a multiple of this many neurons, or all.

    Returns:
        At least one head and one group of neurons in each layer, at a cost that does not exceed the budget.

    Raises:
        CompressError: the budget does not even pay for that, or a part is unknown.
    """
    choices = _Choices(scores, costs, parts, neuron_multiple)
    if not _fits(costs.total(*choices.least), budget):
        raise choices.too_little(budget)
    if _fits(costs.total(*choices.present), budget):
        return choices.allocation(*choices.present, budget)
    counts = _by_algorithm_1(choices, budget) if costs.are_linear else _by_knapsack(choices, budget)
    return choices.allocation(*counts, budget)


@dataclass(frozen=True)
class _Choices:
    """The counts that may be chosen in each layer, and what they are worth."""

    scores: Scores
    costs: Costs
    parts: Sequence[str]
    neuron_multiple: int

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            raise CompressError(
                f"Unknown unit {unknown[0]!r}. Choose {listing(PARTS)}." if unknown else "Give a unit to prune."
            )
        if self.neuron_multiple < 1:
            raise CompressError(f"Neurons are kept in multiples of 1 or more, not {self.neuron_multiple}. Raise it.")

    @property
    def present(self) -> tuple[list[int], list[int]]:
        return [len(one) for one in self.scores.heads], [len(one) for one in self.scores.neurons]

    @property
    def least(self) -> tuple[list[int], list[int]]:
        return [self.options("heads", count)[0] for count in self.present[0]], [
            self.options("neurons", count)[0] for count in self.present[1]
        ]

    def options(self, part: str, present: int) -> list[int]:
        """How many of a layer's units may be kept, increasing."""
        return _counts(present, 1 if part == "heads" else self.neuron_multiple, part in self.parts)

    def value(self, heads: Sequence[int], neurons: Sequence[int]) -> float:
        pairs = [*zip(self.scores.heads, heads, strict=True), *zip(self.scores.neurons, neurons, strict=True)]
        return sum(float(_worth(scores)[count]) for scores, count in pairs)

    def allocation(self, heads: Sequence[int], neurons: Sequence[int], budget: float) -> Allocation:
        kept = Kept(
            tuple(_best(*pair) for pair in zip(self.scores.heads, heads, strict=True)),
            tuple(_best(*pair) for pair in zip(self.scores.neurons, neurons, strict=True)),
        )
        original = self.costs.total(*self.present)
        return Allocation(kept, self.costs.unit, budget, self.costs.total(heads, neurons), original)

    def too_little(self, budget: float) -> CompressError:
        least, original = self.costs.total(*self.least), self.costs.total(*self.present)
        heads, neurons = self.least
        return CompressError(
            f"A budget of {budget:.6g} {self.costs.unit} ({budget / original:.1%} of the layers') is too small: "
            f"{min(heads)} heads and {min(neurons)} neurons in each layer take {least:.6g} ({least / original:.1%}) already. "
            "Raise the budget, or drop layers."
        )


def _by_algorithm_1(choices: _Choices, budget: float) -> tuple[list[int], list[int]]:
    heads, neurons = choices.least
    left = max(budget - choices.costs.total(heads, neurons), 0.0)
    free_heads = _groups(choices, "heads", choices.scores.heads, choices.costs.attention)
    free_neurons = _groups(choices, "neurons", choices.scores.neurons, choices.costs.ffn)
    head_costs, head_values = _running(free_heads)
    neuron_costs, neuron_values = _running(free_neurons)
    affordable = int(np.searchsorted(head_costs, _at_most(left), side="right"))  # 0 heads more is one of the choices
    # For 0, 1, 2, ... further heads, how many further groups of neurons the rest of the budget pays for.
    rest = _at_most(left) - head_costs[:affordable]
    paid = np.searchsorted(neuron_costs, rest, side="right") - 1
    number = int(np.argmax(head_values[:affordable] + neuron_values[paid]))
    for group in free_heads[:number]:
        heads[group.layer] += group.count
    for group in free_neurons[: int(paid[number])]:
        neurons[group.layer] += group.count
    return heads, neurons


@dataclass(frozen=True)
class _Group:
    """Units of one layer that are kept or go together."""

    layer: int
    count: int
    value: float
    cost: float


def _groups(choices: _Choices, part: str, scores: Sequence[Tensor], tables: Sequence[Table]) -> list[_Group]:
    """All groups beyond the least of each layer, those of most value first; of one layer, in the layer's order."""
    groups = []
    for layer, (of_layer, costs) in enumerate(zip(scores, tables, strict=True)):
        worth, options = _worth(of_layer), choices.options(part, len(of_layer))
        for before, after in itertools.pairwise(options):
            value, cost = float(worth[after] - worth[before]), costs[after] - costs[before]
            groups.append(_Group(layer, after - before, value, cost))
    return sorted(groups, key=lambda group: -group.value)  # stable, and a layer's later groups are worth no more


def _running(groups: Sequence[_Group]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The cost and the value of the first 0, 1, 2, ... groups."""
    costs = np.cumsum([0.0, *(group.cost for group in groups)])
    values = np.cumsum([0.0, *(group.value for group in groups)])
    return costs, values


def _by_knapsack(choices: _Choices, budget: float) -> tuple[list[int], list[int]]:
    """One option of each layer's heads and one of its neurons, of most value within the budget."""
    costs = choices.costs
    bin_cost = (budget - costs.rest) / BINS
    best = np.zeros(BINS + 1)
    taken: list[tuple[list[int], list[int], NDArray[np.int64]]] = []
    parts = (("heads", choices.scores.heads, costs.attention), ("neurons", choices.scores.neurons, costs.ffn))
    for part, scores, tables in parts:
        for of_layer, table in zip(scores, tables, strict=True):
            worth, options = _worth(of_layer), choices.options(part, len(of_layer))
            bins = [max(int(np.ceil(table[count] / bin_cost - 1e-9)), 0) for count in options]
            reached, choice = np.full(BINS + 1, -np.inf), np.zeros(BINS + 1, np.int64)
            for index, (count, some) in enumerate(zip(options, bins, strict=True)):
                if some <= BINS:
                    value = best[: BINS + 1 - some] + worth[count]
                    better = value >= reached[some:]  # of two of equal value the larger count
                    reached[some:][better] = value[better]
                    choice[some:][better] = index
            best = reached
            taken.append((options, bins, choice))
    if best[BINS] == -np.inf:  # only where rounding up takes the last of a budget that the least just fits
        return choices.least
    place, counts = BINS, []
    for options, bins, choice in reversed(taken):
        index = int(choice[place])
        counts.append(options[index])
        place -= bins[index]
    counts.reverse()
    layers = len(choices.scores.heads)
    return counts[:layers], counts[layers:]


def _counts(present: int, multiple: int, may_go: bool) -> list[int]:
    """The multiples up to what is present, and all of it."""
    if not may_go:
        return [present]
    return sorted({*range(multiple, present + 1, multiple), present})


def _worth(scores: Tensor) -> NDArray[np.float64]:
    """The summed score of a layer's best 0, 1, 2, ... units."""
    ordered = np.sort(scores.double().numpy())[::-1]
    return np.concatenate([[0.0], np.cumsum(ordered)])


def _best(scores: Tensor, count: int) -> tuple[int, ...]:
    order = scores.argsort(descending=True, stable=True)[:count]
    return tuple(sorted(order.tolist()))


def _fits(cost: float, budget: float) -> bool:
    return cost <= _at_most(budget)


def _at_most(budget: float) -> float:
    """A budget that is a share of a sum of floats may miss it by its last digit."""
    return budget + 1e-9 * abs(budget)
