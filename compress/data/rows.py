"""Converts a raw row to an example: checks texts and label, and reports every row that fails."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from compress.core.errors import CompressError, shown
from compress.data import decoding, several_labels
from compress.data.folding import folded
from compress.data.label_ids import HIDDEN, LABEL, Bad, Empty, known_label, number_of, text_cell
from compress.data.raw_row import RawRow
from compress.tasks.task import Task

SHOWN = 5
SHOWN_CHARACTERS = 240
FEW = 0.05
"""No larger a share of bad rows is offered to be left out: if more are bad, it is rather the description that is wrong."""
COLUMNS = ("text", "text_pair")


@dataclass(frozen=True)
class Example:
    """One example: one or two texts, or the words of a sentence, and its label.

    That is a class id, a score, a target text; the id of each word's tag, or a 0 or 1 for each of the task's labels; None where
    there is none.
    """

    texts: tuple[str, ...]
    label: int | float | str | tuple[int, ...] | None
    of_words: bool = False
    """Whether `texts` are the words of one sentence."""

    @property
    def cells(self) -> dict[str, Any]:
        """The columns `text` and, for pairs, `text_pair` of a split."""
        return {"text": list(self.texts)} if self.of_words else dict(zip(COLUMNS, self.texts, strict=False))

    @property
    def row_hash(self) -> str:
        """16 hex digits of the SHA-256 of the texts, without the label."""
        return hashlib.sha256("\x1f".join(self.texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def is_held_out(self, share: float) -> bool:
        """Whether it is among that share of the training rows that are held out, chosen by a hash of its texts.

        Texts that differ in case, space and punctuation alone lie on one side, and so do those that occur with two labels.
        """
        texts = (" ".join(self.texts),) if self.of_words else self.texts
        place = hashlib.sha256(folded(texts).encode("utf-8", "surrogatepass")).digest()[:8]
        return int.from_bytes(place) / 2**64 < share


@dataclass
class LeftOut:
    """Counts rows that did not become examples, with the positions of the first few."""

    bad: int = 0
    places: list[str] = field(default_factory=list)
    without_label: int = 0
    empty: int = 0
    """Rows of a generative task whose source or target is empty, left out or not."""
    rows: int = 0
    """All rows, those that became an example too."""
    undecodable: int = 0
    other_labels: int = 0
    labels: set[str] = field(default_factory=set)
    """How labels are spelled, those that are none of the task's too; no more than twenty."""

    def add(self, place: str, reason: str) -> None:
        self.bad += 1
        self.other_labels += reason.startswith(LABEL)
        self.undecodable += decoding.UNDECODABLE.match(reason) is not None
        if len(self.places) < SHOWN and len(place) + len(reason) + sum(map(len, self.places)) < SHOWN_CHARACTERS:
            self.places.append(f"{place} ({reason})")

    def sentence(self) -> str:
        """`3 bad rows: line 4 (empty text), ...`"""
        more = f" and {self.bad - len(self.places)} more" if self.bad > len(self.places) else ""
        of_all = f" of {self.rows}" if self.rows and not self.few else ""
        return f"{self.bad} bad row{'s' * (self.bad != 1)}{of_all}: {', '.join(self.places)}{more}"

    @property
    def few(self) -> bool:
        """Whether the others are so many that these may be mistakes of their own."""
        return self.bad <= FEW * self.rows


@dataclass(frozen=True)
class Columns:
    """What the file at hand calls the texts and the label; an empty label where there is none.

    `labels` are the columns of 0 and 1, where a multi-label task has those; then `label` is empty.
    """

    text: tuple[str, ...]
    label: str
    labels: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.text, *((self.label,) if self.label else ()), *self.labels)


def examples(raw: Iterable[RawRow], task: Task, columns: Columns, hidden: bool, left_out: LeftOut) -> Iterator[Example]:
    """The examples of the rows; the rest is counted in `left_out`. `hidden` says that labels may be hidden (-1 or empty)."""
    for row in raw:
        left_out.rows += 1
        defect, place = row.defect, row.place
        if not defect:
            try:
                example = _example(row, task, columns, hidden, left_out.labels)
                if example.label is WITHOUT:
                    left_out.without_label += 1
                    continue
                if task.generation is not None and "" in (example.label, *(text.strip() for text in example.texts)):
                    left_out.empty += 1
                yield example
            except Empty as empty:
                left_out.empty += task.generation is not None
                if task.generation is not None and task.generation.empty == "drop":
                    continue
                defect = str(empty)
            except Bad as bad:
                defect = str(bad)
                place = row.place if bad.word is None or not row.lines else f"line {row.lines[bad.word]}"
        if defect:
            left_out.add(place, defect)


