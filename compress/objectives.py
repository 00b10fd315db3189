"""What steers a training run: the objective it minimizes, and a hold that keeps the weights as they must be meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

Objective = Callable[[Any, Mapping[str, Any], float], tuple[Any, Mapping[str, Any]]]
"""(model, batch, progress) -> (loss, its terms by name). The batch has the model's inputs, `labels`, and the extras by
name; progress is the share of the steps that lie behind, from 0 to 1. Each term's mean is kept as a curve."""


class Hold(Protocol):
    """What keeps a model's weights as they must be while it is trained: masks at zero, for example."""

    def start(self) -> None:
        """Once the weights are those that training begins with or goes on from, before the first step."""

    def after_step(self, progress: float) -> None:
        """After each step of the optimizer; `progress` is the share of all steps that are done, above 0, to 1."""

    def is_done(self, progress: float) -> bool:
        """Whether the weights are by now what was asked for: only then is an epoch one to keep."""


@runtime_checkable
class Penalty(Protocol):
    """A hold that has a part in the loss."""

    def loss(self, progress: float) -> Any:
        """What is added to the loss, a scalar."""
