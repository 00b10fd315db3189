"""Lead-3: the first three sentences of a document, or turns of a dialogue, as its summary; what any summarizer must beat."""

from __future__ import annotations

import re
from typing import Literal

LEAD = 3
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]*[A-Z0-9À-ÞА-Я])|[。！？]+[」』”]*")
"""Where a sentence may end: its mark, quotes and brackets, and then what a sentence may begin with."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Rev|Gen|Sen|Rep|Gov|Lt|Col|Sgt|St|Jr|Sr|vs|No|Fig|e\.g|i\.e)|\b[A-Z])\.$"
)
"""What ends in a full stop within a sentence: a title, an initial."""


def lead(document: str, count: int = LEAD, *, by: Literal["sentences", "lines"] = "sentences") -> str:
    """The first `count` sentences or lines that are not empty, joined by new lines; the whole text where it has fewer.

    >>> lead("Ada: Hi!\\r\\nBob: Hello. How are you?\\n\\nAda: Fine.\\nBob: Good.", by="lines")
    'Ada: Hi!\\nBob: Hello. How are you?\\nAda: Fine.'
    """
    parts = lines(document) if by == "lines" else sentences(document)
    return "\n".join(parts[:count])


def lines(text: str) -> list[str]:
    """The lines of a text that are not empty, without white space around them: the turns of a dialogue."""
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def sentences(text: str) -> list[str]:
    """The sentences of a text, by their marks; a new line ends one as well.

    Simple on purpose, and the same on every machine: no data is downloaded. It knows titles and initials, not every
    abbreviation.

    >>> sentences("Dr. J. Smith left at 3.15 p.m. today. \\"Why?\\" She knew!")
    ['Dr. J. Smith left at 3.15 p.m. today.', '"Why?"', 'She knew!']
    """
    found = []
    for line in lines(text):
        start = 0
        for end in _END.finditer(line):
            if not _ABBREVIATION.search(line[start : end.end()]):
                found.append(line[start : end.end()].strip())
                start = end.end()
        if line[start:].strip():
            found.append(line[start:].strip())
    return found
