"""From a raw row to an example: texts and label checked, and every row that fails the check named."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from compress.core.errors import CompressError, shown
from compress.data import decoding
from compress.data.folding import folded
from compress.data.raw_row import RawRow
from compress.data.tables import CELL_CHARACTERS
from compress.models import labels
from compress.tasks.task import Task

SHOWN = 5
SHOWN_CHARACTERS = 240
FEW = 0.05
"""No larger a share of bad rows is offered to be left out: if more are bad, it is rather the description that is wrong."""
SPELLINGS = 20
LABEL = "label "
"""How the defect of a label begins that is none of the task's."""
HIDDEN = ("", "-1", "-1.0")


@dataclass(frozen=True)
class Example:
    """One example: one or two texts, and a class id, a score, a target text, or None where there is no label."""

    texts: tuple[str, ...]
    label: int | float | str | None

    @property
    def row_hash(self) -> str:
        """16 hex digits of the SHA-256 of the texts, without the label."""
        return hashlib.sha256("\x1f".join(self.texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def is_held_out(self, share: float) -> bool:
        """Whether it is among that share of the training rows that are held out, chosen by a hash of its texts.

        Texts that differ in case, space and punctuation alone lie on one side, and so do those that occur with two labels.
        """
        place = hashlib.sha256(folded(self.texts).encode("utf-8", "surrogatepass")).digest()[:8]
        return int.from_bytes(place) / 2**64 < share


@dataclass
class LeftOut:
    """Counts what did not become an example, and remembers the first few places."""

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
    """What the file at hand calls the texts and the label; an empty label where there is none."""

    text: tuple[str, ...]
    label: str


def examples(raw: Iterable[RawRow], task: Task, columns: Columns, hidden: bool, left_out: LeftOut) -> Iterator[Example]:
    """The examples of the rows; the rest is counted in `left_out`. `hidden` says that labels may be hidden (-1 or empty)."""
    for row in raw:
        left_out.rows += 1
        defect = row.defect
        if not defect:
            try:
                label = _label(row, task, columns.label, hidden, left_out.labels)
                if label is WITHOUT:
                    left_out.without_label += 1
                    continue
                example = Example(_texts(row, task, columns.text), label)
                if task.generation is not None and "" in (example.label, *(text.strip() for text in example.texts)):
                    left_out.empty += 1
                yield example
            except _Empty as empty:
                left_out.empty += task.generation is not None
                if task.generation is not None and task.generation.empty == "drop":
                    continue
                defect = str(empty)
            except _Bad as bad:
                defect = str(bad)
        if defect:
            left_out.add(row.place, defect)


def refuse(left_out: LeftOut, name: str, task: Task | None = None) -> CompressError:
    """The error for a file with bad rows, which says what is most likely wrong."""
    advice = "Mend the file."
    if left_out.undecodable * 2 > left_out.bad:
        advice = decoding.hint("utf-8")
    elif left_out.few:
        advice = "Mend the file, or leave such rows out with `bad_rows: skip` in the task."
    elif task is not None and task.kind == "classification" and left_out.other_labels * 2 > left_out.bad:
        advice = _about_labels(left_out.labels, task) or advice
    return CompressError(f"{name} has {left_out.sentence()}. {advice}")


def _about_labels(spellings: set[str], task: Task) -> str:
    """What the labels of the file are, where they are not the task's; numbers from 1 are the commonest case."""
    numbers = [_number(spelling) for spelling in spellings]
    in_order = sorted(spellings) if None in numbers else sorted(spellings, key=lambda one: _number(one) or 0)
    listed = ", ".join(shown(one, 20).strip("'") for one in in_order[:8]) + (", ..." if len(in_order) > 8 else "")
    if None not in numbers and len(in_order) == len(task.label_names) <= 8 and not task.label_values:
        pairs = ", ".join(f"{one}: {name}" for one, name in zip(in_order, task.label_names, strict=True))
        return f"The file's labels are {listed}; ids count from 0. If that is the labels' order, write `labels: {{{pairs}}}`."
    return f"The file's labels are {listed}. Name them in the task, as `labels: [...]`."


class _Bad(Exception):  # noqa: N818 - never seen outside this file
    pass


class _Empty(_Bad):
    pass


WITHOUT: Any = object()


def _texts(row: RawRow, task: Task, names: tuple[str, ...]) -> tuple[str, ...]:
    """The texts without white space around them, which SST-2's files carry and which changes some tokenizers' tokens."""
    texts = []
    for name in names:
        text = _text(row, name)
        stripped = text.strip()
        if not stripped and task.empty_text_is_bad:
            raise _Empty(f"{shown(name)} is empty")
        # What a language model predicts is the text as it stands.
        texts.append(text if task.kind == "language_modelling" else stripped)
    return tuple(texts)


def _text(row: RawRow, name: str) -> str:
    value = row.cell(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        item = "; name one of its items, as `COLUMN.0`" if isinstance(value, list) else ""
        raise _Bad(f"{shown(name)} is {shown(value, 40)}, not a text{item}")
    if len(value) > CELL_CHARACTERS:
        raise _Bad(f"{shown(name)} has {len(value):,} characters, more than {CELL_CHARACTERS:,}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _Bad(f"{shown(name)} has half a character, {value[error.start]!r}") from error
    return value


def _label(row: RawRow, task: Task, name: str, hidden: bool, spellings: set[str]) -> Any:
    if not name:
        return None
    if task.generation is not None:
        return _target(_text(row, name), task, name)
    value = row.cell(name)
    if isinstance(value, list | tuple | set | dict):
        raise _Bad(f"{shown(name)} is {shown(value, 40)}: several labels in one row (multi-label) are not supported")
    if isinstance(value, bytes):
        raise _Bad(f"{LABEL}{shown(value, 40)} is not {_expected(task)}")
    spelling = "" if value is None else str(value).strip()
    if spelling in task.absent_labels:
        return WITHOUT
    if hidden and spelling in HIDDEN:
        return None
    if not spelling:
        raise _Bad(f"{shown(name)} is empty")
    if len(spellings) < SPELLINGS:
        spellings.add(spelling)
    label = _score(spelling, task) if task.kind == "regression" else _class_id(spelling, task)
    if label is None:
        several = _are_several(spelling, task)
        raise _Bad(
            f"{LABEL}{shown(value, 40)} is not {_expected(task)}{'; several in one row are not supported' * several}"
        )
    return label


def _are_several(spelling: str, task: Task) -> bool:
    """Whether a cell names several of the labels, as `toxic, threat`."""
    parts = [part.strip().strip("'\"") for part in re.split(r"[,;|]", spelling.strip("[](){} "))]
    return len(parts) > 1 and all(part in task.label_names for part in parts)


def _target(value: str, task: Task, name: str) -> str:
    """The text to be written."""
    text = value.strip()
    if not text and task.empty_text_is_bad:
        raise _Empty(f"{shown(name)} is empty")
    return text


def _score(spelling: str, task: Task) -> float | None:
    try:
        value = float(spelling)
    except ValueError:
        return None
    low, high = task.label_range or (-math.inf, math.inf)
    return value if math.isfinite(value) and low <= value <= high else None


def _class_id(spelling: str, task: Task) -> int | None:
    """By name first; by id only where no name is itself a number, since stars 1..5 would be taken for ids."""
    if task.label_values:
        return _by_value(spelling, task.label_values)
    by_name = {name: index for index, name in enumerate(task.label_names)}
    if spelling in by_name:
        return by_name[spelling]
    numeric = any(_number(name) is not None for name in task.label_names)
    number = _number(spelling)
    if numeric:
        if number is None:
            return None
        return next((index for name, index in by_name.items() if _number(name) == number), None)
    if number is None:
        without_case = {name.casefold(): index for name, index in by_name.items()}
        return without_case.get(spelling.casefold(), _by_truth(spelling.casefold(), task.label_names))
    if number in (0, 1) and labels.truth_of(task.label_names, strictly=True) == (1, 0):
        true, false = task.label_names
        raise _Bad(
            f"the label {spelling} is '{true if number else false}' as a truth value and '{false if number else true}' as the id "
            f"of one of {true}, {false}: write `labels: ['{false}', '{true}']` if 1 is {true}"
        )
    return int(number) if number.is_integer() and 0 <= number < len(by_name) else None


def _by_truth(spelling: str, names: tuple[str, ...]) -> int | None:
    """The label that a truth value means, where the names tell which of the two is the true one."""
    places = labels.truth_of(names)
    if places is None or (spelling not in ("false", "true") and labels.truth_of(names, strictly=True) is None):
        return None
    false, true = places
    return true if spelling in labels.TRUE else false if spelling in labels.FALSE else None


def _by_value(spelling: str, values: Mapping[str, int]) -> int | None:
    """By what the task says that the file has for each label: text for text, number for number."""
    if spelling in values:
        return values[spelling]
    number = _number(spelling)
    return next(
        (
            label
            for value, label in values.items()
            if value.casefold() == spelling.casefold() or (number is not None and _number(value) == number)
        ),
        None,
    )


def _number(spelling: str) -> float | None:
    try:
        value = float(spelling)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _expected(task: Task) -> str:
    if task.kind == "regression":
        low, high = task.label_range or (-math.inf, math.inf)
        return f"a number from {low:g} to {high:g}" if task.label_range else "a finite number"
    names = task.label_names if len(task.label_names) <= 8 else (*task.label_names[:7], "...")
    return f"among {', '.join(names)}"
