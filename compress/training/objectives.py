"""What controls a training: the objective that it minimizes, the score of its epochs, and a hold on its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from compress.metrics.metric import Undefined

Objective = Callable[[Any, Mapping[str, Any], float], tuple[Any, Mapping[str, Any]]]
"""(model, batch, progress) -> (loss, its terms by name). The batch has the model's inputs, `labels`, and the extras by
name; progress is the share of completed steps, from 0 to 1. Each term's mean is kept as a curve."""

Scored = tuple[str, float | Undefined]
"""A metric's name, and its value or the reason why it does not exist."""

Score = Callable[[np.ndarray, np.ndarray, np.ndarray | None], Scored]
"""(scores, labels, starts) of the held-out rows' answers -> the metric's name and value; higher is better. `starts` says where
each row's answers begin, [rows + 1]; None where each row has one."""


@dataclass(frozen=True)
class ModelScore:
    """A score computed with the model itself, such as that of its generated texts."""

    of: Callable[[Any], Scored]
    """(model in evaluation mode) -> the metric's name and value."""
    rows: int
    """How many held-out rows that reads."""
    higher_is_better: bool = True


class Hold(Protocol):
    """Keeps a model's weights as required during training, for example masked weights at zero."""

    def start(self) -> None:
        """Called when the weights are those from which training starts or continues, before the first step."""

    def after_step(self, progress: float) -> None:
        """After each step of the optimizer; `progress` is the share of all steps that are done, above 0, to 1."""

    def is_done(self, progress: float) -> bool:
        """Whether the weights have reached their target: only then can an epoch be kept."""


@runtime_checkable
class Penalty(Protocol):
    """A hold that adds a term to the loss."""

    def loss(self, progress: float) -> Any:
        """What is added to the loss, a scalar."""


def reference_tokens(model: Any, label_smoothing: float = 0.0, *, states: bool = False) -> Objective:
    """The objective of a generative model that learns from references: cross-entropy at each token of theirs.

    A mean over a row's tokens, then over rows, so that accumulated batches are one batch, whatever their rows' lengths.

    Args:
        model: the one that is trained; a decoder's labels are at their tokens' positions, and the next token is predicted.
        label_smoothing: the share of the target that is spread over all tokens alike (Szegedy et al. 2016, "Rethinking the
            Inception Architecture for Computer Vision", section 7).
        states: whether the batches bring the states of its encoder, see `compress.models.forward.STATES`.
    """

    def objective(trained: Any, batch: Mapping[str, Any], progress: float) -> tuple[Any, Mapping[str, Any]]:
        from torch.nn.functional import cross_entropy

        from compress.models.forward import answers
        from compress.tasks.kinds.losses import mean_by_row

        found = answers(trained, batch, inside=model, states=states)
        assert found.targets is not None
        assert found.row is not None
        each = cross_entropy(found.values.float(), found.targets, reduction="none", label_smoothing=label_smoothing)
        return mean_by_row(each, found.row), {}

    return objective
