"""Sparsity masks that are enforced during training: fixed masks, or masks that grow on a schedule.

Both are a `compress.training.objectives.Hold`: called before the first step and after each one, and asked whether all is pruned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from compress.core.errors import CompressError
from compress.pruning.magnitude import Choice, global_
from compress.pruning.weights import apply_, masks_of_zeros, prunable, weights_of


def share_at(progress: float, final: float, initial: float = 0.0, begin: float = 0.1, end: float = 0.7) -> float:
    """The sparsity at this point of the training: it rises fast at first, then more and more slowly.

    s = final + (initial - final) (1 - (progress - begin) / (end - begin))^3, from `begin` to `end`: equation 1 of Zhu &
    Gupta 2017, "To prune, or not to prune". Before `begin` nothing is pruned.

    Args:
        progress: of the training, from 0 to 1.
        final: the share at `end` and after it.
        initial: the share at `begin`.

    >>> [round(share_at(progress, 0.8), 3) for progress in (0.05, 0.25, 0.4, 0.9)]
    [0.0, 0.463, 0.7, 0.8]
    """
    if progress < begin:
        return 0.0
    if progress >= end:
        return final
    return final + (initial - final) * (1 - (progress - begin) / (end - begin)) ** 3


@dataclass(frozen=True)
class Schedule:
    """The schedule of sparsity over training, see `share_at`; it rises in `updates` equal steps of progress."""

    final: float
    initial: float = 0.0
    begin: float = 0.1
    end: float = 0.7
    updates: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.initial <= self.final < 1:
            raise CompressError(
                f"The sparsity must rise from 0 or more to below 1, not from {self.initial:g} to {self.final:g}."
            )
        if not 0 <= self.begin <= self.end <= 1 or self.updates < 1:
            raise CompressError(
                f"Pruning begins and ends within the training, from 0 to 1, in 1 update or more; here it is "
                f"{self.begin:g} to {self.end:g} in {self.updates}."
            )

    def share(self, progress: float) -> float:
        """The sparsity at a point of the training."""
        if self.begin <= progress < self.end:
            width = (self.end - self.begin) / self.updates
            # A little more than the floor, lest an update that is due waits for the next step by rounding.
            progress = self.begin + math.floor((progress - self.begin) / width + 1e-9) * width
        return share_at(progress, self.final, self.initial, self.begin, self.end)


class Fixed:
    """Keeps pruned weights at zero during training: an optimizer's changes to them are undone at once."""

    def __init__(self, model: Any, masks: Mapping[str, Tensor] | None = None) -> None:
        """Without masks: the zeros that the model has by now in what is `prunable`."""
        self.model = model
        self.masks = dict(masks_of_zeros(model) if masks is None else masks)

    def start(self) -> None:
        apply_(self.model, self.masks)

    def after_step(self, progress: float) -> None:
        apply_(self.model, self.masks)

    def is_done(self, progress: float) -> bool:
        return True


class Gradual:
    """Gradual pruning: at each update the smallest weights are set to zero, and zeros stay zero.

    Zhu & Gupta 2017, "To prune, or not to prune": masks are chosen by the magnitudes at that moment. There is no state
    besides the weights, since the masks are their zeros and what is due follows from the progress: a training that continues
    from a checkpoint ends as one that never stopped.
    """

    def __init__(
        self, model: Any, schedule: Schedule, choose: Choice = global_, names: Iterable[str] | None = None
    ) -> None:
        """
        Args:
            choose: `magnitude.local` or `magnitude.global_`.
            names: modules whose weights are pruned; without them, all that are `prunable`.
        """
        self.model, self.schedule, self.choose = model, schedule, choose
        self.names = tuple(prunable(model) if names is None else names)
        self.start()

    def start(self) -> None:
        self._masks = masks_of_zeros(self.model, self.names)
        self._share = 0.0  # the first update after a checkpoint finds its weights pruned, and changes nothing

    def after_step(self, progress: float) -> None:
        apply_(self.model, self._masks)
        share = self.schedule.share(progress)
        if share > self._share:
            self._share = share
            self._masks = self.choose(weights_of(self.model, self.names), share)
            apply_(self.model, self._masks)

    def is_done(self, progress: float) -> bool:
        return progress >= self.schedule.end
