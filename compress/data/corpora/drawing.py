"""Seeded draws for the corpora that the program generates: the same on every machine and in every version of Python."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Draw:
    """Seeded draws built on `random()` alone: of the module's functions, the one whose values Python promises to keep."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def share(self) -> float:
        """A number from 0 to 1, 1 excluded."""
        return self._random.random()

    def one(self, items: Sequence[Item], besides: Sequence[Item] = ()) -> Item:
        """One of the items that are not among `besides`; each is as likely."""
        left = [item for item in items if item not in besides] if besides else items
        return left[int(self.share() * len(left))]

    def weighted(self, shares: Mapping[str, float]) -> str:
        """A name, as likely as its share among all."""
        point = self.share() * sum(shares.values())
        for name, share in shares.items():
            point -= share
            if point < 0:
                return name
        return name
