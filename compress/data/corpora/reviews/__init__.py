"""The reviews corpus: product reviews of one word to three sentences, drawn from templates, that a person can judge at sight.

Most are everyday sentences (`everyday`, `everyday_templates`): the commonest words of praise and blame, alone, denied, or
against one another. The others are longer and harder (`lexicon`, `templates`): no single word decides them. Templates and
words are ours; a seed decides which sentences are drawn. Each template serves one split, so every text of the evaluation and
test splits, and its very pattern, is new to a model trained on `train`. In `train` alone, `LABEL_NOISE` of the labels are
wrong, as in data labelled by people; the other splits, the holdout included, are clean. `unlabelled` holds further texts of
`train`'s templates, for a teacher to label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from compress.data.corpora.drawing import Draw
from compress.data.corpora.reviews import everyday, everyday_templates, lexicon, templates

VERSION = 4
SIZES: Mapping[str, int] = {"train": 3200, "holdout": 800, "evaluation": 6000, "test": 2000, "unlabelled": 12000}
LABEL_NOISE = 0.03
EVERYDAY = 0.8  # the share of everyday sentences
PROVISO = 0.35  # the share of longer sentences that get a neutral phrase in front

SHARES: Mapping[str, float] = {
    **{category: share * EVERYDAY for category, share in everyday_templates.SHARES.items()},
    **{category: share * (1 - EVERYDAY) for category, share in templates.SHARES.items()},
}
"""Category -> share of the texts."""
SPLITS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "train": {**everyday_templates.TRAIN, **templates.TRAIN},
    "holdout": {**everyday_templates.HOLDOUT, **templates.HOLDOUT},
    "evaluation": {**everyday_templates.EVALUATION, **templates.EVALUATION},
    "test": {**everyday_templates.TEST, **templates.TEST},
}
"""The templates of each split, by category."""

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
    its_templates = SPLITS["train" if split == "unlabelled" else split]
    while len(seen) < SIZES[split]:
        label = len(seen) % 2  # exactly balanced, in every category as well
        category = draw.weighted(SHARES)
        text, template = "", ""
        while not text or text in seen:  # in the same category, so that the short ones are not rarer for being alike
            template = draw.one(its_templates[category])
            text = _sentence(category, template, draw.one(lexicon.DOMAINS), label, draw)
        seen.add(text)
        is_wrong = split == "train" and draw.share() < LABEL_NOISE
        yield text, 1 - label if is_wrong else label, category, template


def _sentence(category: str, template: str, domain: lexicon.Domain, label: int, draw: Draw) -> str:
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
            case _ if kind in everyday.LISTS:
                return new(everyday.LISTS[kind][good])
            case _ if kind in _MARKERS:
                return draw.one(_MARKERS[kind])
        raise ValueError(f"The template {template!r} has an unknown slot {slot.group()}.")

    text = _SLOT.sub(fill, _BY_LABEL.sub(r"\1" if label else r"\2", template))
    if category in templates.SHARES and "{t}" not in template and draw.share() < PROVISO:
        text = f"{draw.one(lexicon.PROVISOS)}, {text}"
    text = re.sub(r"\ba (?=[aeiou](?!ne\b))", "an ", text)
    return re.sub(r"(^|[.?] )([a-z])", lambda start: start.group(1) + start.group(2).upper(), text)
