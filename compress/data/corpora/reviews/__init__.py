"""The reviews corpus: short product reviews drawn from templates, with a label that no single word decides.

Templates and words are ours (`templates`, `lexicon`); a seed decides which sentences are drawn. Each template serves
one split, so every sentence of the evaluation and test splits, and its very pattern, is new to a model trained on
`train`. In `train` alone, `LABEL_NOISE` of the labels are wrong, as in data labelled by people; the other splits, the
holdout included, are clean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from compress.data.corpora.drawing import Draw
from compress.data.corpora.reviews import lexicon
from compress.data.corpora.reviews.templates import SHARES, SPLITS

VERSION = 2
SIZES: Mapping[str, int] = {"train": 5000, "holdout": 300, "evaluation": 1500, "test": 1500}
LABEL_NOISE = 0.04
PROVISO = 0.35  # the share of sentences that get a neutral phrase in front

_MARKERS: Mapping[str, Sequence[str]] = {
    "not": lexicon.NEGATIONS,
    "false": lexicon.REFUSALS,
    "true": lexicon.ASSENTS,
    "turn": lexicon.TURNS,
    "but": lexicon.BUTS,
    "although": lexicon.ALTHOUGHS,
    "despite": lexicon.DESPITES,
    "beside": lexicon.BESIDES,
}
_SLOT = re.compile(r"\{([a-z]+)([+-]?)\}")
_BY_LABEL = re.compile(r"\[([^|\]]*)\|([^|\]]*)\]")


def rows(split: str, seed: int) -> Iterator[tuple[str, int]]:
    """The sentences of a split and their labels, 0 negative or 1 positive; equal seeds give equal rows."""
    yield from ((text, label) for text, label, _, _ in _drawn(split, seed))


def patterns(split: str, seed: int) -> list[tuple[str, str]]:
    """For each row of the split, in the rows' order, what makes it hard (`contrast`, `denied`, ...) and its template."""
    return [(category, template) for _, _, category, template in _drawn(split, seed)]


def _drawn(split: str, seed: int) -> Iterator[tuple[str, int, str, str]]:
    draw = Draw(f"reviews {VERSION} {split} {seed}")
    seen: set[str] = set()
    templates = SPLITS[split]
    while len(seen) < SIZES[split]:
        label = len(seen) % 2  # exactly balanced, in every category as well
        category = draw.weighted(SHARES)
        template = draw.one(templates[category])
        text = _sentence(template, draw.one(lexicon.DOMAINS), label, draw)
        if text in seen:
            continue
        seen.add(text)
        is_wrong = split == "train" and draw.share() < LABEL_NOISE
        yield text, 1 - label if is_wrong else label, category, template


def _sentence(template: str, domain: lexicon.Domain, label: int, draw: Draw) -> str:
    used: list[str] = []

    def new(items: Sequence[str]) -> str:
        used.append(draw.one(items, besides=used))
        return used[-1]

    def fill(slot: re.Match[str]) -> str:
        kind, side = slot.groups()
        good = (label == 1) == (side == "+")
        match kind:
            case "c" if draw.share() < 0.6:
                sides = (domain.praise, domain.blame) if good else (domain.blame, domain.praise)
                clause = new(sides[0])
                used.append(sides[1][sides[0].index(clause)])
                return clause
            case "c":
                return f"the {new(domain.parts)} is {new(lexicon.GOOD if good else lexicon.BAD)}"
            case "a":
                return new(lexicon.GOOD if good else lexicon.BAD)
            case "n":
                return f"the {new(lexicon.GOOD if good else lexicon.BAD)} {new(domain.parts)}"
            case "v":
                verdict = new(lexicon.VERDICT_GOOD if good else lexicon.VERDICT_BAD)
                return verdict.format(again=domain.again)
            case "x":
                return new(domain.parts)
            case "t":
                return new(lexicon.PROVISOS)
            case "who":
                return new(lexicon.PEOPLE)
            case "p":
                return domain.product
            case _ if kind in _MARKERS:
                return draw.one(_MARKERS[kind])
        raise ValueError(f"The template {template!r} has an unknown slot {slot.group()}.")

    text = _SLOT.sub(fill, _BY_LABEL.sub(r"\1" if label else r"\2", template))
    if draw.share() < PROVISO and "{t}" not in template:
        text = f"{draw.one(lexicon.PROVISOS)}, {text}"
    text = re.sub(r"\ba (?=[aeiou](?!ne\b))", "an ", text)
    return re.sub(r"(^|[.?] )([a-z])", lambda start: start.group(1) + start.group(2).upper(), text)