def _example(row: RawRow, task: Task, columns: Columns, hidden: bool, spellings: set[str]) -> Example:
    if task.reads_words:
        words = several_labels.words(row, columns.text[0])
        tags = columns.label and several_labels.tags(row, task, columns.label, len(words), hidden, spellings)
        return Example(words, tags or None, of_words=True)
    if task.is_multi_label and (columns.label or columns.labels):
        chosen = several_labels.label_set(row, task, columns.label, columns.labels, hidden, spellings)
        return Example(_texts(row, task, columns.text), chosen)
    label = _label(row, task, columns.label, hidden, spellings)
    return Example(() if label is WITHOUT else _texts(row, task, columns.text), label)


def refuse(left_out: LeftOut, name: str, task: Task | None = None) -> CompressError:
    """The error for a file with bad rows, which says what is most likely wrong."""
    advice = "Correct the file."
    if left_out.undecodable * 2 > left_out.bad:
        advice = decoding.hint("utf-8")
    elif left_out.few:
        advice = "Correct the file, or skip such rows with `bad_rows: skip` in the task."
        if task is not None and task.labels_from and left_out.other_labels:
            advice = f"The labels are those of the {task.labels_from} split: name all under `labels`, or set `bad_rows: skip`."
    elif task is not None and task.label_names and left_out.other_labels * 2 > left_out.bad:
        advice = _about_labels(left_out.labels, task) or advice
    return CompressError(f"{name} has {left_out.sentence()}. {advice}")


def _about_labels(spellings: set[str], task: Task) -> str:
    """What the labels of the file are, where they are not the task's; numbers from 1 are the commonest case."""
    numbers = [number_of(spelling) for spelling in spellings]
    in_order = sorted(spellings) if None in numbers else sorted(spellings, key=lambda one: number_of(one) or 0)
    listed = ", ".join(shown(one, 20).strip("'") for one in in_order[:8]) + (", ..." if len(in_order) > 8 else "")
    if None not in numbers and len(in_order) == len(task.label_names) <= 8 and not task.label_values:
        pairs = ", ".join(f"{one}: {name}" for one, name in zip(in_order, task.label_names, strict=True))
        return f"The file's labels are {listed}; ids count from 0. If that is the labels' order, write `labels: {{{pairs}}}`."
    return f"The file's labels are {listed}. Name them in the task, as `labels: [...]`."


WITHOUT: Any = object()


def _texts(row: RawRow, task: Task, names: tuple[str, ...]) -> tuple[str, ...]:
    """The texts without white space around them, which SST-2's files carry and which changes some tokenizers' tokens."""
    texts = []
    for name in names:
        text = text_cell(row, name)
        stripped = text.strip()
        if not stripped and task.empty_text_is_bad:
            raise Empty(f"{shown(name)} is empty")
        # What a language model predicts is the text as it stands.
        texts.append(text if not task.of_kind.has_references else stripped)
    return tuple(texts)


def _label(row: RawRow, task: Task, name: str, hidden: bool, spellings: set[str]) -> Any:
    if not name:
        return None
    if task.generation is not None:
        return _target(text_cell(row, name), task, name)
    value = row.cell(name)
    if isinstance(value, list | tuple | set | dict):
        raise Bad(f"{shown(name)} is {shown(value, 40)}: several labels in one row take `multi_label: true`")
    spelling = "" if value is None else str(value).strip()
    if spelling in task.absent_labels:
        return WITHOUT
    if hidden and spelling in HIDDEN:
        return None
    if not spelling:
        raise Bad(f"{shown(name)} is empty")
    return known_label(value, task, spellings)


def _target(value: str, task: Task, name: str) -> str:
    """The text to be written."""
    text = value.strip()
    if not text and task.empty_text_is_bad:
        raise Empty(f"{shown(name)} is empty")
    return text
