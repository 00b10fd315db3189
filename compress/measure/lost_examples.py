"""The examples that only a compressed model gets wrong: right with the uncompressed model, and wrong with this one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.core.artifact import write_whole
from compress.core.labels import NO_LABEL
from compress.data.loading import Split
from compress.tasks.task import Task

FILE = "lost_examples.json"
MOST = 20
"""Examples that are kept of each artifact; all are counted."""
CHARACTERS = 300
"""Of a text."""


def lost_examples(
    task: Task,
    split: Split,
    references: Any,
    answers: Mapping[str, Any],
    root: str,
    confidences: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """By artifact: how many examples only it gets wrong, how many only it gets right, and up to 20 of the former.

    The most confident mistakes come first, where confidence is known; else those that come first in the split.

    Args:
        task: with classes, labels or tags; nothing is found for others.
        split: the rows, with their texts.
        references: the right answers, as metrics take them.
        answers: what each artifact predicted, in the task's numbers.
        root: the uncompressed model's name among them.
        confidences: of each answer, 0 to 1; of artifacts that have some.
    """
    if root not in answers or not task.label_names or not task.law.chooses or len(references) == 0:
        return {}
    of_root = _right(answers[root], references)
    found = {}
    for name, given in answers.items():
        if name == root:
            continue
        mine = _right(given, references)
        lost = np.flatnonzero(of_root & ~mine)
        sure = confidences.get(name, ())
        order = sorted(lost.tolist(), key=lambda row: -sure[row]) if len(sure) == len(mine) else lost.tolist()
        rows = [
            {
                "row": row + 1,
                "text": _text(split, row),
                "label": _said(references[row], task),
                "uncompressed": _said(answers[root][row], task),
                "answer": _said(given[row], task),
                "confidence": float(sure[row]) if len(sure) == len(mine) else None,
            }
            for row in order[:MOST]
        ]
        found[name] = {"lost": len(lost), "gained": int((mine & ~of_root).sum()), "rows": rows}
    return found


def save(found: Mapping[str, Any], folder: Path) -> None:
    """Write them beside the measurements; nothing where there are none."""
    if found:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, json.dumps(found, ensure_ascii=False, indent=1) + "\n")


def _right(given: Any, references: Any) -> Any:
    """Whether each example is right as a whole: all its labels, or all its words that have a tag."""
    pairs = zip(given, references, strict=True)
    return np.array([bool(np.all(np.equal(one, right) | np.equal(right, NO_LABEL))) for one, right in pairs])


def _said(answer: Any, task: Task) -> str:
    """An answer in words: a label, labels, or the tags of the words that have one."""
    if np.ndim(answer) == 0:
        return task.label_names[int(answer)]
    if task.law.several:
        return ", ".join(name for name, is_so in zip(task.label_names, answer, strict=True) if is_so) or "no label"
    tags = " ".join(task.label_names[int(one)] if one >= 0 else "-" for one in answer)
    return _cut(tags)


def _text(split: Split, row: int) -> str:
    cells = split.rows[row]
    texts = [cells[name] for name in ("text", "text_pair") if name in cells]
    return " / ".join(_cut(one if isinstance(one, str) else " ".join(one)) for one in texts)


def _cut(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"
