"""The dialogue corpus: short chats of two to four people and what comes out of them, drawn from scenes that we wrote.

A seed decides which dialogues are drawn. What happens in a dialogue belongs to one split, by its hash: no dialogue and no
summary of the training rows is among those of another split, whatever the seeds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from compress.data.corpora.dialogues import lexicon
from compress.data.corpora.dialogues.more_scenes import SCENES
from compress.data.corpora.dialogues.scenes import Course, Scene
from compress.data.corpora.drawing import Draw

VERSION = 1
SIZES: Mapping[str, int] = {"train": 6000, "holdout": 300, "evaluation": 500, "test": 500}
SHARES: Mapping[str, float] = {"train": 0.7, "holdout": 0.1, "evaluation": 0.1, "test": 0.1}
"""Of all that can happen, how much belongs to each split."""
GREETED = 0.6
PARTED = 0.6
SMALL_TALK: Mapping[str, float] = {"0": 0.35, "1": 0.4, "2": 0.25}
"""How often a dialogue has so many exchanges of small talk."""

ORDERED = {"price": ("", "2"), "minutes": ("2", "")}
"""Of two values of these facts, which slot has the lower one."""
PEOPLE = ("a", "b", "c", "d", "name")

_SLOT = re.compile(r"\{([a-z]+)(\d?)\}")


def rows(split: str, seed: int) -> Iterator[tuple[str, str]]:
    """The dialogues of a split, a turn a line (`Ada: Hello!`), and their summaries; equal seeds give equal rows."""
    yield from ((dialogue, summary) for dialogue, summary, _ in _drawn(split, seed))


def scenes(split: str, seed: int) -> list[str]:
    """For each row of the split, in the rows' order, the name of its scene."""
    return [scene for _, _, scene in _drawn(split, seed)]


def _drawn(split: str, seed: int) -> Iterator[tuple[str, str, str]]:
    draw = Draw(f"dialogues {VERSION} {split} {seed}")
    happened: set[str] = set()
    while len(happened) < SIZES[split]:
        name = draw.one(tuple(SCENES))
        course = draw.one(SCENES[name].courses)
        facts = _Facts(draw)
        # All summaries of a course tell the same facts, so the first stands for what happens.
        event = facts.fill(course.summaries[0], in_summary=True)
        if event in happened or _split_of(event) != split:
            continue
        happened.add(event)
        summary = facts.fill(draw.one(course.summaries), in_summary=True)
        yield _dialogue(SCENES[name], course, facts, draw), _sentences(summary), name


def _split_of(event: str) -> str:
    point = int.from_bytes(hashlib.sha256(event.encode()).digest()[:8]) / 2**64
    for split, share in SHARES.items():
        point -= share
        if point < 0:
            return split
    return "train"


class _Facts:
    """What the slots of one dialogue stand for: drawn when first asked for, the same ever after."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._values: dict[str, str | tuple[str, str]] = {}
        self._taken: dict[str, list[str | tuple[str, str]]] = {}

    def fill(self, text: str, *, in_summary: bool = False) -> str:
        """The text with its slots filled."""

        def value(slot: re.Match[str]) -> str:
            kind, number = slot.groups()
            if kind in lexicon.WORDS:
                return self._draw.one(lexicon.WORDS[kind])  # anew each time
            found = self._value(kind, number)
            return found if isinstance(found, str) else found[in_summary]

        return _SLOT.sub(value, text)

    def _value(self, kind: str, number: str) -> str | tuple[str, str]:
        key = kind + number
        if key not in self._values:
            pool = "name" if kind in PEOPLE else kind
            # Nobody bargains a price up, and delays grow.
            ordered = ORDERED.get(kind, ())
            keys = [kind + place for place in ordered] if number in ordered else [key]
            drawn = [self._new(pool) for _ in keys]
            self._values.update(zip(keys, sorted(drawn, key=_choices(pool).index), strict=True))
        return self._values[key]

    def _new(self, pool: str) -> str | tuple[str, str]:
        taken = self._taken.setdefault(pool, [])
        taken.append(self._draw.one(_choices(pool), besides=taken))
        return taken[-1]


def _choices(pool: str) -> Sequence[str | tuple[str, str]]:
    if pool == "name":
        return lexicon.NAMES
    return lexicon.FACTS[pool] if pool in lexicon.FACTS else lexicon.FIRST_AND_THIRD[pool]


def _dialogue(scene: Scene, course: Course, facts: _Facts, draw: Draw) -> str:
    exchanges = [draw.one(scene.opening), *(draw.one(beat) for beat in course.beats)]
    speakers = sorted({turn[0] for exchange in exchanges for turn in exchange.split(" | ")})
    talks: list[str] = []
    for number in range(8, 8 + int(draw.weighted(SMALL_TALK)) * scene.is_private):
        first = draw.one(speakers)
        small = {"x": first, "y": draw.one(speakers, besides=[first])}
        talks.append(draw.one(lexicon.SMALL_TALK, besides=talks))
        said = talks[-1].replace("0}", f"{number}}}")  # each with facts of its own
        turns = [f"{small[turn[0]]}{turn[1:]}" for turn in said.split(" | ")]
        exchanges.insert(int(draw.share() * (len(exchanges) + 1)), " | ".join(turns))
    if scene.is_private and draw.share() < GREETED:
        exchanges.insert(0, draw.one(lexicon.GREETINGS))
    if draw.share() < PARTED:
        exchanges.append(draw.one(lexicon.GOODBYES))
    return "\n".join(
        f"{facts.fill('{' + turn[0] + '}')}: {_sentences(facts.fill(turn[3:]))}"
        for exchange in exchanges
        for turn in exchange.split(" | ")
    )


def _sentences(text: str) -> str:
    """With *an* before vowels, and each sentence beginning with a capital."""
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return re.sub(r"(^|[.?!] )([a-z])", lambda start: start.group(1) + start.group(2).upper(), text)
