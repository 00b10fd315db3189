"""Converts a label in a file to its id, or to a regression's number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from compress.core.errors import shown
from compress.data.raw_row import RawRow
from compress.data.tables import CELL_CHARACTERS
from compress.models import labels
from compress.tasks.task import Task

LABEL = "label "
"""How the defect of a label begins that is none of the task's."""
HIDDEN = ("", "-1", "-1.0")
"""What stands in the place of a label that is kept secret."""
SPELLINGS = 20
"""So many spellings of labels are kept for a message."""


class Bad(Exception):  # noqa: N818 - never seen outside the reading of rows
    """The defect of a row; `word` is the place of the word that has it, where one does."""

    def __init__(self, reason: str, word: int | None = None) -> None:
        super().__init__(reason)
        self.word = word


class Empty(Bad):
    """The defect of a row that has nothing in it."""


def text_cell(row: RawRow, name: str) -> str:
    """The text in a cell, empty where there is none."""
    value = row.cell(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        item = "; name one of its items, as `COLUMN.0`" if isinstance(value, list) else ""
        raise Bad(f"{shown(name)} is {shown(value, 40)}, not a text{item}")
    return text_of(value, shown(name))


def text_of(value: str, what: str) -> str:
    """The text, unless it is too long or cannot be encoded."""
    if len(value) > CELL_CHARACTERS:
        raise Bad(f"{what} has {len(value):,} characters, more than {CELL_CHARACTERS:,}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Bad(f"{what} has half a character, {value[error.start]!r}") from error
    return value


def known_label(value: Any, task: Task, spellings: set[str], where: str = "", place: int | None = None) -> int | float:
    """The id of a label, or the number of a regression.

    Args:
        value: as the file has it.
        spellings: collects how labels are spelled.
        where: what is added to the message where it is none, as ` of word 2`.
        place: of that word.

    Raises:
        Bad: it is none of the task's.
    """
    spelling = "" if value is None or isinstance(value, bytes | list | tuple | dict) else str(value).strip()
    if spelling and len(spellings) < SPELLINGS:
        spellings.add(spelling)
    found = None
    if spelling:
        found = score(spelling, task) if task.law.is_number else class_id(spelling, task)
    if found is None:
        raise Bad(f"{LABEL}{shown(value, 40)}{where} is not {expected(task)}{_advice(spelling, task)}", place)
    return found


def _advice(spelling: str, task: Task) -> str:
    """The most likely cause of an unknown label."""
    if task.reads_words:
        of_type = spelling[:2] in ("B-", "I-") and spelling[2:] in task.label_names
        return f"; name the tags themselves, as B-{spelling[2:]} and I-{spelling[2:]}" * of_type
    inner = spelling.strip("[](){} ")
    several = any(len(parts := inner.split(mark)) > 1 and _are_labels(parts, task) for mark in ",;| ")
    advice = "set `label_separator` if a cell has several"
    return f"; {advice if task.is_multi_label else 'several in one row take `multi_label: true`'}" * several


def _are_labels(parts: list[str], task: Task) -> bool:
    return {part.strip(" '\"") for part in parts} <= set(task.label_names)


def score(spelling: str, task: Task) -> float | None:
    """The number of a regression; None where it is none, or out of range."""
    try:
        value = float(spelling)
    except ValueError:
        return None
    low, high = task.label_range or (-math.inf, math.inf)
    return value if math.isfinite(value) and low <= value <= high else None


def class_id(spelling: str, task: Task) -> int | None:
    """By name first; by id only where no name is itself a number, since stars 1..5 would be taken for ids."""
    if task.label_values:
        return _by_value(spelling, task.label_values)
    by_name = {name: index for index, name in enumerate(task.label_names)}
    if spelling in by_name:
        return by_name[spelling]
    numeric = any(number_of(name) is not None for name in task.label_names)
    number = number_of(spelling)
    if numeric:
        if number is None:
            return None
        return next((index for name, index in by_name.items() if number_of(name) == number), None)
    if number is None:
        without_case = {name.casefold(): index for name, index in by_name.items()}
        return without_case.get(spelling.casefold(), _by_truth(spelling.casefold(), task.label_names))
    if number in (0, 1) and labels.truth_of(task.label_names, strictly=True) == (1, 0):
        true, false = task.label_names
        raise Bad(
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
    """By the task's mapping of the file's values to labels."""
    if spelling in values:
        return values[spelling]
    number = number_of(spelling)
    return next(
        (
            label
            for value, label in values.items()
            if value.casefold() == spelling.casefold() or (number is not None and number_of(value) == number)
        ),
        None,
    )


def number_of(spelling: str) -> float | None:
    """The finite number that is spelled; None where it is none."""
    try:
        value = float(spelling)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def expected(task: Task) -> str:
    """The expected labels, for messages."""
    if task.law.is_number:
        low, high = task.label_range or (-math.inf, math.inf)
        return f"a number from {low:g} to {high:g}" if task.label_range else "a finite number"
    names = task.label_names if len(task.label_names) <= 8 else (*task.label_names[:7], "...")
    return f"among {', '.join(names)}"
