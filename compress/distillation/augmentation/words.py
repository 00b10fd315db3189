"""Chooses the words of a text to replace, and rebuilds the text.

Words are what stands between white space, so a text written without spaces is one word. A share of 15 % is replaced, BERT's
masking share (Devlin et al. 2019, section 3.1): a masked language model has learnt to fill just so many gaps at once, and one
forward pass fills them all. TinyBERT (Jiao et al. 2020, algorithm 1) replaces with p_t = 0.4, but fills one gap at a time,
each with the rest of the text before it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

SHARE = 0.15
"""Of the words of a text that can be replaced, at least one."""
AFFIXES = re.compile(r"([\W_]*)(.*?)([\W_]*)", re.DOTALL)
CLITIC = re.compile(r"n't|'\w+", re.IGNORECASE)
"""What treebanks cut off a word ("does n't", "film 's"): no word, and nothing takes its place."""


@dataclass(frozen=True)
class Draft:
    """A copy of an example, and which of its words are to be replaced."""

    texts: tuple[str, ...]
    which: int
    """The one of the texts that is changed."""
    places: tuple[int, ...]
    """The words to replace, ascending from 0."""
    key: str
    """Decides every choice for this copy, beside the data and the model."""

    @property
    def words(self) -> list[str]:
        """The words of the text that is changed."""
        return self.texts[self.which].split()

    def chance(self) -> random.Random:
        """Random numbers that are the same for the same key on every machine."""
        return random.Random(f"{self.key}|words")

    def filled(self, replacements: Sequence[str | None]) -> tuple[str, ...]:
        """The texts with a replacement at each position; None keeps the word.

        >>> Draft(("A Fine, long film",), 0, (1, 3), "").filled(("dull", None))
        ('A Dull, long film',)
        """
        words = self.words
        for place, replacement in zip(self.places, replacements, strict=True):
            if replacement is not None:
                before, core, after = parts(words[place])
                words[place] = before + like(core, replacement) + after
        return (*self.texts[: self.which], " ".join(words), *self.texts[self.which + 1 :])


def drafts(examples: Iterable[tuple[str, ...]], count: int, copies: float, seed: int) -> Iterator[Draft]:
    """Copies of `count` examples: 0.5 of half of them once, 2 of each twice; of a pair one of the two texts is changed.

    An example in which no word can be replaced gives none.
    """
    whole = int(copies)
    once_more = set(random.Random(f"{seed}|rows").sample(range(count), round((copies - whole) * count)))
    for number, texts in enumerate(examples):
        for copy in range(whole + (number in once_more)):
            made = _draft(texts, f"{seed}|{number}|{copy}")
            if made is not None:
                yield made


def number_of_copies(count: int, copies: float) -> int:
    """How many copies that is, of `count` examples."""
    return int(copies) * count + round((copies - int(copies)) * count)


def parts(word: str) -> tuple[str, str, str]:
    """The characters before a word, the word, and the characters after it.

    >>> parts("(well-made,")
    ('(', 'well-made', ',')
    """
    found = AFFIXES.fullmatch(word)
    assert found is not None  # the pattern matches everything
    return found[1], found[2], found[3]


def is_word(core: str) -> bool:
    """Whether it is neither a number nor punctuation alone."""
    return any(sign.isalpha() for sign in core) and not any(sign.isdigit() for sign in core)


def like(word: str, replacement: str) -> str:
    """A replacement in lower case, in the case of the word it replaces; one with capitals of its own stays as it is.

    >>> [like(word, "dull") for word in ("fine", "Fine", "FINE", "I")]
    ['dull', 'Dull', 'DULL', 'Dull']
    """
    if not replacement.islower() or word.islower():
        return replacement
    if word.isupper() and len(word) > 1:
        return replacement.upper()
    return replacement[0].upper() + replacement[1:] if word[0].isupper() else replacement


def _draft(texts: tuple[str, ...], key: str) -> Draft | None:
    chance = random.Random(f"{key}|places")
    order = [0] if len(texts) == 1 else chance.sample(range(len(texts)), len(texts))
    for which in order:
        able = [place for place, word in enumerate(texts[which].split()) if _is_replaceable(word)]
        if able:
            chosen = chance.sample(able, max(1, round(SHARE * len(able))))
            return Draft(texts, which, tuple(sorted(chosen)), key)
    return None


@lru_cache(1 << 16)
def _is_replaceable(word: str) -> bool:
    return not CLITIC.fullmatch(word) and is_word(parts(word)[1])
