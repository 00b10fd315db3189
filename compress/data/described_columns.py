"""What a task says of its columns and labels, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compress.core.errors import CompressError, shown

COLUMN_CHARACTERS = 200


HELP = {
    "text": "Name the column of the text, or two columns: `text: [question, answer]`.",
    "label": "Name the column of the label.",
    "data": "Name a folder, or the files: `data: {train: FILE, evaluation: FILE}`.",
}


def labels(name: str, given: Any) -> tuple[tuple[str, ...], dict[str, int]]:
    """The names in id order; and the id of each value that the data has for one, where `labels` says that.

    Raises:
        CompressError: they are not two names or more.
    """
    is_mapping = isinstance(given, Mapping)
    if not is_mapping and not is_list(given):
        raise CompressError(f"Task '{name}': a classification takes `labels`, a list of two names or more in id order.")
    spelled = [_spelling(label) for label in (given.values() if is_mapping else given)]
    names = tuple(dict.fromkeys(spelled))
    if not is_mapping and len(names) < len(spelled):
        raise CompressError(f"Task '{name}': a label stands twice among `labels`: {shown(', '.join(spelled))}.")
    if len(names) < 2:
        raise CompressError(
            f"Task '{name}': a classification takes `labels`, a list of two names or more in id order, or for each value of "
            "the data its name: `labels: {1: bad, 2: good}`."
        )
    values = {str(value): names.index(label) for value, label in zip(given, spelled, strict=True)} if is_mapping else {}
    return names, values


def _spelling(label: Any) -> str:
    # YAML reads `no` and `yes` as truth values; a label list almost never means those.
    if isinstance(label, bool):
        raise CompressError(f"The label {label!r} was read from YAML as a truth value: write it in quotes, as 'yes'.")
    if not isinstance(label, str | int | float) or not (text := shown(label, 200).strip("'")):
        raise CompressError(f"A label is a name, not {shown(label)}.")
    return label if isinstance(label, str) else text


def texts(name: str, text: Any) -> tuple[str, ...]:
    """The names of one or two columns of text.

    Raises:
        CompressError: they are none.
    """
    columns = tuple(text) if is_list(text) else (text,)
    if len(columns) not in (1, 2) or not all(isinstance(one, str) and one for one in columns):
        raise CompressError(f"Task '{name}': `text` is one column or a list of two, not {shown(text)}.")
    return tuple(column(name, "text", one) for one in columns)


def column(name: str, key: str, value: Any) -> str:
    """The name of a column.

    Raises:
        CompressError: it is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = shown(value)  # a header of years, say
    if not isinstance(value, str) or not 0 < len(value) <= COLUMN_CHARACTERS:
        raise CompressError(
            f"Task '{name}': `{key}` names a column in {COLUMN_CHARACTERS} characters at most, not {shown(value)}."
        )
    return value


def is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
