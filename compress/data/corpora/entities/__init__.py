"""The entities corpus: sentences whose people, places, organisations and dates are tagged, drawn from templates.

A name alone does not tell what it is: `Halford` is a person, a town and a company, `May` a month, a woman and a verb. In the
evaluation and test sentences 40 % of the names are in no training row, and 30 % of the sentences are built as none of these
is. No sentence of one split is in another, whatever the seeds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

from compress.data.corpora.drawing import Draw
from compress.data.corpora.entities import lexicon
from compress.data.corpora.entities.templates import NEW, TRAIN

VERSION = 1
SIZES: Mapping[str, int] = {"train": 4000, "holdout": 300, "evaluation": 800, "test": 800}
SHARES: Mapping[str, float] = {"train": 0.7, "holdout": 0.1, "evaluation": 0.1, "test": 0.1}
"""Of all sentences, how many belong to each split."""
LABELS = ("O", "B-DATE", "B-LOC", "B-ORG", "B-PER", "I-DATE", "I-LOC", "I-ORG", "I-PER")
UNSEEN = 0.2
"""The share of names that no training row has."""
UNSEEN_SPLITS = ("evaluation", "test")
NEW_SHARE, UNSEEN_SHARE = 0.3, 0.4
"""Of the sentences of those splits the share with a template, and of their names the share, that is in no training row."""

TYPES = {"day": "DATE"}
"""Slots that are not called as their entities are."""

Entity = tuple[list[str], list[str]]
"""Words, and O or the place in an entity of each: B, I."""

_SLOT = re.compile(r"\{(?:name:)?(\w+)\}")


def rows(split: str, seed: int) -> Iterator[tuple[list[str], list[str]]]:
    """The words of each sentence of a split and the tag of each word; equal seeds give equal rows."""
    draw = Draw(f"entities {VERSION} {split} {seed}")
    fill = _Slots(draw, split in UNSEEN_SPLITS)
    seen: set[str] = set()
    while len(seen) < SIZES[split]:
        new = split in UNSEEN_SPLITS and draw.share() < NEW_SHARE
        words, tags = fill.sentence(draw.one(NEW if new else TRAIN))
        text = " ".join(words)
        if text not in seen and _split_of(text) == split:
            seen.add(text)
            yield words, tags


def _place(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def _split_of(text: str) -> str:
    point = _place(text)
    for split, share in SHARES.items():
        point -= share
        if point < 0:
            return split
    return "train"


def is_unseen(name: str) -> bool:
    """Whether a made-up name is one that no training row has."""
    return _place(f"name {name}") < UNSEEN


NAMES = tuple(stem + end for stem in lexicon.STEMS for end in lexicon.ENDS)


class _Slots:
    """What the slots of sentences are filled with."""

    def __init__(self, draw: Draw, has_unseen: bool) -> None:
        self._draw = draw
        self._seen = [name for name in NAMES if not is_unseen(name)]
        self._unseen = [name for name in NAMES if is_unseen(name)] if has_unseen else []

    def sentence(self, template: str) -> tuple[list[str], list[str]]:
        words: list[str] = []
        tags: list[str] = []
        for part in template.split():
            slot = _SLOT.fullmatch(part)
            if slot is None:
                words.append(part)
                tags.append("O")
                continue
            found, marks = self._filled(slot.group(1), part.startswith("{name:"))
            words += found
            kind = TYPES.get(slot.group(1), slot.group(1).upper())
            tags += [mark if mark == "O" else f"{mark}-{kind}" for mark in marks]
        words[0] = words[0][0].upper() + words[0][1:]
        return words, tags

    def _filled(self, kind: str, is_name: bool) -> Entity:
        if kind == "count":
            return [str(1900 + int(self._draw.share() * 130))], ["O"]
        if kind in ("goods", "role"):
            return [self._draw.one(lexicon.GOODS if kind == "goods" else lexicon.ROLES)], ["O"]
        if is_name:
            return [self._name()], ["B"]
        made = {
            "per": self._person,
            "loc": self._location,
            "org": self._organisation,
            "date": self._date,
            "day": self._day,
        }
        return made[kind]()

    def _name(self) -> str:
        return self._draw.one(self._unseen if self._unseen and self._draw.share() < UNSEEN_SHARE else self._seen)

    def _person(self) -> Entity:
        match self._draw.weighted({"full": 0.5, "given": 0.15, "title": 0.2, "initial": 0.15}):
            case "full":
                return [self._draw.one(lexicon.GIVEN), self._name()], ["B", "I"]
            case "given":
                return [self._draw.one(lexicon.GIVEN)], ["B"]
            case "title":
                return [self._draw.one(lexicon.TITLES), self._name()], ["O", "B"]
        return [f"{self._draw.one(lexicon.GIVEN)[0]}.", self._name()], ["B", "I"]

    def _location(self) -> Entity:
        match self._draw.weighted({"alone": 0.6, "before": 0.25, "after": 0.15}):
            case "alone":
                return [self._name()], ["B"]
            case "before":
                return [self._draw.one(lexicon.BEFORE_PLACES), self._name()], ["B", "I"]
        return [self._name(), self._draw.one(lexicon.AFTER_PLACES)], ["B", "I"]

    def _organisation(self) -> Entity:
        match self._draw.weighted({"business": 0.35, "club": 0.1, "sons": 0.15, "of": 0.25, "alone": 0.15}):
            case "business":
                return [self._name(), self._draw.one(lexicon.BUSINESS)], ["B", "I"]
            case "club":
                return [self._name(), self._draw.one(lexicon.CLUBS)], ["B", "I"]
            case "sons":
                return [self._name(), "&", "Sons"], ["B", "I", "I"]
            case "of":
                return [self._draw.one(lexicon.OF_PLACES), "of", self._name()], ["B", "I", "I"]
        return [self._name()], ["B"]

    def _date(self) -> Entity:
        year = self._year()
        return ([year], ["B"]) if self._draw.share() < 0.6 else ([self._draw.one(lexicon.MONTHS), year], ["B", "I"])

    def _day(self) -> Entity:
        day, month = str(1 + int(self._draw.share() * 28)), self._draw.one(lexicon.MONTHS)
        match self._draw.weighted({"day": 0.4, "short": 0.3, "long": 0.3}):
            case "day":
                return [self._draw.one(lexicon.DAYS)], ["B"]
            case "short":
                return [day, month], ["B", "I"]
        return [month, day, ",", self._year()], ["B", "I", "I", "I"]

    def _year(self) -> str:
        return str(1950 + int(self._draw.share() * 80))
