"""Replaces words by others from the task's texts, drawn by frequency."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compress.distillation.augmentation.words import CLITIC, Draft, is_word, parts

POWER = 0.75
"""Of the frequency: word2vec's distribution of negative samples (Mikolov et al. 2013, section 2.2), in which rare words
come a little more often than they occur."""
TRIES = 20


@dataclass(frozen=True)
class Vocabulary:
    """The words of some texts in lower case, and the running sums of their weights."""

    words: tuple[str, ...]
    sums: tuple[float, ...]

    @staticmethod
    def of(examples: Iterable[tuple[str, ...]]) -> Vocabulary:
        """The words of the examples, without numbers, punctuation and cut-off endings as `n't`."""
        counts = Counter(word for texts in examples for text in texts for word in text.split())
        found: Counter[str] = Counter()
        for word, count in counts.items():
            core = parts(word)[1].lower()
            if is_word(core) and not CLITIC.fullmatch(word):
                found[core] += count
        ordered = sorted(found)
        return Vocabulary(tuple(ordered), tuple(itertools.accumulate(found[word] ** POWER for word in ordered)))

    def replacements(self, drafts: Iterable[Draft]) -> Iterator[tuple[str | None, ...]]:
        """For each draft, in order, a word for each of its places; None where there is no other word."""
        for draft in drafts:
            words, chance = draft.words, draft.chance()
            yield tuple(self._other(parts(words[place])[1].lower(), chance) for place in draft.places)

    def _other(self, word: str, chance: random.Random) -> str | None:
        drawn = (chance.choices(self.words, cum_weights=self.sums)[0] for _ in range(TRIES))
        return next((one for one in drawn if one != word), None)
