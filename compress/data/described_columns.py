"""Checks the columns and labels of a task config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compress.core.errors import CompressError, shown
from compress.models.labels import folded
from compress.models.labels import shown as all_labels
from compress.tasks import kinds
from compress.tasks.task import SPLITS, Task

COLUMN_CHARACTERS = 200


HELP = {
    "text": "Name the column of the text, or two columns: `text: [question, answer]`.",
    "label": "Name the column of the label.",
    "source": "Name the column of the source texts.",
    "target": "Name the column of the target texts.",
}


def of_labels(name: str, kind: str, key: str, value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The labels in a task config, as fields of a `Task`: columns, names and range.

    Args:
        key: that names the column, empty where there is none.
        value: what stands there, or is usual.
        given: the description.

    Raises:
        CompressError: the labels cannot be so.
    """
    of_kind = kinds.by_task(kind)
    law = of_kind.laws[kind]
    if law.several:
        return _label_set(name, value, given)
    found: dict[str, Any] = {"label_column": column(name, key, value) if key else ""}
    if of_kind.generates:
        return found
    if law.is_number:
        if given.get("labels"):
            raise CompressError(f"Task '{name}': a regression has no `labels`; its bounds go under `range: [0, 5]`.")
        return found | {"label_range": _range(name, given.get("range"))}
    if of_kind.reads_words and not given.get("labels"):
        named: tuple[tuple[str, ...], dict[str, int]] = ((), {})  # they are found in the data
    else:
        named = labels(name, given.get("labels", ()))
    found |= dict(zip(("label_names", "label_values"), named, strict=True))
    labels_from = given.get("labels_from", "")
    if labels_from and (not named[0] or labels_from not in SPLITS):
        raise CompressError(
            f"Task '{name}': `labels_from` says in which split the `labels` were found, not {shown(labels_from)}. Leave it out."
        )
    return found | {"labels_from": labels_from}


def _label_set(name: str, label: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Any number of labels a row: in one column, or a column of 0 and 1 for each, called as the labels if they have no names."""
    names, by_column = given.get("labels"), is_list(label)
    columns: tuple[str, ...] = tuple(column(name, "label", one) for one in label) if by_column else ()
    found, values = labels(name, names or columns)
    columns = columns if label else found
    if columns and (values or len(columns) != len(found)):
        raise CompressError(
            f"Task '{name}': a column of 0 and 1 for each label takes as many columns as `labels`, in one order; these are "
            f"{len(columns)} columns and {len(found)} labels."
        )
    separator = given.get("label_separator", "")
    if not isinstance(separator, str) or (separator and columns):
        where = "is for one column of labels" if columns else f"is a text, as ';', not {shown(separator)}"
        raise CompressError(f"Task '{name}': `label_separator` {where}.")
    return {
        "label_column": "" if columns else column(name, "label", label),
        "label_columns": columns,
        "label_separator": separator,
        "label_names": found,
        "label_values": values,
    }


def _range(name: str, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if not is_list(value) or len(value) != 2 or not all(is_number(bound) for bound in value) or value[0] >= value[1]:
        raise CompressError(
            f"Task '{name}': `range` is a list of the least and the greatest label, not {shown(value)}."
        )
    return float(value[0]), float(value[1])


def model_labels(task: Task, value: Any) -> dict[str, str]:
    """Maps the model's output names to the task's labels."""
    if not isinstance(value, Mapping):
        raise CompressError(
            f"Task '{task.name}': `model_labels` maps what a model calls its outputs to the labels, as "
            f"`model_labels: {{LABEL_A: {(*task.label_names, 'positive')[0]}}}`."
        )
    own = {folded(name) for name in task.label_names}
    for of_model, label in value.items():
        label = str(label) if isinstance(label, int | float) else label
        if not isinstance(label, str):
            raise CompressError(f"Task '{task.name}': `model_labels` maps names to labels, not to {shown(label)}.")
        if own and folded(label) not in own:
            raise CompressError(
                f"Task '{task.name}': `model_labels` maps '{of_model}' to '{label}', which is none of its labels: "
                f"{all_labels(task.label_names)}."
            )
        if folded(of_model) in own and folded(of_model) != folded(label):
            raise CompressError(
                f"Task '{task.name}': `model_labels` maps its own label '{of_model}' to another, '{label}'. If the model's "
                "config has its names in the wrong order, correct `id2label` there."
            )
    return {str(of_model): str(label) for of_model, label in value.items()}


def check_different(task: Task) -> None:
    """Raises a CompressError for a task that reads one column twice: a label in the text teaches nothing."""
    names = [name for name in (*task.text_columns, task.label_column, *task.label_columns) if name]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CompressError(
            f"Task '{task.name}' reads the column {shown(twice)} twice, among its texts and its label. Name a column for each."
        )


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
        raise CompressError(f"Task '{name}': `labels` has a duplicate: {shown(', '.join(spelled))}.")
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
        raise CompressError(f"The label {label!r} was read from YAML as a boolean: write it in quotes, such as 'yes'.")
    if not isinstance(label, str | int | float) or not (text := shown(label, 200).strip("'")):
        raise CompressError(f"A label is a name, not {shown(label)}.")
    return label if isinstance(label, str) else text


def texts(name: str, key: str, text: Any, most: int = 2) -> tuple[str, ...]:
    """The names of one or two columns of text.

    Raises:
        CompressError: they are none, or more than `most`.
    """
    if most == 1:
        return (column(name, key, text),)
    columns = tuple(text) if is_list(text) else (text,)
    if len(columns) not in (1, 2) or not all(isinstance(one, str) and one for one in columns):
        raise CompressError(f"Task '{name}': `{key}` is one column or a list of two, not {shown(text)}.")
    return tuple(column(name, key, one) for one in columns)


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


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
