"""The laws of answers: what a model's scores of one answer mean, and how they become a prediction.

How an answer is learned, the losses, is in `compress.distillation.laws`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.core.labels import NO_LABEL


@dataclass(frozen=True)
class Law:
    """What the scores of an answer mean."""

    name: str
    chooses: bool
    """Whether an answer is a choice (of a class, of labels), which can be right or wrong, and can flip."""
    no_label: Any
    """What stands in the place of the label of a row that has none."""
    stored_as: str
    """The Arrow type of a label."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """What is predicted.

        Args:
            values: scores, [answers, outputs].

        Returns:
            Class ids or numbers, [answers]; of labels each by itself 0 or 1, [answers, outputs].
        """
        raise NotImplementedError

    def probabilities(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The chance of each output, 0 to 1, in the shape of the scores."""
        raise NotImplementedError

    def differs(self, ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.bool_]:
        """Where two models predict otherwise, [answers]."""
        return (self.decide(ours) != self.decide(theirs)).reshape(len(theirs), -1).any(axis=1)

    def margin(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """How far an answer is from another prediction, in scores, [answers]."""
        raise NotImplementedError


class Categorical(Law):
    """One of several classes: the one with the largest score."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return values.argmax(axis=-1).astype(np.float64)

    def probabilities(self, values: NDArray[Any]) -> NDArray[np.float64]:
        odds = np.exp(values - values.max(axis=-1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=-1, keepdims=True), dtype=np.float64)

    def margin(self, values: NDArray[Any]) -> NDArray[np.float64]:
        ordered = np.sort(values, axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2], dtype=np.float64)


class Binary(Law):
    """Each label by itself: those with a probability above one half, that is a score above 0."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return (values > 0).astype(np.float64)

    def probabilities(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-np.asarray(values, dtype=np.float64))), dtype=np.float64)

    def margin(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.abs(values).min(axis=1), dtype=np.float64)


class Number(Law):
    """A number: the score itself."""

    def decide(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return values[..., 0].astype(np.float64)


class Tokens(Law):
    """The next token of a text; what is decided is decided token by token, while a text is generated."""


CATEGORICAL = Categorical("categorical", chooses=True, no_label=NO_LABEL, stored_as="int64")
BINARY = Binary("binary", chooses=True, no_label=math.nan, stored_as="float32")
NUMBER = Number("number", chooses=False, no_label=math.nan, stored_as="float64")
TOKENS = Tokens("tokens", chooses=False, no_label=NO_LABEL, stored_as="string")
