"""Rows with several labels: a tag for each word, or any number of the task's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compress.core.errors import shown
from compress.data.label_ids import HIDDEN, SPELLINGS, Bad, Empty, known_label, text_of
from compress.data.raw_row import RawRow
from compress.tasks.task import Task

ON, OFF = {"1", "1.0", "true"}, {"0", "0.0", "false"}


def words(row: RawRow, name: str) -> tuple[str, ...]:
    """The words of a sentence, without white space around them; some may be empty then, the list never is."""
    value = row.cell(name)
    if value is None or (_is_list(value) and not value):
        raise Empty(f"{shown(name)} has no words")
    if not _is_list(value):
        raise Bad(f"{shown(name)} is {shown(value, 40)}, not a list of words")
    for place, word in enumerate(value):
        if not isinstance(word, str):
            raise Bad(f"word {place + 1} of {shown(name)} is {shown(word, 40)}, not a text", place)
    found = tuple(text_of(word, f"word {place} of {shown(name)}").strip() for place, word in enumerate(value, start=1))
    if not any(found):
        raise Empty(f"{shown(name)} has no words but empty ones")
    return found


def tags(row: RawRow, task: Task, name: str, count: int, hidden: bool, spellings: set[str]) -> tuple[int, ...] | None:
    """The id of each word's tag; None where they are hidden.

    Args:
        count: of words.
        hidden: whether no tags, or -1 for each, mean that they are hidden.
        spellings: collects how tags are spelled.
    """
    value = row.cell(name)
    if hidden and (not value or (_is_list(value) and all(str(tag).strip() in HIDDEN for tag in value))):
        return None
    if value is None:
        raise Bad(f"{shown(name)} is empty")
    if not _is_list(value):
        raise Bad(f"{shown(name)} is {shown(value, 40)}, not a list of tags")
    if len(value) != count:
        raise Bad(f"{_counted(count, 'word')} and {_counted(len(value), 'tag')}")
    by_name = {} if task.label_values else {name: number for number, name in enumerate(task.label_names)}
    found = []
    for place, tag in enumerate(value):
        number = by_name.get(tag) if isinstance(tag, str) else None
        found.append(
            int(known_label(tag, task, spellings, f" of word {place + 1}", place)) if number is None else number
        )
    if len(spellings) < SPELLINGS:
        spellings.update(str(tag) for tag in value)
    return tuple(found)


def label_set(
    row: RawRow, task: Task, name: str, names: Sequence[str], hidden: bool, spellings: set[str]
) -> tuple[int, ...] | None:
    """For each of the task's labels whether the row has it, 1 or 0; None where the labels are hidden.

    Args:
        name: of the column of a list or of separated labels; empty where `names` are columns of 0 and 1.
        hidden: whether an empty cell, or -1, means that the labels are hidden.
        spellings: collects how labels are spelled.
    """
    if names:
        return _ones(row, names, hidden)
    value = row.cell(name)
    if hidden and (value is None or str(value).strip() in HIDDEN):
        return None
    items = _items(value, task, name)
    ids = [int(known_label(item, task, spellings)) for item in items]
    if len(set(ids)) < len(ids):
        twice = task.label_names[next(one for one in ids if ids.count(one) > 1)]
        raise Bad(
            f"{shown(name)} has the label '{twice}' twice; a list holds labels, not one 0 or 1 for each (for those name columns)"
        )
    return tuple(int(number in ids) for number in range(len(task.label_names)))


def _items(value: Any, task: Task, name: str) -> Sequence[Any]:
    if _is_list(value):
        return value
    if isinstance(value, str) and task.label_separator:
        return [part.strip() for part in value.split(task.label_separator)] if value.strip() else []
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Bad(f"{shown(name)} is empty; no label is an empty list, or an empty text where `label_separator` is set")
    if isinstance(value, Mapping):
        inner = next(iter(value), "LABEL")
        raise Bad(
            f"{shown(name)} is an object; name its fields, as `label: [{name}.{inner}, ...]`, if they are 0 and 1"
        )
    return [value]


def _ones(row: RawRow, names: Sequence[str], hidden: bool) -> tuple[int, ...] | None:
    spelled = ["" if (cell := row.cell(name)) is None else str(cell).strip().casefold() for name in names]
    if hidden and all(one in HIDDEN for one in spelled):
        return None
    for name, one in zip(names, spelled, strict=True):
        if one not in ON | OFF:
            raise Bad(f"{shown(name)} is {shown(one, 40) if one else 'empty'}, not 0 or 1")
    return tuple(int(one in ON) for one in spelled)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
