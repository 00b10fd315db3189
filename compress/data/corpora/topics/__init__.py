"""The topics corpus: short messages to a shop, each about none to three of six topics, drawn from sentences that we wrote.

Sentences that name a topic's words without meaning it (`No refund, please.`) stand between the others, so that single words do
not decide. Half of the evaluation and test messages say what they are about in sentences that no training row has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from compress.data.corpora.drawing import Draw
from compress.data.corpora.topics import lexicon

VERSION = 1
SIZES: Mapping[str, int] = {"train": 4000, "holdout": 300, "evaluation": 800, "test": 800}
SHARES: Mapping[str, float] = {"train": 0.7, "holdout": 0.1, "evaluation": 0.1, "test": 0.1}
"""Of all messages, how many belong to each split."""
LABELS = tuple(lexicon.TRAIN)
HOW_MANY: Mapping[str, float] = {"0": 0.15, "1": 0.4, "2": 0.3, "3": 0.15}
"""How often a message is about so many topics."""
DENIED = 0.5
"""The share of messages that deny a topic."""

_SLOT = re.compile(r"\{([a-z]+)\}")


def rows(split: str, seed: int) -> Iterator[tuple[str, list[str]]]:
    """The messages of a split and their topics; equal seeds give equal rows."""
    draw = Draw(f"topics {VERSION} {split} {seed}")
    seen: set[str] = set()
    while len(seen) < SIZES[split]:
        new = split in ("evaluation", "test") and draw.share() < 0.5
        text, topics = _message(draw, lexicon.NEW if new else lexicon.TRAIN)
        if text not in seen and _split_of(text) == split:
            seen.add(text)
            yield text, topics


def _message(draw: Draw, sentences: Mapping[str, Sequence[str]]) -> tuple[str, list[str]]:
    topics: list[str] = []
    for _ in range(int(draw.weighted(HOW_MANY))):
        topics.append(draw.one(LABELS, besides=topics))
    said = [draw.one(sentences[topic]) for topic in topics]
    if draw.share() < DENIED:
        said.append(draw.one(lexicon.DENIED[draw.one(LABELS, besides=topics)]))
    if not said or draw.share() < 0.6:
        said.append(draw.one(lexicon.NEUTRAL))
    in_order: list[str] = []
    for sentence in said:
        in_order.insert(int(draw.share() * (len(in_order) + 1)), sentence)
    item = draw.one(lexicon.ITEMS)
    values = {"item": item, "days": str(2 + int(draw.share() * 28)), "sum": str(5 + int(draw.share() * 90))}
    text = _SLOT.sub(lambda slot: values[slot.group(1)], " ".join(in_order))
    return text, [label for label in LABELS if label in topics]


def _split_of(text: str) -> str:
    point = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
    for split, share in SHARES.items():
        point -= share
        if point < 0:
            return split
    return "train"
