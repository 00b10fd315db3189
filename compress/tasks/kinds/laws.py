"""The laws of answers: what a model's scores of one answer mean, how they become a prediction, and how they are learned.

What a law decides is computed with NumPy, and how it is learned with torch, which its methods import: the process in which a
model is measured imports this file, and no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import NO_LABEL

if TYPE_CHECKING:
    from torch import Tensor


LEVEL = 0.01
"""Of the one-sided test by which a model is shown to be worse than guessing."""
NORMAL = 2.326
"""The quantile of the normal distribution that belongs to it."""
ROUNDING = 1e-3
"""So far from 1 the sum of written probabilities may be."""
CERTAIN = 700.0
"""Stands for an infinite score, since a double holds the exponential of no more than 709. A probability of 0 so stays below 1e-15
at temperatures up to 20."""


@dataclass(frozen=True)
class Law:
    """The meaning of an answer's scores."""

    name: str
    chooses: bool
    """Whether an answer is a choice (of a class, of labels), which can be right or wrong, and can flip."""
    no_label: Any
    """What stands in the place of the label of a row that has none."""
    stored_as: str
    """The Arrow type of a label."""
    several: bool = False
    """Whether an answer is any number of the labels at once."""
    of_vocabulary: bool = False
    """Whether the outcomes are all tokens of a vocabulary: so many that of a teacher's scores only the highest are kept."""

    @property
    def is_number(self) -> bool:
        """Whether a label is a number as it stands, rather than one of the names or a text."""
        return not self.chooses and not self.of_vocabulary

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The prediction.

        Args:
            values: scores, [answers, outputs].

        Returns:
            Class ids or numbers, [answers]; of labels each by itself 0 or 1, [answers, outputs].
        """
        raise NotImplementedError

    def probabilities(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The chance of each output, 0 to 1, in the shape of the scores."""
        raise NotImplementedError

    def stated(self, labels: NDArray[Any], outcomes: int, confidence: float) -> NDArray[np.float64]:
        """The probabilities of labels that are stated with a confidence, [answers, outputs]; of laws that choose.

        Args:
            labels: class ids, [answers]; of labels each by itself 0 or 1, [answers, outputs].
            outcomes: how many outputs there are.
            confidence: the probability of what is stated, 0 to 1; the other outcomes share the rest evenly.
        """
        raise NotImplementedError

    def scores(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """Scores whose `probabilities` these are, in the same shape; `CERTAIN` stands for infinity. Of laws that choose."""
        raise NotImplementedError

    def defect(self, probabilities: NDArray[Any]) -> str:
        """Why these cannot be the probabilities of one answer's outputs, [outputs]; empty where they can."""
        known = np.isfinite(probabilities)
        if known.all() and (probabilities >= 0).all() and (probabilities <= 1).all():
            return ""
        value = probabilities[~known | (probabilities < 0) | (probabilities > 1)][0]
        return f"a probability is {value:g}, not from 0 to 1"

    def differs(self, ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.bool_]:
        """Where two models predict differently, [answers]."""
        return (self.decide(ours) != self.decide(theirs)).reshape(len(theirs), -1).any(axis=1)

    def margin(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """How far an answer is from another prediction, in scores, [answers]."""
        raise NotImplementedError

    def worse_than_guessing(self, values: NDArray[Any], labels: NDArray[Any]) -> str:
        """What shows that a model does worse than a guess, at the level of 1 %, one-sided; empty where nothing does, or where it
        cannot be shown.

        Args:
            values: scores, [answers, outputs].
            labels: the right classes or numbers, [answers].
        """
        return ""

    def similarity(self, ours: NDArray[Any], theirs: NDArray[Any]) -> float:
        """How much two models' predictions are alike that are no choices, -1 to 1: of numbers their correlation.

        Of constant numbers it is 1 if both are equal, else 0; of NaN or infinity -1.
        """
        if not np.isfinite(ours).all():
            return -1.0
        if np.ptp(ours) == 0 or np.ptp(theirs) == 0 or len(ours) < 2:
            return float(np.allclose(ours, theirs, atol=0.1 * max(1.0, float(np.abs(theirs).max()))))
        return float(np.corrcoef(ours, theirs)[0, 1])

    def labelled(self, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Which answers have a label, [answers], boolean.

        Args:
            targets: labels, see `compress.tasks.kinds.answers.Answers`.
            valid: the outcomes that exist, [answers, outcomes]; None where all do.
        """
        raise NotImplementedError

    def loss(self, values: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """How far each answer is from its label, [answers], at least 0 and finite; of an answer without a label any number.

        Args:
            values: scores, [answers, outcomes].
            targets, valid: as of `labelled`.
        """
        raise NotImplementedError

    def mean_loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of the answers that have a label; 0, with a gradient of 0, where none has."""
        known = self.labelled(targets)
        each = self.loss(values, targets)
        return each[known].mean() if bool(known.any()) else each.sum() * 0

    def mixed(
        self, teachers: Tensor, weights: Sequence[float], temperature: float, valid: Tensor | None = None
    ) -> Tensor:
        """The scores that several teachers give together.

        Args:
            teachers: scores, [answers, teachers, outcomes].
            weights: one a teacher, at least 0 and not all 0.
            temperature: at which they will be learned from.
            valid: the outcomes that exist, [answers, outcomes]; None where all do.

        Returns:
            [answers, outcomes]; of a single teacher its own as they are.
        """
        from compress.tasks.kinds import losses

        return losses.mixed_scores(teachers, weights)

    def confidence(self, mixed: Tensor, valid: Tensor | None = None) -> Tensor:
        """How sure each answer is, [answers], 0 to 1; of laws that choose.

        Args:
            mixed: as `mixed` gives it at temperature 1.
            valid: the outcomes that exist, [answers, outcomes]; None where all do.
        """
        raise NotImplementedError

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None) -> Tensor:
        """How far a student's answers are from a teacher's, [answers], at least 0 and finite; no gradient reaches the teacher.

        Args:
            student, teacher: scores, [answers, outcomes].
            temperature: above 0; of laws without one it says nothing.
            valid: the outcomes that exist, [answers, outcomes]; None where all do.
        """
        raise NotImplementedError

    def mean_divergence(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The mean over the answers."""
        return self.divergence(student, teacher, temperature).mean()


class Categorical(Law):
    """One of several classes: the one with the largest score."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return values.argmax(axis=-1).astype(np.float64)

    def probabilities(self, values: NDArray[Any]) -> NDArray[np.float64]:
        odds = np.exp(values - values.max(axis=-1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=-1, keepdims=True), dtype=np.float64)

    def stated(self, labels: NDArray[Any], outcomes: int, confidence: float) -> NDArray[np.float64]:
        found = np.full((len(labels), outcomes), (1 - confidence) / max(outcomes - 1, 1))
        found[np.arange(len(labels)), np.asarray(labels, np.int64)] = confidence
        return found

    def scores(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """Logarithms: `softmax(log p) = p`, and `softmax(log p / T)` is p softened (Hinton et al. 2015, equation 1)."""
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(np.asarray(probabilities, np.float64)), -CERTAIN)

    def defect(self, probabilities: NDArray[Any]) -> str:
        total = float(np.sum(probabilities))
        return super().defect(probabilities) or (
            f"the probabilities sum to {total:.4g}, not 1" if abs(total - 1) > ROUNDING else ""
        )

    def margin(self, values: NDArray[Any]) -> NDArray[np.float64]:
        ordered = np.sort(values, axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2], dtype=np.float64)

    def worse_than_guessing(self, values: NDArray[Any], labels: NDArray[Any]) -> str:
        """A guess draws labels by their frequencies p and is right with the chance of the sum of p squared: the exact binomial
        test."""
        from scipy.stats import binom

        right_ones = int((values.argmax(axis=-1) == labels).sum())
        guessing = float(((np.bincount(labels.astype(np.int64)) / len(labels)) ** 2).sum())
        if binom.cdf(right_ones, len(labels), guessing) >= LEVEL:
            return ""
        share = right_ones / len(labels)
        return f"accuracy {share:.4f}, worse than guessing by the labels' frequencies ({guessing:.4f}),"

    def labelled(self, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """A label that is none of the outcomes that exist is none."""
        known = targets != NO_LABEL
        return known if valid is None else known & valid.gather(-1, targets.clamp(min=0)[:, None])[:, 0]

    def loss(self, values: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Cross-entropy; 0 without a label."""
        from torch.nn.functional import cross_entropy

        from compress.tasks.kinds import losses

        if valid is not None:
            targets = targets.masked_fill(~self.labelled(targets, valid), NO_LABEL)
        scores = losses.masked(losses.in_fp32(values), valid)
        return cross_entropy(scores, targets.long(), ignore_index=NO_LABEL, reduction="none")

    def mean_loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """torch's own mean, which rounds otherwise than a mean of what `loss` gives."""
        from compress.tasks.kinds import losses

        return losses.hard_labels(values, targets)

    def mixed(
        self, teachers: Tensor, weights: Sequence[float], temperature: float, valid: Tensor | None = None
    ) -> Tensor:
        """The mean of their softened distributions."""
        from compress.tasks.kinds import losses

        return losses.mixed_targets(teachers, weights, temperature, valid)

    def confidence(self, mixed: Tensor, valid: Tensor | None = None) -> Tensor:
        """The probability of the most likely class."""
        from compress.tasks.kinds import losses

        return losses.masked(losses.in_fp32(mixed), valid).softmax(-1).amax(-1)

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None) -> Tensor:
        """`T^2 KL(teacher || student)` at temperature T: Hinton et al. 2015, section 2."""
        from compress.tasks.kinds import losses

        return losses.soft_targets_of_each(student, teacher, temperature, valid)

    def mean_divergence(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """torch's own mean, as of `mean_loss`."""
        from compress.tasks.kinds import losses

        return losses.soft_targets(student, teacher, temperature)


class Binary(Law):
    """Each label separately: those with a probability above one half, that is a score above 0."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return (values > 0).astype(np.float64)

    def probabilities(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-np.asarray(values, dtype=np.float64))), dtype=np.float64)

    def stated(self, labels: NDArray[Any], outcomes: int, confidence: float) -> NDArray[np.float64]:
        return np.where(np.asarray(labels) > 0, confidence, 1 - confidence)

    def scores(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """The logarithms of the odds, as sigmoid has it."""
        given = np.asarray(probabilities, np.float64)
        with np.errstate(divide="ignore"):
            return np.clip(np.log(given) - np.log1p(-given), -CERTAIN, CERTAIN)

    def margin(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.abs(values).min(axis=1), dtype=np.float64)

    def labelled(self, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        return ~targets.isnan().any(-1)

    def loss(self, values: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """Binary cross-entropy, the mean over the labels."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        from compress.tasks.kinds import losses

        scores, wanted = losses.without(losses.in_fp32(values), valid), targets.nan_to_num()
        each = binary_cross_entropy_with_logits(scores, wanted.to(scores.dtype), reduction="none")
        return losses.mean_of(each, valid)

    def mixed(
        self, teachers: Tensor, weights: Sequence[float], temperature: float, valid: Tensor | None = None
    ) -> Tensor:
        """The mean of their softened chances of each label, as scores of its two outcomes: [answers, labels, 2]."""
        from compress.tasks.kinds import losses

        exist = None if valid is None else valid[:, None]
        return losses.mixed_targets(losses.two_outcomes(losses.without(teachers, exist)), weights, temperature)

    def confidence(self, mixed: Tensor, valid: Tensor | None = None) -> Tensor:
        """The probability of the likelier outcome, to have it or not, of the label that is least certain."""
        from compress.tasks.kinds import losses

        each = losses.in_fp32(mixed).softmax(-1).amax(-1)
        return (each if valid is None else each.masked_fill(~valid, 1.0)).amin(-1)

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None) -> Tensor:
        """`T^2 KL(teacher || student)` of the two outcomes of each label, the mean over the labels.

        Args:
            teacher: as `mixed` gives it, [answers, labels, 2].
        """
        from compress.tasks.kinds import losses

        exist = None if valid is None else valid[..., None]
        ours = losses.without(losses.two_outcomes(student), exist)
        each = losses.soft_targets_of_each(ours, losses.without(teacher, exist), temperature)
        return losses.mean_of(each, valid)


class Number(Law):
    """A number: the score itself."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return values[..., 0].astype(np.float64)

    def worse_than_guessing(self, values: NDArray[Any], labels: NDArray[Any]) -> str:
        """Where the correlation is shown to be negative, by Fisher's transformation."""
        predicted, right = values.reshape(-1).astype(np.float64), labels.astype(np.float64)
        constant = np.ptp(predicted) < 1e-6 * max(1.0, float(np.abs(predicted).max(initial=0)))
        if len(labels) < 4 or constant or not np.ptp(right):
            return ""
        correlation = float(np.corrcoef(predicted, right)[0, 1])
        within = min(max(correlation, -1 + 1e-12), 1 - 1e-12)  # a perfect correlation has no finite transform
        negative = math.atanh(within) * math.sqrt(len(labels) - 3) < -NORMAL
        return f"a negative correlation ({correlation:.4f})" if negative else ""

    def labelled(self, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        return ~targets.isnan()

    def loss(self, values: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
        """The squared error."""
        from torch.nn.functional import mse_loss

        from compress.tasks.kinds import losses

        scores = losses.in_fp32(values)
        return mse_loss(scores.reshape(-1), targets.nan_to_num().to(scores.dtype), reduction="none")

    def mean_loss(self, values: Tensor, targets: Tensor) -> Tensor:
        from compress.tasks.kinds import losses

        return losses.scores(values, targets)

    def divergence(self, student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None) -> Tensor:
        """The squared error."""
        from compress.tasks.kinds import losses

        return (losses.in_fp32(student) - losses.in_fp32(teacher.detach())).square().mean(-1)

    def mean_divergence(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        from compress.tasks.kinds import losses

        return losses.scores(student, teacher)


class Tokens(Categorical):
    """The next token of a text, one of the vocabulary; a text is decided token by token, while it is generated."""


CATEGORICAL = Categorical("categorical", chooses=True, no_label=NO_LABEL, stored_as="int64")
BINARY = Binary("binary", chooses=True, no_label=math.nan, stored_as="float32", several=True)
NUMBER = Number("number", chooses=False, no_label=math.nan, stored_as="float64")
TOKENS = Tokens("tokens", chooses=False, no_label=NO_LABEL, stored_as="string", of_vocabulary=True)
