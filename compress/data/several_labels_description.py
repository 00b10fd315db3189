"""From what a user writes under `task:` to a task whose rows have several labels: token and multi-label classification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from compress.core.errors import CompressError, shown
from compress.data.conll import TAGS, WORDS
from compress.data.described_columns import HELP, column, is_list, texts
from compress.data.described_columns import labels as label_names
from compress.tasks.task import SPLITS, SeveralLabels, Task

KINDS: tuple[str, ...] = get_args(SeveralLabels)
SETTINGS = {
    "token_classification": ("labels_from",),
    "multi_label_classification": ("multi_label", "label_separator"),
}
"""What a task of the kind takes beside what all take."""
METRICS = {"token_classification": ("entity_f1",), "multi_label_classification": ("f1_micro", "f1_macro")}
NAMES = {
    "text_classification": "classification",
    "single_label_classification": "classification",
    "ner": "token_classification",
    "multi_label": "multi_label_classification",
    "multilabel": "multi_label_classification",
    "multilabel_classification": "multi_label_classification",
    "text_generation": "language_modelling",
}
"""Other names of kinds, the hub's among them."""


def with_kind(description: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a task of one's own with the name that we have for its kind.

    >>> with_kind({"kind": "text-classification", "multi_label": True})
    {'kind': 'multi_label_classification'}

    Raises:
        CompressError: `multi_label` contradicts the kind.
    """
    found = dict(description)
    kind = found.get("kind")
    if isinstance(kind, str):
        plain = "_".join(kind.lower().replace("-", " ").replace("_", " ").split())
        found["kind"] = kind = NAMES.get(plain, plain)
    multi_label = found.pop("multi_label", None)
    if multi_label not in (None, True, False):
        raise CompressError(
            f"Task {shown(found.get('name'))}: `multi_label` is true or false, not {shown(multi_label)}."
        )
    if kind in (None, "classification") and (multi_label or (multi_label is None and is_list(found.get("label")))):
        found["kind"] = "multi_label_classification"
    elif multi_label is not None and multi_label != (kind == "multi_label_classification") and kind is not None:
        raise CompressError(
            f"Task {shown(found.get('name'))}: `multi_label: {str(multi_label).lower()}` contradicts `kind: {kind}`."
        )
    return found


def own(name: str, description: Mapping[str, Any]) -> Task:
    """A task of the user's own, without its data.

    Raises:
        CompressError: something is missing or wrong.
    """
    return (_of_words if description["kind"] == "token_classification" else _multi_label)(name, description)


def _of_words(name: str, description: Mapping[str, Any]) -> Task:
    labels, values = label_names(name, description["labels"]) if description.get("labels") else ((), {})
    labels_from = description.get("labels_from", "")
    if labels_from and (not labels or labels_from not in SPLITS):
        raise CompressError(
            f"Task '{name}': `labels_from` says in which split the `labels` were found, not {shown(labels_from)}. Leave it out."
        )
    return Task(
        name=name,
        kind="token_classification",
        text_columns=(column(name, "text", description.get("text") or WORDS),),
        label_column=column(name, "label", description.get("label") or TAGS),
        label_names=labels,
        label_values=values,
        labels_from=labels_from,
        metrics=METRICS["token_classification"],
    )


def _multi_label(name: str, description: Mapping[str, Any]) -> Task:
    if not description.get("text"):
        raise CompressError(f"Task '{name}' has no 'text'. {HELP['text']}")
    label, given = description.get("label"), description.get("labels")
    columns: tuple[str, ...] = ()
    if label is not None and is_list(
        label
    ):  # a column of 0 and 1 for each label, which are called as the columns if they have no names
        columns = tuple(column(name, "label", one) for one in label)
        given = given or columns
    labels, values = label_names(name, given or ())
    if not label:
        columns = labels
    if columns and (values or len(columns) != len(labels)):
        raise CompressError(
            f"Task '{name}': a column of 0 and 1 for each label takes as many columns as `labels`, in one order; these are "
            f"{len(columns)} columns and {len(labels)} labels."
        )
    separator = description.get("label_separator", "")
    if not isinstance(separator, str) or (separator and columns):
        where = "is for one column of labels" if columns else f"is a text, as ';', not {shown(separator)}"
        raise CompressError(f"Task '{name}': `label_separator` {where}.")
    return Task(
        name=name,
        kind="multi_label_classification",
        text_columns=texts(name, description["text"]),
        label_column="" if columns else column(name, "label", label),
        label_columns=columns,
        label_separator=separator,
        label_names=labels,
        label_values=values,
        metrics=METRICS["multi_label_classification"],
    )
