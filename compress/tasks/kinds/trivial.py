"""Trivial baselines: predictions without a model (the commonest class, the mean, the first sentences)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Known:
    """What a trivial baseline may look at: the labels it learns from, and the examples it predicts without their labels."""

    examples: Mapping[str, Sequence[Any]]
    """The examples to be predicted, by column: `text`, and `text_pair` where an example is two texts."""
    labels: Any = ()
    """The labels it learns from, as metrics take them (see `compress.tasks.predictions.labels_of`)."""
    texts: Sequence[Any] = ()
    """Their texts, in the same order."""
    is_dialogue: bool = False
    """Whether texts are dialogues, whose lines are turns."""

    def __len__(self) -> int:
        """How many examples are to be predicted."""
        return len(self.examples["text"])


@dataclass(frozen=True)
class Trivial:
    """One trivial baseline of a kind of task."""

    name: str
    """As tables show it: `commonest class`."""
    words: str
    """What it predicts, after its name: `the same class for every example`."""
    predict: Callable[[Known], Any]
    """One prediction for each example, in the task's own numbers."""
    learns: bool = True
    """Whether it learns from labels; else it sees texts alone."""


def commonest_class(known: Known) -> NDArray[np.float64]:
    """The commonest class, the lowest of several that are equally common, [examples]."""
    classes, counts = np.unique(np.asarray(known.labels), return_counts=True)
    return np.full(len(known), float(classes[counts.argmax()]))


def commonest_set(known: Known) -> NDArray[np.float64]:
    """The commonest combination of labels, [examples, labels]."""
    sets, counts = np.unique(np.asarray(known.labels), axis=0, return_counts=True)
    return np.tile(sets[counts.argmax()].astype(np.float64), (len(known), 1))


def mean(known: Known) -> NDArray[np.float64]:
    """The mean of the numbers, [examples]."""
    return np.full(len(known), float(np.mean(known.labels)))


def commonest_tag(known: Known) -> list[NDArray[np.int64]]:
    """The commonest tag, for each word of each example."""
    tags = np.concatenate([np.asarray(one, np.int64) for one in known.labels])
    tag = int(np.bincount(tags[tags >= 0]).argmax())
    return [np.full(len(words), tag, np.int64) for words in known.examples["text"]]


def commonest_tag_of_word(known: Known) -> list[NDArray[np.int64]]:
    """The commonest tag of each word, and the commonest of all for a word that has not been seen."""
    seen: dict[str, Counter[int]] = {}
    every: Counter[int] = Counter()
    for words, tags in zip(known.texts, known.labels, strict=True):
        for word, tag in zip(words, np.asarray(tags).tolist(), strict=True):
            if tag >= 0:
                seen.setdefault(word, Counter())[tag] += 1
                every[tag] += 1
    other = every.most_common(1)[0][0]
    chosen = {word: counts.most_common(1)[0][0] for word, counts in seen.items()}
    return [np.array([chosen.get(word, other) for word in words], np.int64) for words in known.examples["text"]]


def lead_three(known: Known) -> list[str]:
    """Lead-3: the first three turns of dialogues, else the first three sentences."""
    from compress.metrics.lead import lead

    return [lead(text, by="lines" if known.is_dialogue else "sentences") for text in known.examples["text"]]


def source(known: Known) -> list[str]:
    """The source as it is."""
    return [str(text) for text in known.examples["text"]]
