"""Movement pruning: each weight has a learned score, and weights that move towards zero are removed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from compress.core.errors import CompressError
from compress.models.families.matrices import weight_of
from compress.pruning.gradual import Schedule, share_at
from compress.pruning.magnitude import still_to_go
from compress.pruning.selection import pruned_count, without_smallest
from compress.pruning.weights import Masks, apply_, prunable

GONE = -1e4
"""The score of what was zero before: below any score that can be learned; its gradient is 0, so it stays there."""


class _Learned:
    """Weights with scores, see `Movement`. Both kinds differ in how scores become masks.

    While a model trains, its linear modules have `scores`, parameters that an optimizer moves, and the buffers `mask` and
    `update`: a checkpoint holds all of it. A training loop makes this before its optimizer and before it reads a
    checkpoint.
    """

    def __init__(self, model: Any, schedule: Schedule, names: Iterable[str] | None, updates: int) -> None:
        self.model, self.schedule, self.updates = model, schedule, updates
        chosen = prunable(model) if names is None else {name: model.get_submodule(name) for name in names}
        for linear in chosen.values():
            _give_scores_(linear)
        self.linears: dict[str, Any] = dict(chosen)

    def start(self) -> None:
        """Does nothing: the model has all the state."""

    def after_step(self, progress: float) -> None:
        """Recomputes the masks if an update is due; call it after each step of the optimizer."""
        update = self._update(progress)
        if int(next(iter(self.linears.values())).update) == update:
            return
        self._mask(self.masks(update / self.updates))
        for linear in self.linears.values():
            linear.update.fill_(update)

    def is_done(self, progress: float) -> bool:
        """Whether the schedule has ended: only then can the model be kept."""
        return self._update(progress) >= self.schedule.end * self.updates - 1e-9

    def masks(self, progress: float) -> Masks:
        """The masks that the scores give at this point of the training."""
        raise NotImplementedError

    @property
    def share(self) -> float:
        """The share of the weights that is masked now; the weights themselves are zero only once this is finished."""
        kept = sum(int(linear.mask.sum()) for linear in self.linears.values())
        return 1 - kept / sum(linear.mask.numel() for linear in self.linears.values())

    def finish_(self) -> Masks:
        """Sets masked weights to zero and restores plain linear modules; returns the masks."""
        masks = {name: linear.mask.clone() for name, linear in self.linears.items()}
        apply_(self.model, masks)
        for linear in self.linears.values():
            del linear.scores, linear.mask, linear.update
            linear.__class__ = nn.Linear if isinstance(linear, nn.Linear) else Conv1D
        self.linears = {}
        return masks

    def _update(self, progress: float) -> int:
        return math.floor(progress * self.updates + 1e-9)

    def _scores(self) -> dict[str, Tensor]:
        return {name: linear.scores.detach() for name, linear in self.linears.items()}

    def _mask(self, masks: Mapping[str, Tensor]) -> None:
        for name, linear in self.linears.items():
            linear.mask.copy_(masks[name] & (linear.scores > GONE / 2))


class Movement(_Learned):
    """Prunes by learned scores during training: weights with the largest scores stay, their number follows the schedule.

    The forward pass uses W' = W * M, M being the mask that the scores S give. The gradient reaches the scores as if M were
    S: dL/dS = dL/dW' * W; and the weights as it is: dL/dW = dL/dW' * M. So a weight that is masked rests, and comes back
    if others' scores fall below its own. Sanh et al. 2020, "Movement pruning: Adaptive sparsity by fine-tuning", section
    4. Scores begin at 0; only their order counts, so that with Adam their learning rate does not.
    """

    def __init__(
        self,
        model: Any,
        schedule: Schedule,
        names: Iterable[str] | None = None,
        *,
        by_matrix: bool = False,
        updates: int = 200,
    ) -> None:
        """
        Args:
            schedule: the share to prune over the training.
            names: linear modules; without them, all that are `prunable`. What is zero stays zero, and counts.
            by_matrix: each matrix loses the share, instead of all together.
            updates: how often masks are made in the whole training: also after the final share is reached.
        """
        super().__init__(model, schedule, names, updates)
        self.by_matrix = by_matrix

    def masks(self, progress: float) -> Masks:
        schedule = self.schedule
        return self._largest(share_at(progress, schedule.final, schedule.initial, schedule.begin, schedule.end))

    def finish_(self) -> Masks:
        """As in the base class; a training too short for its schedule is pruned to the final share now."""
        masked = sum(int((~linear.mask).sum()) for linear in self.linears.values())
        if masked < pruned_count(self.schedule.final, sum(linear.mask.numel() for linear in self.linears.values())):
            self._mask(self._largest(self.schedule.final))
        return super().finish_()

    def _largest(self, share: float) -> Masks:
        scores = self._scores()
        if not self.by_matrix:
            total = sum(score.numel() for score in scores.values())
            return without_smallest(scores, pruned_count(share, total), _itself)
        present = {name: score > GONE / 2 for name, score in scores.items()}
        masks: Masks = {}
        for name, more in still_to_go(present, share).items():
            gone = int((~present[name]).sum())
            masks |= without_smallest({name: scores[name]}, gone + more, _itself)
        return masks


class SoftMovement(_Learned):
    """As `Movement`, but weights stay if sigmoid(S) is above a threshold, and a penalty on sigmoid(S) lowers scores.

    How much is pruned is decided by the loss, and differs from matrix to matrix. Sanh et al. 2020, section 4, "soft
    movement pruning". Add `loss` to what is trained.
    """

    def __init__(
        self,
        model: Any,
        penalty: float,
        names: Iterable[str] | None = None,
        *,
        threshold: float = 0.1,
        begin: float = 0.1,
        end: float = 0.7,
        speed: float = 200.0,
        updates: int = 200,
    ) -> None:
        """
        Args:
            penalty: the weight of the mean sigmoid(S) in the loss, from `end` on.
            names: linear modules; without them, all that are `prunable`. What is zero stays zero.
            threshold: from `end` on. Penalty and threshold rise from 0 at `begin` by the cubic of `share_at`.
            speed: how many times as fast as the weights the scores move: the scores are so many times the parameter that
                the optimizer moves, which gets the scores' gradient. With Adam that is a learning rate so many times as
                large; the paper has 1e-2 beside 5e-5.

        Raises:
            CompressError: the threshold is not above 0 and below 0.5, where sigmoid(S) begins, or the penalty is below 0.
        """
        if not 0 < threshold < 0.5:
            raise CompressError(f"The threshold of soft movement pruning is between 0 and 0.5, not {threshold:g}.")
        if not 0 <= penalty < math.inf:
            raise CompressError(f"The penalty of soft movement pruning is 0 or more, not {penalty:g}.")
        super().__init__(model, Schedule(threshold, begin=begin, end=end), names, updates)
        self.penalty, self.threshold, self.speed = penalty, threshold, speed

    def masks(self, progress: float) -> Masks:
        threshold = self._risen(progress) * self.threshold
        return {name: torch.sigmoid(self.speed * score) > threshold for name, score in self._scores().items()}

    def loss(self, progress: float) -> Tensor:
        """The penalty: the mean over the matrices of their mean sigmoid(S), times its weight at this point."""
        means = [torch.sigmoid(_Faster.apply(linear.scores, self.speed)).mean() for linear in self.linears.values()]
        return self.penalty * self._risen(progress) * torch.stack(means).mean()

    def _risen(self, progress: float) -> float:
        return share_at(progress, 1.0, 0.0, self.schedule.begin, self.schedule.end)


class _MaskedLinear(nn.Linear):
    """A linear module whose weight is masked in the forward pass; see `_give_scores_`."""

    def forward(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, _Masked.apply(self.weight, self.scores, self.mask), self.bias)


class _MaskedConv1D(Conv1D):
    """The same for GPT-2's, whose scores and mask are [outputs, inputs] all the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, _Masked.apply(self.weight.T, self.scores, self.mask), self.bias)


def _give_scores_(linear: Any) -> None:
    weight = weight_of(linear).detach()
    linear.__class__ = _MaskedLinear if isinstance(linear, nn.Linear) else _MaskedConv1D
    linear.scores = nn.Parameter(torch.where(weight == 0, GONE, torch.zeros_like(weight, dtype=torch.float32)))
    linear.register_buffer("mask", weight != 0)
    linear.register_buffer("update", torch.zeros((), dtype=torch.int64))


class _Masked(torch.autograd.Function):
    """W * M with a straight-through gradient to the scores: Bengio et al. 2013."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(weight, mask)
        return weight.masked_fill(~mask, 0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, mask = ctx.saved_tensors
        return gradient.masked_fill(~mask, 0), (gradient * weight).float(), None


class _Faster(torch.autograd.Function):
    """A multiple of the parameter, which gets the multiple's gradient."""

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, times: float) -> Tensor:
        return parameter * times

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _itself(scores: Tensor) -> Tensor:
    return scores
